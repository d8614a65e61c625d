"""Probes to many at once, a broadcast or a group: who answered, and how each of them did.

A probe is answered where anybody answers in time. An answer from a second address is no duplicate:
each address may answer once, and has counts of its own, in which a probe is lost that the address
did not answer in time, from the first probe of the run on.
"""

from __future__ import annotations

from collections.abc import Iterable

from attrs import define, field

from sockd.client.measure.probes import Probes
from sockd.client.measure.statistics import Durations, Jitter
from sockd.client.net.clocks import carried_over
from sockd.client.report import Counts, Outcome
from sockd.formats.probe import SEQUENCES, Verdict

MOST_ANSWERERS = 1_024
"""Addresses that are told apart, a large broadcast domain: who forges addresses could fill any
table. Answers of further ones are counted, and no more."""
MOST_IN_FLIGHT = 4_096
"""Probes whose wait is not over: each is answered by everybody, so the rate has to be low."""
REMEMBERED = 4_096
"""The latest probes of which it is known whether an address has answered them; answers to older
ones count as late."""
EXACT = 4_096
"""Round trips of one address that are kept one by one: 32 KB, for each of so many addresses."""
ArrivedFrom = tuple[bytes, int | None, str]
"""What came, the kernel's stamp of it by the wall clock or None, and the address it came from."""


class Answerer:
    """One address, and how it answered."""

    def __init__(self) -> None:
        self.rtt = Durations(EXACT)
        self.jitter = Jitter()
        self.received = 0
        self.late = 0
        self.duplicates = 0
        self.corrupt = 0
        self.reordered = 0
        self.greatest = -1
        self._had: set[int] = set()
        """What it has answered, in time or late, of the latest probes."""

    def has_answered(self, n: int) -> bool:
        """Whether it has answered a probe, as far as is remembered."""
        return n in self._had

    def take(self, n: int, rtt_ns: int, is_in_time: bool, oldest: int) -> Outcome:
        """Count an answer; `oldest` is the oldest probe that is remembered."""
        if n in self._had:
            self.duplicates += 1
            return Outcome.DUPLICATE
        if n >= oldest:
            self._had.add(n)
            if len(self._had) > 2 * REMEMBERED:
                self._had = {number for number in self._had if number >= oldest}
        if not is_in_time:
            self.late += 1
            return Outcome.LATE
        self.received += 1
        self.rtt.add(rtt_ns)
        self.jitter.extend((rtt_ns,))
        if n < self.greatest:
            self.reordered += 1
        else:
            self.greatest = n
        return Outcome.ANSWERED


@define(eq=False)
class Answerers(Probes):
    """Counts of the probes to an address that many hear, and of everybody who answers.

    It is told of sends and of time as a `Prober` is, and never tries again. In `counts` a probe is
    received once at least one address answered it in time; late, duplicate and reordered answers
    are those of all addresses together. `rtt` has the round trips of all of them.
    """

    by_address: dict[str, Answerer] = field(factory=dict, init=False)
    """Who answered, in the order of their first answers."""
    unlisted: int = field(default=0, init=False)
    """Answers of addresses beyond `MOST_ANSWERERS`."""
    _received: int = field(default=0, init=False)
    _answered: set[int] = field(factory=set, init=False)
    """Of those that are waited for, the ones that somebody has answered."""

    # -- what is sent

    @property
    def room(self) -> int:
        """How many probes more may be in flight."""
        return MOST_IN_FLIGHT - len(self._waiting)

    def sent(self, at_ns: int, due_ns: int | None = None) -> None:
        """The next probe was sent; `at_ns` was read just before. Raises where there is no room."""
        if len(self._waiting) >= MOST_IN_FLIGHT:
            raise OverflowError(f"the wait of {MOST_IN_FLIGHT} probes is not over")
        self._waiting[self._sent] = at_ns
        if due_ns is not None:
            self.lateness.add(max(0, at_ns - due_ns))
        self._sent += 1

    def sent_many(self, count: int, at_ns: int) -> None:
        """The next `count` probes are being sent by one call, before which `at_ns` was read."""
        for _ in range(count):
            self.sent(at_ns)

    # -- what comes

    def received_many(
        self, arrived: Iterable[ArrivedFrom], now_ns: int, offset_ns: int | None = None
    ) -> None:
        """Datagrams came, in this order: see `Prober.received_many`."""
        for data, stamp_ns, address in arrived:
            verdict, seq, attempt = self.form.read(data)
            if verdict is Verdict.FOREIGN:
                self._foreign += 1
                self._outcomes.add(Outcome.FOREIGN, size=len(data), address=address)
                continue
            answerer = self._answerer(address)
            n = (seq - self._first) % SEQUENCES
            if verdict is Verdict.CORRUPT or n >= self._sent or attempt != 1:
                self._corrupt += 1
                self._outcomes.add(Outcome.CORRUPT, size=len(data), address=address)
                if answerer:
                    answerer.corrupt += 1
            elif answerer is None:
                self.unlisted += 1
            else:
                self._answer(n, answerer, address, (stamp_ns, offset_ns, now_ns))
        self._outcomes.tell()

    def _answerer(self, address: str) -> Answerer | None:
        found = self.by_address.get(address)
        if found is None and len(self.by_address) < MOST_ANSWERERS:
            found = self.by_address[address] = Answerer()
        return found

    def _answer(
        self,
        n: int,
        answerer: Answerer,
        address: str,
        moment: tuple[int | None, int | None, int],
    ) -> None:
        stamp_ns, offset_ns, now_ns = moment
        sent_ns, rtt_ns, at_ns = self._waiting.get(n), None, None
        if sent_ns is not None:
            at_ns = carried_over(stamp_ns, offset_ns, sent_ns, now_ns)
            rtt_ns = (now_ns if at_ns is None else at_ns) - sent_ns
            if stamp_ns is not None and at_ns is None:
                self.stamps_discarded += 1
            if rtt_ns > self.wait_ns:
                self._end(n)
        is_in_time = n in self._waiting
        outcome = answerer.take(n, rtt_ns or 0, is_in_time, self._sent - REMEMBERED)
        if outcome is Outcome.ANSWERED and rtt_ns is not None:
            self._by_kernel += at_ns is not None
            self._rtt.add(rtt_ns)
            self._recent.add(rtt_ns)
            if n not in self._answered:
                self._answered.add(n)
                self._received += 1
        self._outcomes.add(
            outcome, n, 1, rtt_ns, at_ns is not None, size=self.form.size, address=address
        )

    # -- what does not come

    def _end(self, n: int) -> None:
        del self._waiting[n]
        if n in self._answered:
            self._answered.remove(n)
        else:
            self._lost += 1
            self._outcomes.add(Outcome.LOST, n)

    # -- what is known

    @property
    def in_flight(self) -> int:
        """Probes without an answer whose wait is not over."""
        return len(self._waiting) - len(self._answered)

    @property
    def counts(self) -> Counts:
        """All counts, from the beginning, of all addresses together."""
        everybody, size = self.by_address.values(), self.form.size
        return Counts(
            sent=self._sent,
            received=self._received,
            lost=self._lost,
            in_flight=self.in_flight,
            late=sum(one.late for one in everybody),
            duplicates=sum(one.duplicates for one in everybody),
            corrupt=self._corrupt,
            foreign=self._foreign,
            reordered=sum(one.reordered for one in everybody),
            failed=self._failed,
            bytes_sent=(self._sent - self._failed) * size,
            bytes_received=len(self._rtt) * size,
        )

    def counts_of(self, address: str) -> Counts:
        """Counts of one address. Raises KeyError for one that has not answered."""
        one, size = self.by_address[address], self.form.size
        in_flight = sum(not one.has_answered(n) for n in self._waiting)
        return Counts(
            sent=self._sent,
            received=one.received,
            lost=self._sent - self._failed - one.received - in_flight,
            in_flight=in_flight,
            late=one.late,
            duplicates=one.duplicates,
            corrupt=one.corrupt,
            reordered=one.reordered,
            failed=self._failed,
            bytes_sent=(self._sent - self._failed) * size,
            bytes_received=one.received * size,
        )
