"""Durations are summed up exactly; a percentile is given where there are durations enough."""

from __future__ import annotations

import random
from fractions import Fraction
from itertools import pairwise
from math import ceil, isqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockd.client.measure.statistics import (
    EXACT,
    LONGEST_NS,
    PERCENTILES,
    Durations,
    Jitter,
    rank_of,
)
from sockd.client.report import Spread

DURATIONS = st.lists(st.integers(0, LONGEST_NS) | st.integers(0, 5_000_000), max_size=150)
SHARES = {
    "p50": Fraction(50, 100),
    "p90": Fraction(90, 100),
    "p99": Fraction(99, 100),
    "p99.9": Fraction(999, 1_000),
    "p99.99": Fraction(9_999, 10_000),
    "p99.999": Fraction(99_999, 100_000),
}


def of(*durations: int, exact: int = EXACT) -> Durations:
    """These durations, added one by one."""
    found = Durations(exact)
    for duration in durations:
        found.add(duration)
    return found


def expected_spread(durations: list[int]) -> Spread | None:
    """What the definitions say, in fractions."""
    if not durations:
        return None
    count, ordered = len(durations), sorted(durations)
    mean = Fraction(sum(durations), count)
    variance = sum((duration - mean) ** 2 for duration in durations) / count
    ranks = {name: ceil(share * count) for name, share in SHARES.items()}
    return Spread(
        count=count,
        min_ns=ordered[0],
        mean_ns=int(mean),
        max_ns=ordered[-1],
        stddev_ns=isqrt(int(variance)),
        percentiles={name: ordered[rank - 1] for name, rank in ranks.items() if rank < count},
    )


@given(DURATIONS, st.integers(0, 150))
def test_a_spread_is_exactly_what_its_definition_says(durations: list[int], cut: int) -> None:
    found = of(*durations[:cut])
    found.extend(durations[cut:])
    assert found.spread() == expected_spread(durations)
    assert len(found) == len(durations)
    assert found.is_exact


def test_a_known_case_of_nearest_rank() -> None:
    spread = of(*range(1, 101)).spread()
    assert spread == Spread(
        count=100,
        min_ns=1,
        mean_ns=50,
        max_ns=100,
        stddev_ns=28,
        percentiles={"p50": 50, "p90": 90, "p99": 99},
    )


@pytest.mark.parametrize(
    ("name", "needed"),
    [("p50", 2), ("p90", 10), ("p99", 100), ("p99.9", 1_000), ("p99.99", 10_000)],
)
def test_a_percentile_needs_one_duration_above_it(name: str, needed: int) -> None:
    assert of(*range(needed - 1)).percentile(name) is None
    assert of(*range(needed)).percentile(name) == needed - 2
    assert rank_of(PERCENTILES[name], needed) == needed - 1


def test_names_of_percentiles_say_what_they_are() -> None:
    assert {name: Fraction(parts, 100_000) for name, parts in PERCENTILES.items()} == SHARES


def test_without_durations_there_is_nothing_to_tell() -> None:
    empty = Durations()
    assert empty.spread() is None
    assert (empty.min_ns, empty.mean_ns, empty.max_ns, empty.stddev_ns) == (None,) * 4
    assert (empty.percentile("p50"), empty.pdv_p99_ns(), empty.histogram()) == (None, None, ())


@pytest.mark.parametrize("impossible", [-1, LONGEST_NS + 1])
def test_a_duration_that_cannot_be_is_an_error_and_changes_nothing(impossible: int) -> None:
    found = of(5)
    with pytest.raises(ValueError, match="negative, or longer"):
        found.add(impossible)
    with pytest.raises(ValueError, match="negative, or longer"):
        found.extend([7, impossible])
    assert found.spread() == expected_spread([5])


@given(st.lists(st.integers(0, LONGEST_NS), min_size=11, max_size=400), st.integers(1, 10))
def test_beyond_the_exact_ones_a_percentile_is_within_a_256th(
    durations: list[int], exact: int
) -> None:
    found, expected = of(*durations, exact=exact), expected_spread(durations)
    spread = found.spread()
    assert spread is not None
    assert expected is not None
    assert not found.is_exact
    assert (spread.count, spread.min_ns, spread.mean_ns, spread.max_ns, spread.stddev_ns) == (
        expected.count,
        expected.min_ns,
        expected.mean_ns,
        expected.max_ns,
        expected.stddev_ns,
    )
    assert spread.percentiles.keys() == expected.percentiles.keys()
    for name, value in spread.percentiles.items():
        assert abs(value - expected.percentiles[name]) * 256 <= expected.percentiles[name]
        assert spread.min_ns <= value <= spread.max_ns
    found.extend(durations)
    assert found.spread() == of(*durations, *durations, exact=exact).spread()


def test_a_million_round_trips_are_exact_and_one_more_is_not() -> None:
    chance = random.Random(7)
    durations = [int(chance.lognormvariate(12, 1)) for _ in range(EXACT)]
    found = Durations()
    found.extend(durations)
    assert (len(found), found.is_exact) == (EXACT, True)
    ordered = sorted(durations)
    assert found.percentile("p99.999") == ordered[999_990 - 1]
    assert found.pdv_p99_ns() == ordered[990_000 - 1] - ordered[0]
    found.add(durations[0])
    assert (len(found), found.is_exact) == (EXACT + 1, False)
    p999 = found.percentile("p99.9")
    assert p999 is not None
    assert abs(p999 - ordered[999_001 - 1]) * 128 <= ordered[999_001 - 1]


def test_beyond_the_exact_ones_memory_does_not_grow() -> None:
    found = Durations(exact=100)
    found.extend(range(100))
    for _ in range(50):
        found.extend(range(1_000, 9_000))
    found.spread()
    assert len(found) == 400_100
    assert len(found._kept) == 0
    assert len(found._bins) <= 100 + 5 * 128


def test_pdv_is_p99_less_the_least() -> None:
    assert of(*range(50, 150)).pdv_p99_ns() == 148 - 50
    assert of(*range(50, 149)).pdv_p99_ns() is None


@given(DURATIONS, st.integers(1, 30), st.integers(1, 200))
def test_a_histogram_has_every_duration_once(durations: list[int], bins: int, exact: int) -> None:
    shown = of(*durations, exact=exact).histogram(bins)
    assert sum(times for *_, times in shown) == len(durations)
    assert len(shown) <= bins
    assert all(before[1] == after[0] for before, after in pairwise(shown))
    if durations:
        assert shown[0][0] <= min(durations)
        assert shown[-1][1] > max(durations)


@given(st.lists(st.integers(0, 10**10), max_size=60), st.integers(0, 60))
def test_jitter_is_that_of_rfc_3550(rtts: list[int], cut: int) -> None:
    jitter = Jitter()
    jitter.extend(rtts[:cut])
    jitter.extend(rtts[cut:])
    expected = 0.0
    for before, after in pairwise(rtts):
        expected += (abs(after - before) - expected) / 16
    assert jitter.ns == (round(expected) if len(rtts) > 1 else None)


def test_jitter_of_a_steady_change_is_that_change() -> None:
    jitter = Jitter()
    jitter.extend([100, 1_700] * 200)
    assert jitter.ns == 1_600
    jitter.extend([1_700] * 200)
    assert jitter.ns == 0
