"""How late the loop is: measured by a timer, in a time that the test moves."""

from __future__ import annotations

from typing import Any, cast

import pytest
from twisted.internet.task import Clock

from sockd.ops.lag import BOUNDS, EVERY, KEPT, LagMeter


def started() -> tuple[Clock, LagMeter]:
    clock = Clock()
    meter = LagMeter(clock)
    meter.start()
    return clock, meter


def test_a_loop_that_comes_in_time_has_no_lag() -> None:
    clock, meter = started()
    clock.pump([EVERY] * 20)
    assert (sum(meter.histogram.bins), meter.histogram.bins[0]) == (20, 20)
    assert meter.now == meter.worst == meter.quantile(0.99) == pytest.approx(0)


def test_what_holds_the_loop_is_seen_in_its_bin() -> None:
    clock, meter = started()
    clock.advance(EVERY + 0.3)
    assert dict(zip(BOUNDS, meter.histogram.bins, strict=False))[0.5] == 1
    assert meter.histogram.sum == pytest.approx(0.3)
    assert meter.now == meter.worst == pytest.approx(0.3)
    clock.advance(EVERY)
    assert meter.now == pytest.approx(0)
    assert meter.worst == pytest.approx(0.3)


def test_a_loop_that_is_held_now_is_late_before_it_has_come() -> None:
    clock, meter = started()
    clock.rightNow += EVERY + 7  # the clock goes on, and nobody is called
    assert meter.now == pytest.approx(7)


def test_a_timer_that_comes_a_millisecond_early_is_in_time() -> None:
    """As uvloop's can."""
    clock, meter = started()
    [timer] = clock.getDelayedCalls()
    clock.rightNow += EVERY - 0.001
    look = cast(Any, timer).func
    timer.cancel()
    look()
    assert (meter.histogram.sum, meter.now, meter.worst) == (0, 0, 0)


def test_of_the_last_minute_the_worst_and_any_part_are_known() -> None:
    clock, meter = started()
    clock.advance(EVERY + 5)
    for late in range(KEPT):
        clock.advance(EVERY + late / 1000)
    assert meter.worst == pytest.approx(0.599)
    assert meter.quantile(0.99) == pytest.approx(0.593)
    assert meter.quantile(0.5) == pytest.approx(0.299)


def test_after_the_end_no_timer_is_left_and_nothing_is_late() -> None:
    clock, meter = started()
    meter.stop()
    assert not clock.getDelayedCalls()
    clock.advance(60)
    assert meter.now == 0
    meter.start()
    clock.advance(EVERY)
    assert meter.now == pytest.approx(0)
    meter.stop()
    meter.stop()
