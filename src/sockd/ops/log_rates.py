"""How many lines are written: of one kind, and in all. What is more is counted, and told later."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from attrs import define, field

from sockd.access.buckets import Buckets
from sockd.options.units import Rate

BURST_SECONDS = 10.0
"""What may be written at once, in seconds of the rate: a crowd that comes is told whole."""
KINDS_KEPT = 10_000
"""Kinds whose rate is remembered: events times services, which the configuration bounds."""
TRACEBACK_LINES = 50
"""Lines that a traceback counts as: it is some 16 kB at most."""
KINDS_TOLD = 20
"""Kinds of which it is told how many lines there were, each time; the rest are summed up."""
CONNECTIONS = "connections"
"""The kind of both lines of a connection."""
_SAME = {"opened": CONNECTIONS, "closed": CONNECTIONS}
_OFF = Rate(float("inf"), 1)

Kind = tuple[str, str]
"""The name of an event, and the service that it is of."""


@define(eq=False)
class Rates:
    """Budgets of lines. Pure: it is told the time, in the seconds of a clock that nobody sets.

    What somebody should look at has a budget of its own in all: a flood of connections does not
    crowd it out.
    """

    of_kind: Rate = _OFF
    in_all: Rate = _OFF
    unwritten: Counter[Kind] = field(init=False, factory=Counter)
    """Lines that were not written since `told` was asked."""
    _kinds: Buckets | None = field(init=False, default=None)
    _all: Buckets | None = field(init=False, default=None)

    def __attrs_post_init__(self) -> None:
        self.apply(self.of_kind, self.in_all)

    def apply(self, of_kind: Rate, in_all: Rate) -> None:
        """Have other rates from now on."""
        self.of_kind, self.in_all = of_kind, in_all
        self._kinds = _buckets(of_kind, KINDS_KEPT)
        self._all = _buckets(in_all, 2)

    @property
    def is_off(self) -> bool:
        """Whether every line is written."""
        return self._kinds is None and self._all is None

    def take(self, event: str, service: str, now: float, lines: int, *, is_info: bool) -> bool:
        """Whether so many lines of an event may be written now; they are counted if not."""
        kind = (_SAME.get(event, event), service)
        # of more than there can ever be at once, one is written at a time
        fits = self._kinds is None or self._kinds.take(kind, now, min(lines, self._kinds.burst))
        if fits and self._all is not None:
            fits = self._all.take(is_info, now, min(lines, self._all.burst))
        if not fits:
            self.unwritten[kind] += lines
        return fits

    def take_connections(self, wanted: Mapping[str, int], now: float) -> dict[str, float]:
        """How many lines of connections of each service may be written now, of those wanted.

        What of it is not used is to be given back: a part of a line, half a connection.
        """
        found = {}
        for service, lines in wanted.items():
            granted = of_kind = float(lines)
            if self._kinds is not None:
                granted = of_kind = self._kinds.take_up_to(granted, (CONNECTIONS, service), now)
            if self._all is not None:
                granted = self._all.take_up_to(granted, True, now)
            if self._kinds is not None:
                self._kinds.give_back(of_kind - granted, (CONNECTIONS, service))
            found[service] = granted
        return found

    def give_back(self, service: str, lines: float) -> None:
        """So much was granted to a service, and not used."""
        if self._kinds is not None:
            self._kinds.give_back(lines, (CONNECTIONS, service))
        if self._all is not None:
            self._all.give_back(lines, True)

    def leave_out(self, service: str, lines: int) -> None:
        """Count lines of connections that are not written."""
        self.unwritten[CONNECTIONS, service] += lines

    def told(self) -> list[tuple[str, str, int]]:
        """Event, service, and how many lines of it were not written since this was last asked."""
        most = self.unwritten.most_common(KINDS_TOLD)
        rest = self.unwritten.total() - sum(lines for _, lines in most)
        self.unwritten.clear()
        found = [(event, service, lines) for (event, service), lines in most]
        return [*found, ("others", "sockd", rest)] if rest else found


def _buckets(rate: Rate, size: int) -> Buckets | None:
    if rate.is_off:
        return None
    return Buckets(rate.per_second, max(1.0, rate.per_second * BURST_SECONDS), size)
