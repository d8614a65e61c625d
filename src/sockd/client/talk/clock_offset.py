"""How far another clock is from ours, where it tells whole seconds: an interval, never a guess.

RFC 868 gives the seconds of the other clock without their fraction. The server reads it at a moment
that we do not see: after we began to ask, and before the first byte of the answer came. So if it
says S, and D is its clock minus ours, then S <= moment + D < S + 1, and

    S - received <= D < S + 1 - sent

whatever the way there and back took, and however unlike both are. Asked again at a moment when it
is not known whether their next second has begun, the answer rules out a part of that; what several
answers say is what all of them allow.

All of it counts from our *monotonic* clock, which nobody sets: only at the end does one reading of
both our clocks turn it into a difference from our wall clock. Times are nanoseconds.
"""

from __future__ import annotations

from attrs import field, frozen

SECOND = 1_000_000_000
DRIFT = 500
"""Millionths by which two clocks may run apart while we ask: Linux slews a clock by no more, and
a quartz errs by less."""
COARSENESS = 10_000_000
"""Servers that ask time(2) read what the kernel wrote at its last tick: up to 10 ms ago at 100 Hz.
Just after a second has begun they still tell the one before."""


class ClockWasSet(Exception):
    """No difference allows all answers: the other clock was set meanwhile, or tells nonsense."""


def _is_interval(bounds: Bounds, _: object, high: int) -> None:
    if high <= bounds.low:
        raise ValueError(f"an interval from {bounds.low} to {high} holds nothing")


@frozen
class Bounds:
    """Between which bounds a difference lies: from `low` to before `high`."""

    low: int
    high: int = field(validator=_is_interval)

    @property
    def width(self) -> int:
        """How much is not known."""
        return self.high - self.low

    @property
    def middle(self) -> int:
        """Right between its bounds."""
        return (self.low + self.high) // 2

    def widened(self, by: int) -> Bounds:
        """With so much more on both sides."""
        return Bounds(self.low - by, self.high + by)


@frozen
class Exchange:
    """One question and its answer, by our monotonic clock."""

    seconds: int
    """What the other clock said, since whatever it counts from."""
    sent_ns: int
    """Before anything was sent that could make the server read its clock: for a connection, before
    it was asked for, as a server may read its clock before TLS is agreed on."""
    received_ns: int
    """When the first byte of the answer had come, or later."""

    @property
    def took_ns(self) -> int:
        """The time in which the server read its clock, somewhere."""
        return self.received_ns - self.sent_ns

    @property
    def allows(self) -> Bounds:
        """The differences, theirs minus our monotonic clock, that this answer allows."""
        start = self.seconds * SECOND
        return Bounds(start - self.received_ns, start + SECOND - self.sent_ns)


@frozen
class Reading:
    """Our wall clock, read between two looks at the monotonic one."""

    before_ns: int
    wall_ns: int
    after_ns: int

    def offset(self, bounds: Bounds) -> Bounds:
        """Theirs minus our wall clock, of theirs minus our monotonic clock."""
        return Bounds(
            bounds.low - (self.wall_ns - self.before_ns),
            bounds.high - (self.wall_ns - self.after_ns),
        )


@frozen
class Estimate:
    """What the answers so far allow together."""

    bounds: Bounds
    """Theirs minus our monotonic clock, as of `at_ns`."""
    at_ns: int
    fastest_ns: int
    """The quickest exchange: no answer says more than its own duration lets it."""
    is_coarse: bool = False
    """Answers contradicted each other by less than a tick of a kernel: see `COARSENESS`."""

    @classmethod
    def of(cls, exchange: Exchange) -> Estimate:
        """From the first answer."""
        return cls(exchange.allows, exchange.received_ns, exchange.took_ns)

    def at(self, moment_ns: int) -> Bounds:
        """What is known later: the clocks may have run apart since."""
        return self.bounds.widened(max(0, moment_ns - self.at_ns) * DRIFT // 1_000_000)

    def narrowed(self, exchange: Exchange) -> Estimate:
        """With one more answer. Raises ClockWasSet where it fits none of what was known."""
        known, news = self.at(exchange.received_ns), exchange.allows
        low, high = max(known.low, news.low), min(known.high, news.high)
        is_coarse = self.is_coarse
        if high <= low:
            # A late reading makes the upper bound too low, and never the lower one.
            if high + COARSENESS <= low:
                raise ClockWasSet
            is_coarse, high = True, high + COARSENESS
        return Estimate(
            Bounds(low, high),
            exchange.received_ns,
            min(self.fastest_ns, exchange.took_ns),
            is_coarse,
        )

    def is_precise(self, wanted_ns: int) -> bool:
        """Whether it is narrow enough, or asking more would hardly make it narrower."""
        return self.is_coarse or self.bounds.width <= max(wanted_ns, self.fastest_ns * 3 // 2)

    def next_ask(self, earliest_ns: int) -> int:
        """When to ask next, not before `earliest_ns`: so that the answer halves what is open.

        That is when a second of theirs begins if the difference is the middle of the interval, and
        earlier by the way there, for which half of an exchange is taken. Where the interval is wide
        the middle half of it is good enough, if that is sooner.
        """
        middle = self.bounds.middle
        slack = self.bounds.width // 4
        lead = self.fastest_ns // 2
        after = earliest_ns + lead - slack + middle
        tick = -(-after // SECOND) * SECOND
        return max(earliest_ns, tick - middle - lead)
