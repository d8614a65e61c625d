"""Probes that are numbered, sent and waited for, whoever answers them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from itertools import takewhile

from sockd.client.measure.outcomes import Outcomes, Tell, difference, stamps_of
from sockd.client.measure.statistics import Durations
from sockd.client.report import Counts, Outcome, Spread, Stamp
from sockd.formats.probe import SEQUENCES, ProbeFormat


class Probes(ABC):
    """Numbers, waits and sums of the probes of one run. Who may answer, a subclass knows.

    `wait_ns` is how long after its own send an answer counts. `tell` is told of every outcome, as
    it is known; without it none is made, which is much faster.
    """

    stamps_discarded = 0
    """Stamps of the kernel that did not fit both clocks."""
    _sent = 0
    _lost = 0
    _failed = 0
    _corrupt = 0
    _foreign = 0
    _by_kernel = 0

    def __init__(
        self,
        form: ProbeFormat,
        wait_ns: int,
        *,
        first: int = 0,
        target: str = "",
        transport: str = "udp",
        tell: Tell | None = None,
    ) -> None:
        self.form = form
        self.wait_ns = wait_ns
        self.lateness = Durations()
        """How much later than due probes were sent: the instrument's own delay."""
        self._first = first % SEQUENCES
        self._outcomes = Outcomes(tell, target, transport, self._first)
        self._waiting: dict[int, int] = {}
        """When each probe was sent, by the last try, whose wait is not over; in that order."""
        self._rtt = Durations()
        self._looked = Counts()
        self._recent = Durations()

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
