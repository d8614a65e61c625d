"""The rotating pattern of the 95 printable characters (RFC 864)."""

from __future__ import annotations

CHARACTERS = bytes(range(32, 127))
COLUMNS = 72
LINE = COLUMNS + 2
"""Bytes of a line with its CRLF."""
PATTERN = b"".join(
    (CHARACTERS * 2)[start : start + COLUMNS] + b"\r\n" for start in range(len(CHARACTERS))
)
"""One whole rotation: 95 lines, 7030 bytes; the next one is the same again."""
MOST_DATAGRAM = 512
"""Bytes of a datagram's answer (RFC 864)."""
_AT_ONCE = PATTERN * 40
"""So much can be compared by one call: more than a read brings."""


class BrokenPattern(Exception):
    """Bytes that are not the pattern; its text says where."""

    def __init__(self, offset: int, expected: int | None, found: int) -> None:
        self.offset = offset
        """Of the first of them, from the beginning."""
        wanted = "a line of the pattern" if expected is None else f"byte {expected:#04x}"
        super().__init__(
            f"at byte {offset} (line {offset // LINE + 1}, column {offset % LINE + 1}): "
            f"expected {wanted}, got {found:#04x}"
        )


class Follower:
    """Checks the pattern as it comes, in any pieces. It may begin with any of its lines."""

    __slots__ = ("_at", "size")

    def __init__(self) -> None:
        self.size = 0
        """Bytes that were right."""
        self._at: int | None = None
        """Where in the rotation the next byte is."""

    def feed(self, data: bytes) -> None:
        """More of it. Raises BrokenPattern."""
        if not data:
            return
        if self._at is None:
            self._at = self._begin(data[0])
        for start in range(0, len(data), len(_AT_ONCE) - len(PATTERN)):
            part = data[start : start + len(_AT_ONCE) - len(PATTERN)]
            if not _AT_ONCE.startswith(part, self._at):  # which copies nothing
                self._complain(self._at, part)
            self.size += len(part)
            self._at = (self._at + len(part)) % len(PATTERN)

    def _begin(self, first: int) -> int:
        """The line of the rotation that begins with this byte."""
        line = CHARACTERS.find(first)
        if line < 0:
            raise BrokenPattern(0, None, first)
        return line * LINE

    def _complain(self, at: int, part: bytes) -> None:
        for number, found in enumerate(part):
            expected = _AT_ONCE[at + number]
            if found != expected:
                raise BrokenPattern(self.size + number, expected, found)
