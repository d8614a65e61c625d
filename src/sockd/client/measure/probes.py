"""Probes that are numbered, sent and waited for, whoever answers them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from itertools import takewhile

from attrs import define, field

from sockd.client.measure.outcomes import Outcomes, Tell, difference, stamps_of
from sockd.client.measure.statistics import Durations
from sockd.client.report import Counts, Outcome, Spread, Stamp
from sockd.formats.probe import SEQUENCES, ProbeFormat


def _on_the_wire(number: int) -> int:
    return number % SEQUENCES


@define(eq=False)
class Probes(ABC):
    """Numbers, waits and sums of the probes of one run. Who may answer, a subclass knows.

    `wait_ns` is how long after its own send an answer counts. `tell` is told of every outcome, as
    it is known; without it none is made, which is much faster.
    """

    form: ProbeFormat
    wait_ns: int
    _first: int = field(default=0, converter=_on_the_wire, kw_only=True)
    _target: str = field(default="", kw_only=True)
    _transport: str = field(default="udp", kw_only=True)
    _tell: Tell | None = field(default=None, kw_only=True)
    lateness: Durations = field(factory=Durations, init=False)
    """How much later than due probes were sent: the instrument's own delay."""
    stamps_discarded: int = field(default=0, init=False)
    """Stamps of the kernel that did not fit both clocks."""
    _outcomes: Outcomes = field(init=False)
    _waiting: dict[int, int] = field(factory=dict, init=False)
    """When each probe was sent, by the last try, whose wait is not over; in that order."""
    _sent: int = field(default=0, init=False)
    _lost: int = field(default=0, init=False)
    _failed: int = field(default=0, init=False)
    _corrupt: int = field(default=0, init=False)
    _foreign: int = field(default=0, init=False)
    _by_kernel: int = field(default=0, init=False)
    _rtt: Durations = field(factory=Durations, init=False)
    _recent: Durations = field(factory=Durations, init=False)
    _looked: Counts = field(factory=Counts, init=False)

    @_outcomes.default
    def _to_be_told(self) -> Outcomes:
        return Outcomes(self._tell, self._target, self._transport, self._first)

    # -- what is sent

    def payloads(self, count: int = 1) -> list[bytes]:
        """The next probes to be sent; the same until `sent` or `unsent` is called for them."""
        return self.form.encode_many(self._first + self._sent, count)

    def unsent(self, reason: str) -> None:
        """The next probe could not be sent, and is not tried again: it has failed."""
        self._outcomes.add(Outcome.FAILED, self._sent, reason=reason)
        self._sent += 1
        self._failed += 1
        self._outcomes.tell()

    # -- what does not come

    @property
    def next_expiry_ns(self) -> int | None:
        """When `expire` finds something next; None while no wait runs."""
        sent_ns = next(iter(self._waiting.values()), None)
        return None if sent_ns is None else sent_ns + self.wait_ns + 1

    def expire(self, now_ns: int) -> list[int]:
        """Count as lost whose wait is over. Returns the numbers of which another try is due.

        First read the clock, then read the socket until it is empty, and then hand over that time:
        else what came in time and was not read yet were lost.
        """
        before_ns = now_ns - self.wait_ns
        waiting = self._waiting.items()  # in the order that they were sent
        for n in [n for n, _ in takewhile(lambda one: one[1] < before_ns, waiting)]:
            self._end(n)
        self._outcomes.tell()
        return []

    @abstractmethod
    def _end(self, n: int) -> None:
        """The wait of a probe is over."""

    # -- what is known

    @property
    @abstractmethod
    def counts(self) -> Counts:
        """All counts, from the beginning."""

    def interval(self) -> tuple[Counts, Spread | None]:
        """Counts and round trips since this was called last; `in_flight` is that of now."""
        self._sum_up()
        counts, recent = self.counts, self._recent
        since = difference(counts, self._looked)
        self._looked, self._recent = counts, Durations()
        return since, recent.spread()

    @property
    def rtt(self) -> Durations:
        """Round trips of what was answered in time, whoever answered."""
        self._sum_up()
        return self._rtt

    @property
    def stamps(self) -> Stamp | None:
        """Who said when answers came; None before there was one."""
        return stamps_of(len(self.rtt), self._by_kernel)

    def _sum_up(self) -> None:  # noqa: B027 - there may be nothing to do
        """Put round trips that were only put down into the sums."""
