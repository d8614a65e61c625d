"""How long the reactor's loop keeps others waiting: a timer that looks how late it is."""

from __future__ import annotations

from collections import deque
from math import ceil

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from sockd.access.counts import Histogram

EVERY = 0.1
"""Seconds between two looks: whatever holds the loop for longer than that is seen, and what holds
it for a part of it as often. Ten times a second costs a processor nothing."""
BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
"""Upper bounds of the bins, in seconds: 0.02 and 0.1 are what no flood may exceed."""
KEPT = 600
"""Looks of which the last minute is made."""


class LagMeter:
    """Measures from `start` to `stop`."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._due = 0.0
        self._next: IDelayedCall | None = None
        self._last = 0.0
        self._recent: deque[float] = deque(maxlen=KEPT)
        self.histogram = Histogram(BOUNDS)
        """All that was measured."""

    def start(self) -> None:
        """Begin to measure."""
        if self._next is None:
            self._plan()

    def stop(self) -> None:
        """Measure no more."""
        if self._next is not None:
            self._next.cancel()
            self._next = None

    @property
    def now(self) -> float:
        """How late the loop is, in seconds: at the last look, or already for the next one."""
        late = self._clock.seconds() - self._due if self._next is not None else 0.0
        return max(self._last, late)

    def quantile(self, part: float) -> float:
        """Of the looks of the last minute, the lag that this part of them did not exceed."""
        if not self._recent:
            return 0.0
        values = sorted(self._recent)
        return values[max(0, ceil(part * len(values)) - 1)]

    @property
    def worst(self) -> float:
        """The greatest lag of the last minute."""
        return max(self._recent, default=0.0)

    def _plan(self) -> None:
        self._due = self._clock.seconds() + EVERY
        self._next = self._clock.callLater(EVERY, self._look)

    def _look(self) -> None:
        self._last = late = max(0.0, self._clock.seconds() - self._due)
        self._recent.append(late)
        self.histogram.add(late)
        self._plan()
