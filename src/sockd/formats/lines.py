"""Lines: bytes of a stream in any pieces, cut into lines that end in LF or CRLF.

A line that the end of the stream cuts off is a line too.
"""

from __future__ import annotations


class LineBuffer:
    """Whole lines out of bytes that come in any pieces.

    `limit` is the most bytes of a line, its end not counted. A longer one is a fault: what came
    before it can still be taken, and nothing after it is heard.
    """

    __slots__ = ("_block", "_partial", "_start", "fault", "is_partial", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.fault = ""
        """`max_line` after a line that was too long."""
        self._block = b""
        self._start = 0
        """How much of the block is taken: to cut that off each time would copy the rest."""
        self._partial = b""
        self.is_partial = False
        """Whether a line has begun whose end has not come."""

    def __len__(self) -> int:
        """Bytes that are held."""
        return len(self._block) - self._start + len(self._partial)

    @property
    def has_request(self) -> bool:
        """Whether there is a whole line to take."""
        return bool(self._block)

    def feed(self, data: bytes) -> None:
        """Bytes that have come. Whoever takes slower than they come must not feed for a while."""
        if self.fault:
            return
        if self._partial:
            data = self._partial + data
        end = data.rfind(b"\n") + 1
        block, partial = (data, b"") if end == len(data) else (data[:end], data[end:])
        if len(data) > self.limit:
            short = end_of_short_lines(block, self.limit)
            if short < len(block):
                block, partial, self.fault = block[:short], b"", "max_line"
            elif len(partial) > self.limit + partial.endswith(b"\r"):
                partial, self.fault = b"", "max_line"
        self._partial = partial
        self.is_partial = bool(partial)
        if block:
            self._block = self._block[self._start :] + block if self._block else block
            self._start = 0

    def end(self) -> None:
        """No more bytes come: what is left is the last line."""
        if self._partial:
            self.feed(b"\n")

    def take(self) -> bytes:
        """The next line, without its end."""
        return self.take_block(1).removesuffix(b"\n").removesuffix(b"\r")

    def take_block(self, size: int) -> bytes:
        """The next lines, with their ends: at most so many bytes, but one line at least."""
        block, start = self._block, self._start
        limit = start + size
        end = len(block)
        if end > limit:
            end = block.rfind(b"\n", start, limit) + 1 or block.index(b"\n", limit) + 1
        self._block, self._start = (block, end) if end < len(block) else (b"", 0)
        return block[start:end]

    def clear(self) -> None:
        """Forget what is held."""
        self._block = self._partial = b""
        self._start = 0
        self.is_partial = False


def end_of_short_lines(block: bytes, limit: int) -> int:
    """Where the first line that is too long begins in a block of whole lines, or the block's end.

    It looks once each `limit` bytes, not at each line.
    """
    start, size = 0, len(block)
    while start < size:
        # the end of a line of the greatest length is CRLF, or LF
        end = block.rfind(b"\n", start, start + limit + 1) + 1
        if not end:
            end = start + limit + 2
            if block[end - 2 : end] != b"\r\n":
                return start
        start = end
    return start


def split_lines(block: bytes) -> list[bytes]:
    """The lines of a block of whole lines, without their ends."""
    if b"\r" not in block:
        lines = block.split(b"\n")
    else:
        lines = block.split(b"\r\n")
        if len(lines) <= block.count(b"\n"):
            # some end in LF, some in CRLF: the way that is always right takes twice as long
            lines = block.replace(b"\r\n", b"\n").split(b"\n")
    lines.pop()
    return lines
