"""Statistics of durations, all in whole nanoseconds: spread, histogram, jitter, PDV."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from math import isqrt
from operator import mul

from sockd.client.measure.bins import bin_of, edges, fill, middle_of
from sockd.client.report import Spread

EXACT = 1_000_000
"""Durations that are kept one by one, in 8 MB; of more than that only how many are in which bin."""
_PENDING = 4_096
"""Durations that wait to be summed up together, which costs a third of one at a time."""
LONGEST_NS = (1 << 63) - 1
"""Some 292 years: what no clock tells."""
_IMPOSSIBLE = "a duration is negative, or longer than a clock can tell"
PERCENTILES = {
    "p50": 50_000,
    "p90": 90_000,
    "p99": 99_000,
    "p99.9": 99_900,
    "p99.99": 99_990,
    "p99.999": 99_999,
}
"""Names of percentiles, and how many of `_WHOLE` they are."""
_WHOLE = 100_000
HISTOGRAM_BINS = 20
"""Lines of a histogram: they fit a terminal of 24 lines."""


def rank_of(parts: int, count: int) -> int | None:
    """The nearest rank of a percentile among `count` durations in order, from 1 on.

    None where `count` does not support it: that is where no duration would lie above it, so that it
    were the greatest, and no statement on how often a greater one comes. So p50 needs 2 durations,
    p90 10, p99 100, p99.9 1,000, and so on.
    """
    rank = -(-parts * count // _WHOLE)
    return rank if 0 < rank < count else None


class Durations:
    """Durations, and what they are like: exact up to a million, and in bins beyond.

    Count, least, mean, greatest and standard deviation are always exact. Beyond `EXACT` durations
    percentiles and the histogram come from log-linear bins, and are wrong by 1/256 at most; the
    memory does not grow any more. What looks at all durations (`spread`, `histogram`,
    `percentile`) takes some 0.3 s for a million: not to be asked for while it measures.
    """

    __slots__ = ("_bins", "_exact", "_kept", "_max", "_min", "_pending", "_squares", "_total")

    def __init__(self, exact: int = EXACT) -> None:
        self._exact = exact
        self._kept = array("q")
        self._bins: Counter[int] = Counter()
        self._pending: list[int] = []
        self._min = LONGEST_NS
        self._max = 0
        self._total = 0
        self._squares = 0

    def add(self, duration_ns: int) -> None:
        """One more. Raises ValueError for one that is negative or longer than `LONGEST_NS`."""
        if not 0 <= duration_ns <= LONGEST_NS:
            raise ValueError(_IMPOSSIBLE)
        self._pending.append(duration_ns)
        if len(self._pending) >= _PENDING:
            self._fold()

    def extend(self, durations_ns: Iterable[int]) -> None:
        """More of them; either all or none are taken. Raises as `add` does."""
        before = len(self._pending)
        self._pending.extend(durations_ns)
        new = self._pending[before:] if before else self._pending
        if new and not 0 <= min(new) <= max(new) <= LONGEST_NS:
            del self._pending[before:]
            raise ValueError(_IMPOSSIBLE)
        if len(self._pending) >= _PENDING:
            self._fold()

    def __len__(self) -> int:
        return len(self._kept) + len(self._pending) + self._bins.total()

    @property
    def is_exact(self) -> bool:
        """Whether percentiles are exact."""
        return len(self) <= self._exact

    @property
    def min_ns(self) -> int | None:
        """The least; None where there is none."""
        self._fold()
        return self._min if len(self) else None

    @property
    def mean_ns(self) -> int | None:
        """The mean, rounded down; None where there is none."""
        self._fold()
        return self._total // len(self) if len(self) else None

    @property
    def max_ns(self) -> int | None:
        """The greatest; None where there is none."""
        self._fold()
        return self._max if len(self) else None

    @property
    def stddev_ns(self) -> int | None:
        """The standard deviation of just these (divided by their count, as `mdev` of ping)."""
        self._fold()
        count = len(self)
        if not count:
            return None
        return isqrt((count * self._squares - self._total**2) // count**2)

    def percentile(self, name: str) -> int | None:
        """The percentile of that name, by nearest rank; None where there are too few durations."""
        return self._percentiles((name,)).get(name)

    def spread(self) -> Spread | None:
        """All of it as one value; None where there is no duration."""
        self._fold()
        count = len(self)
        if not count:
            return None
        return Spread(
            count=count,
            min_ns=self._min,
            mean_ns=self.mean_ns or 0,
            max_ns=self._max,
            stddev_ns=self.stddev_ns or 0,
            percentiles=self._percentiles(PERCENTILES),
        )

    def pdv_p99_ns(self) -> int | None:
        """RFC 5481's packet delay variation: p99 less the least; None below 100 durations."""
        p99 = self.percentile("p99")
        return None if p99 is None else p99 - self._min

    def histogram(self, bins: int = HISTOGRAM_BINS) -> tuple[tuple[int, int, int], ...]:
        """At most so many bins with round edges: from, to before, how many durations."""
        self._fold()
        if not len(self):
            return ()
        return tuple(fill(self._ordered(), edges(self._min, self._max, bins)))

    def _fold(self) -> None:
        """Sum up what waits."""
        pending = self._pending
        if not pending:
            return
        self._min = min(self._min, min(pending))
        self._max = max(self._max, max(pending))
        self._total += sum(pending)
        self._squares += sum(map(mul, pending, pending))
        if self._bins or len(self._kept) + len(pending) > self._exact:
            self._bins.update(map(bin_of, pending))
        else:
            self._kept.extend(pending)
        self._pending = []

    def _binned(self) -> None:
        """Beyond the exact ones, put those that were kept into bins, too: once, and when asked."""
        if self._bins and self._kept:
            self._bins.update(map(bin_of, self._kept))
            self._kept = array("q")

    def _ordered(self) -> Iterator[tuple[int, int]]:
        """Durations in order, and how many there are of each; from bins, the middle of each."""
        self._binned()
        if not self._bins:
            return ((duration, 1) for duration in sorted(self._kept))
        least, most = self._min, self._max
        return (
            (min(max(middle_of(number), least), most), times)
            for number, times in sorted(self._bins.items())
        )

    def _percentiles(self, names: Iterable[str]) -> dict[str, int]:
        """Those that the count supports, by name."""
        self._fold()
        self._binned()
        count = len(self)
        ranks = {name: rank_of(PERCENTILES[name], count) for name in names}
        if not self._bins:
            ordered = sorted(self._kept) if any(ranks.values()) else []
            return {name: ordered[rank - 1] for name, rank in ranks.items() if rank}
        return {name: self._at(rank) for name, rank in ranks.items() if rank}

    def _at(self, rank: int) -> int:
        """The duration of a rank, from bins."""
        seen = 0
        for duration, times in self._ordered():
            seen += times
            if seen >= rank:
                return duration
        return self._max


class Jitter:
    """RFC 3550's interarrival jitter (6.4.1), of round trips in the order of their answers.

    J += (|D| - J) / 16, where D is the difference of a round trip and the one before. The RFC's D
    is of one way; here both ways and the server's time are in it.
    """

    __slots__ = ("_last_ns", "_value")

    GAIN = 16
    """The RFC's: noise is damped, and a change is still followed soon."""

    def __init__(self) -> None:
        self._last_ns: int | None = None
        self._value: float | None = None

    @property
    def ns(self) -> int | None:
        """The jitter now; None before there were two round trips."""
        return None if self._value is None else round(self._value)

    def extend(self, rtts_ns: Iterable[int]) -> None:
        """More round trips, in the order of their answers."""
        last, value = self._last_ns, self._value
        for rtt_ns in rtts_ns:
            if last is not None:
                difference = rtt_ns - last if rtt_ns >= last else last - rtt_ns
                value = value or 0.0
                value += (difference - value) / self.GAIN
            last = rtt_ns
        self._last_ns, self._value = last, value
