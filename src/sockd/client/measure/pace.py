"""How fast datagrams follow each other."""

from __future__ import annotations

from attrs import define


@define(eq=False)
class Pace:
    """Datagrams that come or go: those after the first, by the time from the first to the last.

    So one alone has no rate, and those of a schedule have the schedule's.
    """

    _first_ns: int | None = None
    _took_ns: int = 0
    _count: int = 0
    _size: int = 0

    def add(self, size: int, at_ns: int) -> None:
        """One more, of so many bytes, at this moment of the monotonic clock."""
        if self._first_ns is None:
            self._first_ns = at_ns
            return
        self._took_ns = max(self._took_ns, at_ns - self._first_ns)
        self._count += 1
        self._size += size

    @property
    def datagrams(self) -> float | None:
        """How many in a second; None where there is no rate."""
        return self._count * 1e9 / self._took_ns if self._took_ns else None

    @property
    def bps(self) -> int | None:
        """Bits in a second."""
        return self._size * 8 * 1_000_000_000 // self._took_ns if self._took_ns else None
