"""Which numbers have come: each is taken once, in whatever order they come."""

from __future__ import annotations

from enum import Enum

NUMBERS = 1 << 32
"""They go round: behind the highest comes 0. What is less than half a round ahead is ahead."""
WINDOW = 64
"""How far behind the highest a number may come, and be known as new or as a double."""


_ALL = (1 << WINDOW) - 1


class Arrival(Enum):
    """What a number that comes is."""

    NEW = "new"
    DOUBLE = "double"
    OLD = "old"
    """Too far behind to know."""


def distance(first: int, second: int) -> int:
    """How far ahead of the first number the second is; negative where it is behind."""
    return (second - first + NUMBERS // 2) % NUMBERS - NUMBERS // 2


class Window:
    """The numbers that have come of one sender, which counts from 1."""

    __slots__ = ("_seen", "highest", "lost")

    def __init__(self, highest: int = 0) -> None:
        self.highest = highest
        """The highest so far; what came before it counts as had."""
        self.lost = 0
        """How many have not come that were too far behind in the end."""
        self._seen = _ALL

    def arrive(self, number: int) -> Arrival:
        """A number has come."""
        ahead = distance(self.highest, number)
        if ahead > 0:
            self.reach(number)
            self._seen |= 1
            return Arrival.NEW
        if -ahead >= WINDOW:
            return Arrival.OLD
        bit = 1 << -ahead
        if self._seen & bit:
            return Arrival.DOUBLE
        self._seen |= bit
        return Arrival.NEW

    def reach(self, number: int) -> None:
        """Numbers up to this one are known to be sent; what has not come is awaited."""
        ahead = distance(self.highest, number)
        if ahead > 0:
            self.highest = number
            out = min(ahead, WINDOW)
            self.lost += ahead - (self._seen >> (WINDOW - out)).bit_count()
            self._seen = self._seen << out & _ALL

    def missing(self) -> list[int]:
        """The numbers that the window still waits for, lowest first."""
        return [
            (self.highest - behind) % NUMBERS
            for behind in reversed(range(WINDOW))
            if not self._seen >> behind & 1
        ]
