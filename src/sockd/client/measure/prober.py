"""What became of the probes to one target: told what is sent and what comes, it counts.

It opens no socket and reads no clock. All times are nanoseconds of one monotonic clock. Probes are
numbered from 0 here (`n`), and on the wire from `first` on, modulo 2^64.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import repeat

from attrs import define, field

from sockd.client.measure.probes import Probes
from sockd.client.measure.statistics import Jitter
from sockd.client.net.clocks import carried_over
from sockd.client.report import Counts, Outcome
from sockd.formats.probe import LAST_ATTEMPT, SEQUENCES, Verdict

MOST_UNANSWERED = 1_000_000
"""Probes without an answer whose wait is not over, some 100 MB: 250,000 a second with 4 s each."""
REMEMBERED = 1 << 20
"""The latest probes of which it is known whether they had an answer: a byte each, so 1 MB, and 10 s
at the highest rate that the client reaches. A later answer to an older probe counts as late."""
LOST_REMEMBERED = 1 << 16
"""The latest lost probes of which it is known when they were sent, so how late an answer is: up to
twice as many are held, as the older half is dropped at once."""
_FRESH = 1_024
"""Round trips that are summed up together: one at a time would take twice as long."""
_SLOTS = REMEMBERED - 1
_LAST_SEQ = SEQUENCES - 1

Datagram = tuple[bytes, int | None]
"""What came, and the kernel's stamp of it by the wall clock, where there is one."""
Moment = tuple[int, int | None, int | None]
"""Now, the kernel's stamp, and what to add to that."""


@define(eq=False)
class Prober(Probes):
    """Counts, round trips and outcomes of the probes to one target that answers once.

    `attempts` is how often a probe is sent at most: 1 where something is measured. `definitions`
    has what the counts mean; always sent == received + lost + failed + in_flight.
    """

    attempts: int = field(default=1, kw_only=True)
    _datagrams: int = field(default=0, init=False)
    """With every try."""
    _late: int = field(default=0, init=False)
    _duplicates: int = field(default=0, init=False)
    _reordered: int = field(default=0, init=False)
    _greatest: int = field(default=-1, init=False)
    """Of what was answered in time."""
    _jitter: Jitter = field(factory=Jitter, init=False)
    _tries: dict[int, int] = field(factory=dict, init=False)
    """The number of the last try, where it is not the first, of what is in flight."""
    _again: dict[int, None] = field(factory=dict, init=False)
    """In flight, but the wait of its last try is over and the next try not sent yet."""
    _had: bytearray = field(factory=lambda: bytearray(REMEMBERED), init=False)
    """Whether a probe had an answer, in time or late."""
    _lost_sent: dict[int, int] = field(factory=dict, init=False)
    _lost_before: dict[int, int] = field(factory=dict, init=False)
    """When the latest lost probes were sent."""
    _due: list[int] = field(factory=list, init=False)
    """What `expire` is to ask another try for."""
    _fresh: list[int] = field(factory=list, init=False)
    """Round trips that are not summed up yet."""

    def __attrs_post_init__(self) -> None:
        if not 1 <= self.attempts <= LAST_ATTEMPT:
            raise ValueError(f"a probe is sent 1 to {LAST_ATTEMPT} times, not {self.attempts}")

    # -- what is sent

    @property
    def room(self) -> int:
        """How many probes more may be in flight: `MOST_UNANSWERED` less those that are."""
        return MOST_UNANSWERED - self.in_flight

    def sent(self, at_ns: int, due_ns: int | None = None) -> None:
        """The next probe was sent; `at_ns` was read just before. Raises where there is no room."""
        n = self._sent
        waiting = self._waiting
        if len(waiting) >= MOST_UNANSWERED:
            raise OverflowError(f"{MOST_UNANSWERED} probes have no answer yet")
        waiting[n] = at_ns
        self._had[n & _SLOTS] = 0
        self._sent = n + 1
        self._datagrams += 1
        if due_ns is not None:
            late_ns = max(0, at_ns - due_ns)
            self.lateness.add(late_ns)
            self._outcomes.sent_late(n, late_ns)

    def sent_many(self, count: int, at_ns: int) -> None:
        """The next `count` probes were sent by one call, just before which `at_ns` was read."""
        n = self._sent
        if len(self._waiting) + count > MOST_UNANSWERED:
            raise OverflowError(f"{MOST_UNANSWERED} probes have no answer yet")
        self._waiting.update(zip(range(n, n + count), repeat(at_ns), strict=False))
        for number in range(n, n + count):
            self._had[number & _SLOTS] = 0
        self._sent = n + count
        self._datagrams += count

    def unsent(self, reason: str) -> None:
        """The next probe could not be sent, and is not tried again: it has failed."""
        self._had[self._sent & _SLOTS] = 0
        super().unsent(reason)

    def next_try(self, seq: int) -> bytes:
        """The payload of another try of a probe that `expire` has asked for."""
        n = (seq - self._first) & _LAST_SEQ
        return self.form.encode(seq, self._tries.get(n, 1) + 1)

    def sent_again(self, seq: int, at_ns: int) -> None:
        """Another try was sent. What `expire` did not ask for changes nothing."""
        n = (seq - self._first) & _LAST_SEQ
        if n in self._again:
            del self._again[n]
            self._tries[n] = self._tries.get(n, 1) + 1
            self._waiting[n] = at_ns
            self._datagrams += 1

    # -- what comes

    def received(
        self, data: bytes, now_ns: int, stamp_ns: int | None = None, offset_ns: int | None = None
    ) -> None:
        """One datagram came: see `received_many`."""
        self.received_many(((data, stamp_ns),), now_ns, offset_ns)

    def received_many(
        self, datagrams: Iterable[Datagram], now_ns: int, offset_ns: int | None = None
    ) -> None:
        """Datagrams came, in this order, each with its stamp by the wall clock or None.

        `now_ns` was read after they were; `offset_ns` is what to add to a stamp (`Clocks.read` has
        both). Stamps are discarded where it is None, and where they do not fit. Raises ValueError
        where `now_ns` is before the send of what is answered: it was read too early.
        """
        read, waiting, tries, had = self.form.read, self._waiting, self._tries, self._had
        forgotten, rtts = self._sent - REMEMBERED, self._fresh
        greatest, by_kernel, is_told = self._greatest, 0, bool(self._outcomes)
        for data, stamp_ns in datagrams:
            verdict, seq, attempt = read(data)
            n = (seq - self._first) & _LAST_SEQ
            sent_ns = waiting.get(n)
            if verdict or sent_ns is None or attempt != (tries.get(n, 1) if tries else 1):
                self._unexpected(verdict, n, attempt, len(data), (now_ns, stamp_ns, offset_ns))
                continue
            at_ns = carried_over(stamp_ns, offset_ns, sent_ns, now_ns)
            if at_ns is None:
                self.stamps_discarded += stamp_ns is not None
            rtt_ns = (now_ns if at_ns is None else at_ns) - sent_ns
            if not 0 <= rtt_ns <= self.wait_ns:
                self._overdue(n, attempt, rtt_ns, at_ns is not None)
                continue
            by_kernel += at_ns is not None
            del waiting[n]
            if n >= forgotten:
                had[n & _SLOTS] = 1
            if n < greatest:
                self._reordered += 1
            else:
                greatest = n
            rtts.append(rtt_ns)
            if tries or is_told:
                self._answered(n, attempt, rtt_ns, at_ns is not None)
        self._greatest, self._by_kernel = greatest, self._by_kernel + by_kernel
        self._finish()

    def failed(self, seq: int, reason: str) -> bool:
        """An error of the network came back for a probe; whether that was in flight."""
        n = (seq - self._first) & _LAST_SEQ
        if n not in self._waiting and n not in self._again:
            return False
        self._waiting.pop(n, None)
        self._again.pop(n, None)
        self._failed += 1
        self._outcomes.add(Outcome.FAILED, n, self._tries.pop(n, 1), reason=reason)
        self._outcomes.tell()
        return True

    def fail_all(self, reason: str) -> None:
        """Nothing that is in flight will come any more."""
        for n in [*self._waiting, *self._again]:
            self.failed((self._first + n) & _LAST_SEQ, reason)

    def strangers(self, count: int) -> None:
        """So many datagrams came from addresses that were not asked."""
        self._foreign += count

    # -- what does not come

    def expire(self, now_ns: int) -> list[int]:
        super().expire(now_ns)
        due, self._due = self._due, []
        return [(self._first + n) & _LAST_SEQ for n in due if n in self._again]

    # -- what is known

    @property
    def in_flight(self) -> int:
        """Probes without an answer whose wait is not over."""
        return len(self._waiting) + len(self._again)

    @property
    def counts(self) -> Counts:
        received, size = self._received, self.form.size
        return Counts(
            sent=self._sent,
            received=received,
            lost=self._lost,
            in_flight=self.in_flight,
            late=self._late,
            duplicates=self._duplicates,
            corrupt=self._corrupt,
            foreign=self._foreign,
            reordered=self._reordered,
            failed=self._failed,
            bytes_sent=self._datagrams * size,
            bytes_received=received * size,
        )

    @property
    def jitter_ns(self) -> int | None:
        """RFC 3550's jitter of round trips; None before there were two."""
        self._sum_up()
        return self._jitter.ns

    # -- inside

    @property
    def _received(self) -> int:
        return len(self._rtt) + len(self._fresh)

    def _sum_up(self) -> None:
        if fresh := self._fresh:
            self._rtt.extend(fresh)
            self._recent.extend(fresh)
            self._jitter.extend(fresh)
            self._fresh = []

    def _finish(self) -> None:
        if len(self._fresh) >= _FRESH:
            self._sum_up()
        self._outcomes.tell()

    def _answered(self, n: int, attempt: int, rtt_ns: int, by_kernel: bool) -> None:
        """What an ordinary answer needs only where probes are tried again, or outcomes told."""
        self._tries.pop(n, None)
        self._outcomes.add(Outcome.ANSWERED, n, attempt, rtt_ns, by_kernel, size=self.form.size)

    def _overdue(self, n: int, attempt: int, rtt_ns: int, by_kernel: bool) -> None:
        """The answer of a probe whose wait is over, though `expire` was not told so yet."""
        if rtt_ns < 0:
            raise ValueError("an answer was read before its probe was sent")
        self._end(n)
        self._outcomes.add(self._after(n), n, attempt, rtt_ns, by_kernel, size=self.form.size)

    def _unexpected(
        self, verdict: Verdict, n: int, attempt: int, size: int, moment: Moment
    ) -> None:
        """What is not the answer that a probe in flight waits for."""
        most = self._tries.get(n, 1) if n in self._waiting or n in self._again else self.attempts
        if verdict is Verdict.FOREIGN:
            self._foreign += 1
            self._outcomes.add(Outcome.FOREIGN, size=size)
        elif verdict is Verdict.CORRUPT or n >= self._sent or not 1 <= attempt <= most:
            self._corrupt += 1
            self._outcomes.add(Outcome.CORRUPT, size=size)
        else:
            now_ns, stamp_ns, offset_ns = moment
            sent_ns = self._lost_sent.get(n, self._lost_before.get(n))
            rtt_ns, by_kernel = None, False
            if sent_ns is not None and attempt == self.attempts:
                at_ns = carried_over(stamp_ns, offset_ns, sent_ns, now_ns)
                rtt_ns, by_kernel = (at_ns or now_ns) - sent_ns, at_ns is not None
            self._outcomes.add(self._after(n), n, attempt, rtt_ns, by_kernel, size=size)

    def _after(self, n: int) -> Outcome:
        """Count an answer that is not in time: late, or a duplicate of one that came."""
        is_known = n >= self._sent - REMEMBERED
        if is_known and self._had[n & _SLOTS]:
            self._duplicates += 1
            return Outcome.DUPLICATE
        if is_known:
            self._had[n & _SLOTS] = 1
        self._late += 1
        return Outcome.LATE

    def _end(self, n: int) -> None:
        """The wait of the last try of a probe is over: another one is due, or it is lost."""
        sent_ns = self._waiting.pop(n)
        if self._tries.get(n, 1) < self.attempts:
            self._again[n] = None
            self._due.append(n)
            return
        if len(self._lost_sent) >= LOST_REMEMBERED:
            self._lost_before, self._lost_sent = self._lost_sent, {}
        self._lost_sent[n] = sent_ns
        self._lost += 1
        self._outcomes.add(Outcome.LOST, n, self._tries.pop(n, 1))
