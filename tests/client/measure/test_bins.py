"""Bins: a duration is counted near to where it is, and shown between round edges."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockd.client.measure.bins import bin_of, edges, fill, middle_of
from sockd.client.measure.statistics import LONGEST_NS

DURATIONS = st.integers(0, LONGEST_NS) | st.integers(0, 2_000)


@given(DURATIONS)
def test_a_duration_and_the_middle_of_its_bin_differ_by_a_256th_at_most(duration: int) -> None:
    middle = middle_of(bin_of(duration))
    assert abs(middle - duration) * 256 <= duration
    assert bin_of(middle) == bin_of(duration)


@given(DURATIONS, DURATIONS)
def test_bins_are_in_the_order_of_durations(a: int, b: int) -> None:
    assert (bin_of(a) <= bin_of(b)) if a <= b else (bin_of(a) >= bin_of(b))


def test_the_number_of_bins_is_bounded() -> None:
    assert bin_of(LONGEST_NS) == 7_295
    assert sorted({bin_of(duration) for duration in range(300)}) == list(range(278))


@given(DURATIONS, DURATIONS, st.integers(1, 40))
def test_edges_hold_all_durations_in_no_more_bins_than_asked(a: int, b: int, bins: int) -> None:
    least, most = sorted((a, b))
    found = edges(least, most, bins)
    assert 2 <= len(found) <= bins + 1
    assert found[0] <= least <= most < found[-1]
    assert found == sorted(set(found))


@pytest.mark.parametrize(
    ("least", "most", "bins", "expected"),
    [
        (100, 104, 20, [100, 101, 102, 103, 104, 105]),
        (1_003, 1_897, 5, [1_000, 1_200, 1_400, 1_600, 1_800, 2_000]),
        (210, 770, 20, [200, 250, 300, 400, 500, 600, 800]),
        (11, 90_000, 12, [10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000, 10**5]),
        (11, 90_000, 5, [10, 100, 1_000, 10_000, 100_000]),
        (11, 90_000, 2, [10, 10_000, 100_000]),
        (0, 0, 20, [0, 1]),
        (7, 7, 1, [7, 8]),
    ],
)
def test_edges_are_round(least: int, most: int, bins: int, expected: list[int]) -> None:
    assert edges(least, most, bins) == expected


@given(st.lists(st.integers(0, 100_000), min_size=1), st.integers(1, 30))
def test_each_duration_is_in_the_bin_it_belongs_to(durations: list[int], bins: int) -> None:
    within = edges(min(durations), max(durations), bins)
    found = fill([(duration, 1) for duration in sorted(durations)], within)
    assert found == [
        (start, end, sum(start <= duration < end for duration in durations))
        for start, end in pairwise(within)
    ]
    assert sum(times for *_, times in found) == len(durations)
