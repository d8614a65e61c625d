"""The rotating pattern (RFC 864): the one that is sent here, and those that others send."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from attrs import field, frozen

COLUMNS = 72
MOST_DATAGRAM = 512
"""Bytes of a datagram's answer (RFC 864)."""
_MOST_AT_ONCE = 256 * 1024
"""So much is compared by one call: more than a read brings."""


@frozen(eq=False)
class Ring:
    """Characters that rotate: a line has `COLUMNS` of them, and begins one behind the last one."""

    name: str
    """Who sends it: for the user."""
    characters: bytes
    end: bytes = b"\r\n"
    """Of each line."""
    lines: int = field()
    """Of a rotation: then the first line comes again."""
    pattern: bytes = field(init=False, repr=False)
    """One whole rotation; the next one is the same again."""

    @lines.default
    def _one_of_each(self) -> int:
        return len(self.characters)

    @pattern.default
    def _rotated(self) -> bytes:
        twice = self.characters * 2
        starts = range(self.lines)
        return b"".join(twice[start : start + COLUMNS] + self.end for start in starts)

    @property
    def line(self) -> int:
        """Bytes of a line with its end."""
        return COLUMNS + len(self.end)


RFC = Ring("RFC 864", bytes(range(32, 127)))
RINGS = (
    RFC,
    Ring("xinetd", bytes(range(33, 126)), lines=95),
    Ring("muduo", bytes(range(33, 127)), b"\n"),
)
"""Those that are known, the recommended one first. RFC 864 leaves the pattern to the server: BSD's
inetd and its heirs send what it recommends; xinetd leaves out the space and the tilde, but begins
again after as many lines as if it had not; servers after the example of the library muduo leave out
the space."""
CHARACTERS = RFC.characters
LINE = RFC.line
PATTERN = RFC.pattern


class BrokenPattern(Exception):
    """Bytes that are not the pattern; its text says where."""

    def __init__(self, offset: int, expected: int | None, found: int, line: int = LINE) -> None:
        self.offset = offset
        """Of the first of them, from the beginning."""
        wanted = "a line of the pattern" if expected is None else f"byte {expected:#04x}"
        super().__init__(
            f"at byte {offset} (line {offset // line + 1}, column {offset % line + 1}): "
            f"expected {wanted}, got {found:#04x}"
        )


class Follower:
    """Checks a pattern as it comes, in any pieces. It may begin with any line of any known ring.

    Which ring it is shows as it goes on: until then it is followed in all that it may be, and it
    breaks with the first byte that follows in none of them.
    """

    __slots__ = ("_begin", "_begins", "_period", "_text", "size")

    def __init__(self) -> None:
        self.size = 0
        """Bytes that were right."""
        self._begins: list[tuple[Ring, int]] = []
        """The rings that it may be, and where in the rotation of each it may have begun."""
        self._text, self._begin, self._period = b"", 0, 1
        """What is expected, once it is one of these."""

    @property
    def rings(self) -> tuple[Ring, ...]:
        """Those that it may be; none before the first byte."""
        return tuple(dict.fromkeys(ring for ring, _ in self._begins))

    def feed(self, data: bytes) -> None:
        """More of it. Raises BrokenPattern."""
        size = len(data)
        # which copies nothing
        if self._text.startswith(data, (self._begin + self.size) % self._period):
            self.size += size
            return
        for start in range(0, size, _MOST_AT_ONCE):
            self._narrow(data[start : start + _MOST_AT_ONCE])

    def _narrow(self, part: bytes) -> None:
        """Leave those beginnings that a part goes on from."""
        begins = self._begins or _beginnings(part[0])
        left = [
            (ring, begin)
            for ring, begin in begins
            if _repeated(ring).startswith(part, (begin + self.size) % len(ring.pattern))
        ]
        if not left:
            raise self._broken(part, begins)
        self._begins = left
        self.size += len(part)
        if len(left) == 1:
            [(ring, self._begin)] = left
            self._text, self._period = _repeated(ring), len(ring.pattern)

    def _broken(self, part: bytes, begins: Sequence[tuple[Ring, int]]) -> BrokenPattern:
        """Of the beginnings, those that went on longest are left: that was expected."""
        right = [_common(part, ring, begin + self.size) for ring, begin in begins]
        number = max(right)
        self._begins = [of for of, size in zip(begins, right, strict=True) if size == number]
        self.size += number
        ring, begin = self._begins[0]
        expected = ring.pattern[(begin + self.size) % len(ring.pattern)]
        return BrokenPattern(self.size, expected, part[number], ring.line)


def _beginnings(first: int) -> list[tuple[Ring, int]]:
    """The lines that begin with this byte. Raises BrokenPattern where there is none."""
    found = [
        (ring, begin)
        for ring in RINGS
        for begin in range(0, len(ring.pattern), ring.line)
        if ring.pattern[begin] == first
    ]
    if not found:
        raise BrokenPattern(0, None, first)
    return found


@cache
def _repeated(ring: Ring) -> bytes:
    """So many rotations that the longest part fits in behind the beginning of any line."""
    return ring.pattern * (_MOST_AT_ONCE // len(ring.pattern) + 2)


def _common(part: bytes, ring: Ring, at: int) -> int:
    """How many of the first bytes of a part follow, of which not all do."""
    expected, begin = _repeated(ring), at % len(ring.pattern)
    return next(n for n, found in enumerate(part) if found != expected[begin + n])
