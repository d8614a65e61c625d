"""The difference of two clocks, bounded by answers in whole seconds."""

from __future__ import annotations

import pytest
from attrs import define
from hypothesis import given
from hypothesis import strategies as st

from sockd.client.talk.clock_offset import (
    COARSENESS,
    DRIFT,
    SECOND,
    Bounds,
    ClockWasSet,
    Estimate,
    Exchange,
    Reading,
)

MILLISECOND = SECOND // 1000
GAP = SECOND // 10
"""Between two questions."""
DIFFERENCES = st.integers(-(2**62), 2**62)
PARTS = st.integers(0, 1000)
"""Thousandths of an exchange after which the server reads its clock."""


@define
class Server:
    """A clock that is `ahead` of our monotonic one, and runs `fast` millionths faster."""

    ahead: int
    fast: int = 0
    coarse: int = 0
    """How old what it reads is."""

    def difference(self, moment: int) -> int:
        return self.ahead + moment * self.fast // 1_000_000

    def ask(self, sent: int, took: int, part: int) -> Exchange:
        read = sent + took * part // 1000
        seconds = (read + self.difference(read) - self.coarse) // SECOND
        return Exchange(seconds, sent, sent + took)


@given(DIFFERENCES, st.integers(0, 2**40), st.integers(0, 2**34), PARTS)
def test_the_difference_lies_between_the_bounds_wherever_in_the_exchange_the_clock_was_read(
    ahead: int, sent: int, took: int, part: int
) -> None:
    exchange = Server(ahead).ask(sent, took, part)
    assert exchange.allows.low <= ahead < exchange.allows.high
    assert exchange.allows.width == SECOND + took


@given(
    st.integers(-(2**50), 2**50),
    st.integers(-DRIFT, DRIFT),
    st.lists(st.tuples(st.integers(0, SECOND), PARTS, st.integers(0, 10 * SECOND)), min_size=1),
)
def test_what_all_answers_allow_still_holds_the_difference_though_the_clocks_run_apart(
    ahead: int, fast: int, exchanges: list[tuple[int, int, int]]
) -> None:
    server, now, estimate = Server(ahead, fast), 0, None
    for took, part, pause in exchanges:
        exchange = server.ask(now, took, part)
        estimate = Estimate.of(exchange) if estimate is None else estimate.narrowed(exchange)
        now = exchange.received_ns
        # what was read at the exchange's beginning has drifted until its end
        allowed = estimate.bounds.widened(took * DRIFT // 1_000_000 + 1)
        assert allowed.low <= server.difference(now) < allowed.high
        now += pause


@given(
    st.integers(-(2**50), 2**50),
    st.integers(-DRIFT, DRIFT),
    st.integers(1000, 300 * MILLISECOND),
    st.lists(PARTS, min_size=30, max_size=30),
)
def test_asking_near_the_tick_needs_few_questions(
    ahead: int, fast: int, took: int, parts: list[int]
) -> None:
    server = Server(ahead, fast)
    estimate = Estimate.of(server.ask(0, took, parts[0]))
    asked, last = 1, 0
    while not estimate.is_precise(5 * MILLISECOND):
        moment = estimate.next_ask(max(estimate.at_ns, last + GAP))
        assert moment >= max(estimate.at_ns, last + GAP)
        estimate = estimate.narrowed(server.ask(moment, took, parts[asked]))
        asked, last = asked + 1, moment
        assert asked < 30
    allowed = estimate.bounds.widened(took * DRIFT // 1_000_000 + 1)
    assert allowed.low <= server.difference(estimate.at_ns) < allowed.high


def test_one_millisecond_of_a_round_trip_takes_at_most_ten_questions_in_nine_seconds() -> None:
    worst, longest = 0, 0
    for ahead in range(0, SECOND, 7 * MILLISECOND + 3):
        server = Server(ahead)
        estimate = Estimate.of(server.ask(0, MILLISECOND, 500))
        asked, last = 1, 0
        while not estimate.is_precise(5 * MILLISECOND):
            last = estimate.next_ask(max(estimate.at_ns, last + GAP))
            estimate = estimate.narrowed(server.ask(last, MILLISECOND, 500))
            asked += 1
        worst, longest = max(worst, asked), max(longest, estimate.at_ns)
    assert worst <= 10
    assert longest < 9 * SECOND


def test_a_clock_that_is_set_meanwhile_is_told() -> None:
    estimate = Estimate.of(Server(0).ask(0, 1000, 0))
    with pytest.raises(ClockWasSet):
        estimate.narrowed(Server(3 * SECOND).ask(SECOND, 1000, 0))
    with pytest.raises(ClockWasSet):
        estimate.narrowed(Server(-3 * SECOND).ask(SECOND, 1000, 0))


@given(
    st.integers(0, SECOND),
    st.integers(0, COARSENESS - MILLISECOND),
    st.integers(1000, MILLISECOND),
)
def test_a_clock_that_is_read_at_the_kernels_ticks_contradicts_itself_and_is_still_bounded(
    ahead: int, coarse: int, took: int
) -> None:
    estimate = Estimate.of(Server(ahead, coarse=coarse).ask(0, took, 500))
    # fresh and stale readings in turn, right at the tick
    for turn in range(1, 40):
        tick = turn * SECOND - ahead
        server = Server(ahead, coarse=coarse if turn % 2 else 0)
        estimate = estimate.narrowed(server.ask(tick + 1000, took, 0))
    assert estimate.bounds.low <= ahead + 40 * MILLISECOND
    if estimate.is_coarse:
        assert estimate.bounds.low <= ahead < estimate.bounds.high
        assert estimate.is_precise(0)


def test_our_wall_clock_is_known_as_well_as_it_was_read() -> None:
    reading = Reading(before_ns=100, wall_ns=1_000_100, after_ns=150)
    # at 100 to 150 of the monotonic clock it was 1,000,100: a wall clock 999,950 to 1,000,000 ahead
    assert reading.offset(Bounds(1_000_000, 1_000_010)) == Bounds(0, 60)


def test_bounds_hold_something() -> None:
    with pytest.raises(ValueError, match="holds nothing"):
        Bounds(5, 5)
