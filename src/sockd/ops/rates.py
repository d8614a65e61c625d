"""What each service has done in all, and how much of it a second in the last minute."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping

from attrs import frozen
from twisted.internet.interfaces import IDelayedCall

from sockd.access.guard import Guard
from sockd.daemon.daemon import Daemon

EVERY = 5.0
"""Seconds between two looks. One adds up the bytes of all open connections: 10,000 take 1 ms."""
SPAN = 60.0
"""Seconds that a rate is of: long enough for a figure that stands still, short enough for now."""
NAMES = (
    "connections",
    "refused",
    "errors",
    "bytes_in",
    "bytes_out",
    "datagrams_in",
    "datagrams_out",
)
"""What is told of a service."""

Totals = Mapping[str, int]


def totals(guard: Guard) -> dict[str, int]:
    """What a service has done since it began; the bytes of open connections too."""
    found = {name: guard.counts[name] for name in NAMES}
    for session in guard.sessions:
        found["bytes_in"] += session.bytes_in
        found["bytes_out"] += session.bytes_out
    return found


@frozen
class _Look:
    """What the totals were at a moment."""

    at: float
    totals: Mapping[Guard, Totals]


class RateMeter:
    """Looks now and then, from `start` to `stop`."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._clock = daemon.world.reactor
        self._looks: deque[_Look] = deque(maxlen=round(SPAN / EVERY))
        self._next: IDelayedCall | None = None

    def start(self) -> None:
        """Begin to look."""
        if self._next is None:
            self._look()

    def stop(self) -> None:
        """Look no more."""
        if self._next is not None:
            self._next.cancel()
            self._next = None

    @property
    def span(self) -> float:
        """Seconds that the rates are of, where a service has been there for as long."""
        return self._clock.seconds() - self._looks[0].at if self._looks else 0.0

    def rates(self, guard: Guard, now: Totals) -> dict[str, float]:
        """How much of each a second, from what the totals are now."""
        for look in self._looks:
            if (before := look.totals.get(guard)) is not None:
                seconds = self._clock.seconds() - look.at
                break
        else:
            return dict.fromkeys(NAMES, 0.0)
        if seconds <= 0:
            return dict.fromkeys(NAMES, 0.0)
        # what was written and is not sent any more is taken back: `travesty`, at a ^C
        return {name: max(0, now[name] - before[name]) / seconds for name in NAMES}

    def _look(self) -> None:
        self._looks.append(_Look(self._clock.seconds(), _every(self._guards())))
        self._next = self._clock.callLater(EVERY, self._look)

    def _guards(self) -> Iterable[Guard]:
        return (running.guard for _, running in self._daemon.instances)


def _every(guards: Iterable[Guard]) -> dict[Guard, Totals]:
    return {guard: totals(guard) for guard in guards}
