"""Which numbers have come: each is taken once, in whatever order they come."""

from __future__ import annotations

from enum import Enum

WINDOW = 64
"""How far behind the highest a number may come, and be known as new or as a double."""


class Arrival(Enum):
    """What a number that comes is."""

    NEW = "new"
    DOUBLE = "double"
    OLD = "old"
    """Too far behind to know."""


class Window:
    """The numbers that have come of one sender, which counts from 1."""

    __slots__ = ("_seen", "highest")

    def __init__(self, highest: int = 0) -> None:
        self.highest = highest
        """The highest so far; what came before it counts as had."""
        self._seen = (1 << WINDOW) - 1

    def arrive(self, number: int) -> Arrival:
        """A number has come."""
        ahead = number - self.highest
        if ahead > 0:
            self.highest = number
            self._seen = (self._seen << ahead | 1) & ((1 << WINDOW) - 1) if ahead < WINDOW else 1
            return Arrival.NEW
        if -ahead >= WINDOW:
            return Arrival.OLD
        bit = 1 << -ahead
        if self._seen & bit:
            return Arrival.DOUBLE
        self._seen |= bit
        return Arrival.NEW

    def missing(self) -> list[int]:
        """The numbers that the window still waits for, lowest first."""
        return [
            self.highest - behind
            for behind in reversed(range(WINDOW))
            if not self._seen >> behind & 1
        ]
