"""What a client of travesty sends: commands, a line each, and texts of any length between them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from sockd.formats.travesty import ABORT

BLOCK_BYTES = 16 * 1024
"""Bytes of a text that are taken at once: half a millisecond's work."""
LINE_ENDS = 2
"""Bytes of the longest end of a line."""
_SPACES = (b"\n", b" ", b"\t", b"\v", b"\f")
"""What words end at, but for CR: that may belong to the line that ends a text."""
_FIRST_LINE = {False: re.compile(rb"\.\r?\n"), True: re.compile(rb"(?:\.|" + ABORT + rb")\r?\n")}
"""A line that ends a text, by whether `ABORT` does."""
_LATER_LINE = {
    may_abort: re.compile(rb"\n" + line.pattern) for may_abort, line in _FIRST_LINE.items()
}
_FIRST_ABORT = re.compile(ABORT + rb"\r?\n")
_LATER_ABORT = re.compile(rb"\n" + ABORT + rb"\r?\n")
_ABORT_BYTES = len(b"\n") + len(ABORT) + LINE_ENDS


class Uploads:
    """Requests out of bytes that come in any pieces: lines of at most `limit` bytes, their end not
    counted, or blocks of a text.

    A block ends in white space, so that its words are whole. The line that ends a text, or aborts
    it, is handed out without its line end: no block is like it.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.fault = ""
        """`max_line` after a line that was too long."""
        self.is_text = False
        """Whether a text comes now, and not commands."""
        self._texts = 0
        self.may_abort = False
        """Whether a line `ABORT` ends a text, too."""
        self.taken = 0
        """Bytes that were taken or forgotten so far."""
        self._held = bytearray()
        self._begins_line = True
        """Whether what is held of a text begins a line of it."""
        self._has_ended = False
        self._size = -1
        """Bytes of what can be taken next, its line end with it; 0: nothing yet. -1: not looked,
        for only who has taken a line knows what follows it."""
        self._is_end = False
        """Whether that is the line that ends a text."""
        self._seen = 0
        """Bytes that were looked through for `ABORT`."""

    def __len__(self) -> int:
        """Bytes that are held."""
        return len(self._held)

    @property
    def held(self) -> bytes:
        """Those bytes."""
        return bytes(self._held)

    @property
    def has_request(self) -> bool:
        """Whether there is a line, a block or the end of a text to take."""
        if self._size < 0:
            self._look()
        return self._size > 0

    @property
    def is_partial(self) -> bool:
        """Whether a command has begun. A text has a time of its own."""
        return not (self.is_text or self.has_request) and bool(self._held)

    @property
    def text(self) -> int:
        """Which text it is that comes now, counted from 1; 0: none."""
        return self._texts if self.is_text else 0

    def feed(self, data: bytes) -> None:
        """Bytes that have come. Whoever takes slower than they come must not feed for a while."""
        if not self.fault:
            self._held += data
            self._size = self._size or -1

    def end(self) -> None:
        """No more bytes come: a line or a text that is cut off ends there."""
        self._has_ended = True
        if self._held and not self._held.endswith(b"\n"):
            self._held += b"\n"
        self._size = -1

    def begin_text(self) -> None:
        """What comes next is a text."""
        self._texts += 1
        self.is_text = self._begins_line = True
        self._size = -1

    def take(self) -> bytes:
        """The next line without its end, the next block of a text, or the line that ends it."""
        taken = bytes(self._held[: self._size])
        self._drop(self._size)
        if not self.is_text:
            taken = taken.removesuffix(b"\n").removesuffix(b"\r")
        elif self._is_end:
            taken = taken.rstrip()
            self.is_text = False
        else:
            self._begins_line = taken.endswith(b"\n")
        return taken

    def clear(self) -> None:
        """Forget what is held; commands come next."""
        self._drop(len(self._held))
        self.is_text = False

    def drop(self, size: int) -> None:
        """Forget so much of what is held, or all."""
        self._drop(min(size, len(self._held)))

    def drop_to_abort(self) -> bool:
        """Forget what is held up to a line `ABORT`, and it, if there is one. Whether there was."""
        start = max(0, self._seen - _ABORT_BYTES)
        found = _FIRST_ABORT.match(self._held) or _LATER_ABORT.search(self._held, start)
        if found:
            self._drop(found.end())
        self._seen = 0 if found else len(self._held)
        return bool(found)

    def _drop(self, size: int) -> None:
        del self._held[:size]
        self.taken += size
        self._size, self._seen = -1, 0

    def _look(self) -> None:
        """See what can be taken next."""
        self._is_end = False
        if not self.is_text:
            self._size = self._line()
            return
        self._look_for_block()
        if not self._size and self._has_ended:
            # what was held ended in a line end, and is taken
            self._held += b".\n" if self._begins_line else b"\n.\n"
            self._look_for_block()

    def _line(self) -> int:
        end = self._held.find(b"\n", 0, self.limit + LINE_ENDS) + 1
        if end == self.limit + LINE_ENDS and self._held[end - LINE_ENDS] != ord("\r"):
            end = 0
        if not end and len(self._held) > self.limit + self._held.endswith(b"\r"):
            self.fault = "max_line"
            self._held.clear()
        return end

    def _look_for_block(self) -> None:
        if self._begins_line and (end := _FIRST_LINE[self.may_abort].match(self._held)):
            self._size, self._is_end = end.end(), True
        elif end := _LATER_LINE[self.may_abort].search(self._held, 0, BLOCK_BYTES):
            self._size = end.start() + 1
        else:
            self._size = _cut(self._held)


def _cut(text: bytes | bytearray, start: int = 0) -> int:
    """Where a block that starts there can end: at its start while nothing can be taken."""
    most = start + BLOCK_BYTES
    size = max(text.rfind(space, start, most) for space in _SPACES) + 1
    if not size and len(text) >= most:
        # the last byte may be half of a line end
        size = text.rfind(b"\r", start, most - 1) + 1 or start + letters_end(text[start:most])
    return size or start


def letters_end(data: bytes | bytearray) -> int:
    """Where the last letter ends that is whole, as UTF-8; the end, if it is none."""
    for back in range(1, 4):
        byte = data[-back]
        if byte < 0x80:
            break
        if byte >= 0xC0:  # it begins a letter of two bytes, three, or four
            whole = 2 + (byte >= 0xE0) + (byte >= 0xF0)
            return len(data) if whole <= back else len(data) - back
    return len(data)


def blocks(text: bytes) -> Iterator[bytes]:
    """A whole text in blocks."""
    start = 0
    while start < len(text):
        end = _cut(text, start) if len(text) - start > BLOCK_BYTES else len(text)
        yield text[start:end]
        start = end
