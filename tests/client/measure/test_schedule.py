"""A schedule sends on time or says how late; a window sends when there is room."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockd.client.measure.schedule import Schedule, Window


def test_probe_n_is_due_n_intervals_after_the_start() -> None:
    schedule = Schedule(1_000, 100)
    assert schedule.take(999) is None
    assert schedule.due_ns == 1_000
    assert schedule.take(1_000) == 1_000
    assert schedule.take(1_099) is None
    assert schedule.take(1_130) == 1_100
    assert schedule.due_ns == 1_200, "being late once moves nothing"
    assert schedule.missed == 0


def test_slots_that_went_by_are_counted_and_left_out() -> None:
    schedule = Schedule(0, 100)
    assert schedule.take(0) == 0
    assert schedule.take(350) == 300
    assert schedule.missed == 2
    assert schedule.take(351) is None, "there is no burst to catch up"
    assert schedule.take(399) is None
    assert schedule.take(400) == 400


@given(
    st.integers(0, 10**18),
    st.integers(1, 10**9),
    st.lists(st.integers(0, 3 * 10**9), max_size=30),
)
def test_every_slot_is_sent_in_or_missed_and_no_slot_is_late_by_an_interval(
    start_ns: int, interval_ns: int, steps: list[int]
) -> None:
    schedule = Schedule(start_ns, interval_ns)
    now_ns, sent = start_ns - 5, []
    for step in steps:
        now_ns += step
        due_ns = schedule.take(now_ns)
        if due_ns is None:
            assert now_ns < schedule.due_ns
        else:
            sent.append(due_ns)
            assert 0 <= now_ns - due_ns < interval_ns
            assert schedule.take(now_ns) is None
    assert sent == sorted(set(sent))
    assert len(sent) + schedule.missed == (schedule.due_ns - start_ns) // interval_ns


@pytest.mark.parametrize("interval_ns", [0, -1])
def test_an_interval_that_is_not_positive_is_an_error(interval_ns: int) -> None:
    with pytest.raises(ValueError, match="greater than 0"):
        Schedule(0, interval_ns)


def test_a_window_has_room_for_what_is_not_in_flight() -> None:
    window = Window(64)
    assert [window.room(flying) for flying in (0, 63, 64, 70)] == [64, 1, 0, 0]
