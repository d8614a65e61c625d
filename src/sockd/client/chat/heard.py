"""What a client knows of a channel it is in: its key, and which of its events have come."""

from __future__ import annotations

from attrs import define, field

from sockd.formats.chat.texts import Group
from sockd.formats.chat.window import WINDOW, Arrival, Window

PATIENCE = 1.0
"""Seconds that an event may come later than those behind it, before it counts as lost."""


@define(eq=False)
class Gaps:
    """Numbers that come in any order, each taken once; those that never come are told once."""

    _window: Window | None = None
    """None until the first one comes and says where we begin."""
    _gap_since: float | None = field(init=False, default=None)
    _jumped: int = field(init=False, default=0)
    """Lost, and too far behind to come any more."""

    @classmethod
    def from_start(cls) -> Gaps:
        """All are awaited from the very first one, 1."""
        return cls(Window())

    def arrive(self, number: int, now: float) -> bool:
        """One has come; False where it is to be dropped."""
        if self._window is None:
            self._window = Window(number)
            return True
        self._jumped += self._out_of_sight(self._window, number)
        is_new = self._window.arrive(number) is Arrival.NEW
        if not (self._jumped or self._window.missing()):
            self._gap_since = None
        elif self._gap_since is None:
            self._gap_since = now
        return is_new

    def lost(self, now: float) -> int:
        """How many did not come in time; they are told once."""
        if self._window is None or self._gap_since is None or now < self._gap_since + PATIENCE:
            return 0
        self._gap_since = None
        missing = self._window.missing()
        for number in missing:
            self._window.arrive(number)
        count, self._jumped = self._jumped + len(missing), 0
        return count

    @property
    def next_at(self) -> float | None:
        """When something may count as lost."""
        return None if self._gap_since is None else self._gap_since + PATIENCE

    @staticmethod
    def _out_of_sight(window: Window, number: int) -> int:
        """How many of those that we wait for the window forgets as this one comes."""
        lowest = number - WINDOW
        waited_for = sum(one <= lowest for one in window.missing())
        return waited_for + max(0, lowest - window.highest)


@define(eq=False)
class Hearing:
    """One channel."""

    title: bytes
    key: bytes = b""
    """Nothing from an old server."""
    group: Group | None = None
    gaps: Gaps = field(factory=Gaps)
    unheard: set[int] = field(factory=set)
    """Numbers of what we have said here and shown before it came back."""

    def arrive(self, sequence: int, now: float) -> bool:
        """An event has come; False where it is to be dropped."""
        return self.gaps.arrive(sequence, now)

    def lost(self, now: float) -> int:
        """How many did not come in time, without those of our own that were shown already."""
        count = self.gaps.lost(now)
        for number in sorted(self.unheard)[:count]:
            self.unheard.discard(number)
            count -= 1
        return count

    @property
    def next_at(self) -> float | None:
        """When something may count as lost."""
        return self.gaps.next_at
