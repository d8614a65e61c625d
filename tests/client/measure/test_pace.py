"""How fast datagrams follow each other."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockd.client.measure.pace import Pace

STEPS = st.lists(st.tuples(st.integers(0, 65_535), st.integers(0, 10**12)), max_size=20)


def paced(*datagrams: tuple[int, int]) -> Pace:
    pace = Pace()
    for size, at_ns in datagrams:
        pace.add(size, at_ns)
    return pace


def test_a_datagram_alone_has_no_rate() -> None:
    for pace in (paced(), paced((512, 7))):
        assert (pace.datagrams, pace.bps) == (None, None)


def test_those_of_a_schedule_have_its_rate() -> None:
    pace = paced(*((100, 5 + number * 10**7) for number in range(11)))
    assert (pace.datagrams, pace.bps) == (100, 100 * 8 * 100)


def test_datagrams_at_one_moment_have_no_rate() -> None:
    assert paced((1, 5), (1, 5)).datagrams is None


@given(st.integers(0, 10**18), STEPS)
def test_the_rate_is_of_those_after_the_first_by_the_time_since_it(
    at_ns: int, steps: list[tuple[int, int]]
) -> None:
    pace, took, size = paced((1, at_ns)), 0, 0
    for more, step in steps:
        took, size = took + step, size + more
        pace.add(more, at_ns + took)
    if not took:
        assert pace.bps is None
        return
    assert pace.datagrams == pytest.approx(float(Fraction(len(steps) * 10**9, took)))
    assert pace.bps == size * 8 * 10**9 // took
