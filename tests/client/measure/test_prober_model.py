"""Whatever is told to the prober in any order, it counts as its definitions say."""

from __future__ import annotations

from collections import Counter

from attrs import asdict
from hypothesis import given
from hypothesis import strategies as st

from sockd.client.measure.prober import Prober
from sockd.client.report import Counts
from sockd.formats.probe import SEQUENCES, ProbeFormat
from tests.client.relay import Fate, Path, seeded

FORM = ProbeFormat(b"session!", 24)
WAIT = 20
FIRSTS = st.sampled_from([0, 1, SEQUENCES - 5, SEQUENCES - 1, SEQUENCES // 2])
NUMBERS = st.integers(0, 12)
STEPS = st.one_of(
    st.tuples(st.just("send"), st.just(0), st.just(0)),
    st.tuples(st.just("unsent"), st.just(0), st.just(0)),
    st.tuples(st.just("answer"), NUMBERS, st.integers(0, 4)),
    st.tuples(st.just("corrupt"), NUMBERS, st.just(0)),
    st.tuples(st.just("foreign"), NUMBERS, st.just(0)),
    st.tuples(st.just("error"), NUMBERS, st.just(0)),
    st.tuples(st.just("expire"), st.just(0), st.just(0)),
)


class Model:
    """The definitions, put down without a thought for speed or memory."""

    def __init__(self, attempts: int) -> None:
        self.attempts = attempts
        self.fates: dict[int, str] = {}
        self.tries: dict[int, list[int]] = {}
        self.had: set[int] = set()
        self.counts: Counter[str] = Counter()
        self.rtts: list[int] = []
        self.order: list[int] = []

    def send(self, now: int) -> None:
        self.tries[len(self.fates)] = [now]
        self.fates[len(self.fates)] = "in_flight"

    def unsent(self) -> None:
        self.tries[len(self.fates)] = [-1]
        self.fates[len(self.fates)] = "failed"

    def is_over(self, n: int, now: int) -> bool:
        return now - self.tries[n][-1] > WAIT

    def expire(self, now: int) -> list[int]:
        """What is to be tried again, at once."""
        over = [n for n, fate in self.fates.items() if fate == "in_flight" and self.is_over(n, now)]
        again = [n for n in over if len(self.tries[n]) < self.attempts]
        for n in over:
            if n in again:
                self.tries[n].append(now)
            else:
                self.fates[n] = "lost"
        return again

    def answer(self, n: int, attempt: int, now: int) -> None:
        fate = self.fates.get(n)
        tries = len(self.tries.get(n, ()))
        most = tries if fate == "in_flight" else self.attempts
        if fate is None or not 1 <= attempt <= most:
            self.counts["corrupt"] += 1
        elif fate == "in_flight" and attempt == tries and not self.is_over(n, now):
            self.fates[n] = "received"
            self.rtts.append(now - self.tries[n][-1])
            self.counts["reordered"] += any(n < other for other in self.order)
            self.order.append(n)
            self.had.add(n)
        elif n in self.had:
            self.counts["duplicates"] += 1
        else:
            self.had.add(n)
            self.counts["late"] += 1
        is_last = tries == self.attempts == attempt
        if is_last and fate == self.fates[n] == "in_flight" and self.is_over(n, now):
            self.fates[n] = "lost"  # an answer that comes too late says that time has passed

    def error(self, n: int) -> None:
        if self.fates.get(n) == "in_flight":
            self.fates[n] = "failed"

    def told(self) -> Counts:
        fates = Counter(self.fates.values())
        tries = sum(len(times) for times in self.tries.values() if times != [-1])
        return Counts(
            sent=len(self.fates),
            **{name: fates[name] for name in ("received", "lost", "in_flight", "failed")},
            **{name: self.counts[name] for name in ("late", "duplicates", "corrupt", "foreign")},
            reordered=self.counts["reordered"],
            bytes_sent=24 * tries,
            bytes_received=24 * fates["received"],
        )


def tell(prober: Prober, model: Model, step: tuple[str, int, int], now: int, first: int) -> None:
    """Tell both the same."""
    what, n, attempt = step
    seq = (first + n) % SEQUENCES
    match what:
        case "send":
            prober.sent(now)
            model.send(now)
        case "unsent":
            prober.unsent("no buffer")
            model.unsent()
        case "answer":
            prober.received(FORM.encode(seq, attempt), now)
            model.answer(n, attempt, now)
        case "corrupt":
            prober.received(FORM.encode(seq)[:-1], now)
            model.counts["corrupt"] += 1
        case "foreign":
            prober.received(ProbeFormat(b"another!", 24).encode(seq), now)
            model.counts["foreign"] += 1
        case "error":
            prober.failed(seq, "unreachable")
            model.error(n)
        case _:
            again = [(seq - first) % SEQUENCES for seq in prober.expire(now)]
            assert sorted(again) == model.expire(now)
            for n in again:
                prober.sent_again((first + n) % SEQUENCES, now)


@given(
    st.lists(st.tuples(STEPS, st.integers(0, 9)), max_size=80),
    FIRSTS,
    st.integers(1, 3),
)
def test_counts_are_those_of_the_definitions(
    steps: list[tuple[tuple[str, int, int], int]], first: int, attempts: int
) -> None:
    prober, model, now = Prober(FORM, WAIT, first=first, attempts=attempts), Model(attempts), 0
    looked: Counter[str] = Counter()
    for step, took in steps:
        now += took
        tell(prober, model, step, now, first)
        counts = prober.counts
        assert counts == model.told()
        assert counts.sent == counts.received + counts.lost + counts.failed + counts.in_flight
        looked.update(asdict(prober.interval()[0]))
    spread = prober.rtt.spread()
    assert (spread.count if spread else 0) == len(model.rtts)
    assert prober.rtt.max_ns == max(model.rtts, default=None)
    del looked["in_flight"]
    assert +looked == +Counter(
        {name: value for name, value in asdict(prober.counts).items() if name != "in_flight"}
    )


@given(st.integers(0, 10**6), FIRSTS, st.integers(1, 4), st.integers(1, 30))
def test_a_probe_that_is_tried_again_is_received_with_its_first_try_that_passes(
    seed: int, first: int, attempts: int, probes: int
) -> None:
    prober, plan = Prober(FORM, WAIT, first=first, attempts=attempts), seeded(seed)
    path, now = Path(plan), 0
    for data in prober.payloads(probes):
        prober.sent(now)
        for answer in path.back(data) if path.forward(data) else ():
            prober.received(answer, now)
    while prober.in_flight:
        for answer in path.flush():
            prober.received(answer, now)
        now += WAIT + 1
        due = prober.expire(now)
        for answer in path.release():
            prober.received(answer, now)
        for seq in due:
            data = prober.next_try(seq)
            prober.sent_again(seq, now)
            for answer in path.back(data) if path.forward(data) else ():
                prober.received(answer, now)
    passes = {Fate.PASS, Fate.DOUBLE, Fate.SWAP, Fate.INJECT}
    seqs = [(first + n) % SEQUENCES for n in range(probes)]
    expected = [
        next((try_ for try_ in range(1, attempts + 1) if plan(seq, try_) in passes), None)
        for seq in seqs
    ]
    counts = prober.counts
    assert counts.received == sum(try_ is not None for try_ in expected)
    assert counts.lost == expected.count(None)
    assert counts.bytes_sent == 24 * sum(try_ or attempts for try_ in expected)
    assert (counts.corrupt, counts.foreign) == (path.counts.corrupt, path.counts.foreign)
