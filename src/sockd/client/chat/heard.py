"""What a client knows of a channel it is in: its key, and which of its events have come."""

from __future__ import annotations

from collections import deque

from attrs import define, field

from sockd.formats.chat.events import Event
from sockd.formats.chat.texts import Group
from sockd.formats.chat.window import WINDOW, Arrival, Window, distance

PATIENCE = 1.0
"""Seconds that an event may come later than those behind it, before it counts as lost."""
EXCUSE_SECONDS = 10.0
"""How long a second try explains that an answer is missing."""
TWICE_SECONDS = 0.7
"""Within which an old server's event that is the same as one before is that one, doubled on the
way: it has no number, and nobody types a line twice as fast."""
MOST_RECENT = 256
"""Events that are compared; a flood is not remembered."""


@define(eq=False)
class Gaps:
    """Numbers that come in any order, each taken once; those that never come are told once."""

    _window: Window = field(factory=Window)
    _since: float | None = field(init=False, default=None)
    """Since when something is missing."""
    _top: int = field(init=False, default=0)
    """The highest then: what is missing above it has its time from later on."""

    @classmethod
    def after(cls, number: int) -> Gaps:
        """All that are higher are awaited."""
        return cls(Window(number))

    def arrive(self, number: int, now: float) -> bool:
        """One has come; False where it is to be dropped."""
        is_new = self._window.arrive(number) is Arrival.NEW
        self._look(now)
        return is_new

    def reach(self, last: int, now: float) -> None:
        """Whoever counts says which was last. Where we are far ahead of that, somebody has lied to
        us before, and we begin there."""
        if distance(self._window.highest, last) <= -WINDOW:
            self._window = Window(last)
        self._window.reach(last)
        self._look(now)

    def is_ahead(self, last: int) -> bool:
        """Whether we have had more than this."""
        return distance(self._window.highest, last) < 0

    def lost(self, now: float) -> int:
        """How many did not come in time; they are told once."""
        if self._since is None or now < self._since + PATIENCE:
            return 0
        window = self._window
        count, window.lost = window.lost, 0
        for number in window.missing():
            if distance(self._top, number) <= 0:
                window.arrive(number)
                count += 1
        self._since = None
        self._look(now)
        return count

    @property
    def next_at(self) -> float | None:
        """When something may count as lost."""
        return None if self._since is None else self._since + PATIENCE

    def _look(self, now: float) -> None:
        """Whether something is missing, and since when."""
        if not (self._window.lost or self._window.missing()):
            self._since = None
        elif self._since is None:
            self._since, self._top = now, self._window.highest


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
    _told: int = field(init=False, default=0)
    """How many were told as lost, and when."""
    _told_at: float = field(init=False, default=0.0)

    def arrive(self, sequence: int, now: float) -> bool:
        """An event has come; False where it is to be dropped."""
        return self.gaps.arrive(sequence, now)

    def show_early(self, number: int, said_at: float, now: float) -> None:
        """What we said with this number is shown, and has not come back yet."""
        self._shown.append(number)
        if self._told and said_at < self._told_at:
            self._told -= 1  # it may be one of those already
            return
        self._unheard[number] = now
        if len(self._unheard) > WINDOW:
            del self._unheard[next(iter(self._unheard))]

    def came_back(self, number: int) -> bool:
        """What we said has come back. Whether it is shown already."""
        self._unheard.pop(number, None)
        return number in self._shown

    def lost(self, now: float) -> int:
        """How many did not come in time, without those of our own that were shown already. It waits
        a little until those may be counted as lost, too."""
        at = self.next_at
        if at is None or now < at:
            return 0
        count = self.gaps.lost(now)
        for number in tuple(self._unheard)[:count]:
            del self._unheard[number]
            count -= 1
        if count:
            self._told, self._told_at = count, now
        return count

    @property
    def next_at(self) -> float | None:
        """When something may count as lost."""
        at = self.gaps.next_at
        if at is None or not self._unheard:
            return at
        return min(max(at, max(self._unheard.values()) + PATIENCE), at + PATIENCE)


@define(eq=False)
class Excuses:
    """Why an answer may be missing: something was sent once more, as the answer to the first try
    may have been lost, and there was one to each."""

    _given: deque[float] = field(init=False, factory=deque)

    def add(self, now: float) -> None:
        """One more."""
        self._given.append(now)

    def take(self, lost: int, now: float) -> int:
        """How many of those that are lost there is no excuse for."""
        while self._given and now >= self._given[0] + EXCUSE_SECONDS:
            self._given.popleft()
        while lost and self._given:
            self._given.popleft()
            lost -= 1
        return lost


@define(eq=False)
class Recent:
    """What an old server has told just now."""

    _came: dict[Event, float] = field(init=False, factory=dict)

    def is_double(self, event: Event, now: float) -> bool:
        """Whether the same has come a moment ago."""
        before = self._came.pop(event, None)
        self._came[event] = now
        if len(self._came) > MOST_RECENT:
            del self._came[next(iter(self._came))]
        return before is not None and now < before + TWICE_SECONDS
