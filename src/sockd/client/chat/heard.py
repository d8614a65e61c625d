"""What a client knows of a channel it is in: its key, and which of its events have come."""

from __future__ import annotations

from collections import deque

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
    _first: int = 0
    """Where we begin. One before it that is only late is taken, and we begin there."""
    _open_until: float = 0.0
    """How long one from before the first may come."""
    _gap_since: float | None = field(init=False, default=None)
    _jumped: int = field(init=False, default=0)
    """Lost, and too far behind to come any more."""

    @classmethod
    def from_start(cls) -> Gaps:
        """All are awaited from the very first one, 1."""
        return cls(Window())

    def arrive(self, number: int, now: float) -> bool:
        """One has come; False where it is to be dropped."""
        window = self._window
        if window is None:
            window = self._window = Window(max(0, number - WINDOW))
            self._first, self._open_until = number, now + PATIENCE
        if number < self._first and now >= self._open_until:
            return False
        self._jumped += self._out_of_sight(window, number)
        is_new = window.arrive(number) is Arrival.NEW
        if is_new:
            self._first = min(self._first, number)
        if not (self._jumped or self._missing(window)):
            self._gap_since = None
        elif self._gap_since is None:
            self._gap_since = now
        return is_new

    def has_begun_by(self, when: float) -> bool:
        """Whether what was sent then is awaited."""
        return self._window is not None and when >= self._open_until - PATIENCE

    def lost(self, now: float) -> int:
        """How many did not come in time; they are told once."""
        if self._window is None or self._gap_since is None or now < self._gap_since + PATIENCE:
            return 0
        self._gap_since = None
        missing = self._missing(self._window)
        for number in missing:
            self._window.arrive(number)
        count, self._jumped = self._jumped + len(missing), 0
        return count

    @property
    def next_at(self) -> float | None:
        """When something may count as lost."""
        return None if self._gap_since is None else self._gap_since + PATIENCE

    def _missing(self, window: Window) -> list[int]:
        return [one for one in window.missing() if one >= self._first]

    def _out_of_sight(self, window: Window, number: int) -> int:
        """How many of those that we wait for the window forgets as this one comes."""
        lowest = number - WINDOW
        waited_for = sum(one <= lowest for one in self._missing(window))
        return waited_for + max(0, lowest - max(window.highest, self._first - 1))


@define(eq=False)
class Hearing:
    """One channel."""

    title: bytes
    key: bytes = b""
    """Nothing from an old server."""
    group: Group | None = None
    gaps: Gaps = field(factory=Gaps)
    _unheard: dict[int, float] = field(init=False, factory=dict)
    """When we have shown what we said here before it came back, by number."""
    _shown: deque[int] = field(init=False, factory=lambda: deque(maxlen=WINDOW))

    def arrive(self, sequence: int, now: float) -> bool:
        """An event has come; False where it is to be dropped."""
        return self.gaps.arrive(sequence, now)

    def show_early(self, number: int, said_at: float, now: float) -> None:
        """What we said with this number is shown, and has not come back yet. Said before the first
        event came, it may be from before that, and then is not missed."""
        if self.gaps.has_begun_by(said_at):
            self._unheard[number] = now
        self._shown.append(number)

    def came_back(self, number: int) -> bool:
        """What we said has come back. Whether it is shown already."""
        self._unheard.pop(number, None)
        return number in self._shown

    def lost(self, now: float) -> int:
        """How many did not come in time, without those of our own that were shown already. It waits
        until those may be counted as lost, too."""
        at = self.next_at
        if at is None or now < at:
            return 0
        count = self.gaps.lost(now)
        for number in tuple(self._unheard)[:count]:
            del self._unheard[number]
            count -= 1
        return count

    @property
    def next_at(self) -> float | None:
        """When something may count as lost."""
        at = self.gaps.next_at
        if at is None:
            return None
        return max(at, *(shown_at + PATIENCE for shown_at in self._unheard.values()), 0.0)
