"""The kernel's stamps by the wall clock are told by the monotonic clock, or are not trusted."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from sockd.client.net.clocks import GRAIN_NS, TIGHT_NS, TRIES, Clocks, carried_over
from sockd.reactor.clocks import ClockReading

SECOND = 1_000_000_000
NOON = 1_700_000_000 * SECOND
"""What the wall clock shows where the monotonic one shows 0."""


class Hands:
    """Two clocks that go on by what reading them takes, and of which one can be set."""

    def __init__(self) -> None:
        self.now_ns = 1_000 * SECOND
        self.wall_ns = NOON
        self.takes: Iterator[int] = iter(())

    def monotonic(self) -> int:
        """Reading it takes as long as the next of `takes` says, else 50 ns."""
        self.now_ns += next(self.takes, 50)
        return self.now_ns

    def realtime(self) -> int:
        """The wall clock."""
        return self.now_ns + self.wall_ns


def test_a_stamp_is_carried_over_by_what_the_clocks_differ() -> None:
    hands = Hands()
    clocks = Clocks(hands.monotonic, hands.realtime)
    sent_ns = hands.now_ns
    stamp_ns = hands.realtime() + 40
    hands.now_ns += 5_000
    now_ns, offset_ns = clocks.read()
    assert offset_ns is not None
    at_ns = carried_over(stamp_ns, offset_ns, sent_ns, now_ns)
    assert at_ns is not None
    assert abs(at_ns - sent_ns - 40) <= 50
    assert now_ns == hands.now_ns
    assert clocks.steps == 0


@given(st.integers(-10 * 365 * 86_400 * SECOND, 10 * 365 * 86_400 * SECOND))
def test_a_wall_clock_that_was_set_makes_stamps_worthless_once(step_ns: int) -> None:
    hands = Hands()
    clocks = Clocks(hands.monotonic, hands.realtime)
    hands.wall_ns += step_ns
    _, offset_ns = clocks.read()
    if abs(step_ns) <= GRAIN_NS + 100:
        return
    assert offset_ns is None
    assert clocks.steps == 1
    _, offset_ns = clocks.read()
    assert offset_ns is not None
    assert abs(offset_ns + hands.wall_ns) <= 100


def test_a_reading_that_was_interrupted_is_repeated() -> None:
    hands = Hands()
    clocks = Clocks(hands.monotonic, hands.realtime)
    hands.takes = iter([50, 3 * SECOND, 50, 50])
    _, offset_ns = clocks.read()
    assert offset_ns is not None
    assert abs(offset_ns + NOON) <= 100


def test_a_machine_that_always_interrupts_does_not_spoil_what_was_known() -> None:
    hands = Hands()
    clocks = Clocks(hands.monotonic, hands.realtime)
    _, exact = clocks.read()
    hands.takes = iter([SECOND] * 2 * TRIES)
    now_ns, offset_ns = clocks.read()
    assert (offset_ns, clocks.steps) == (exact, 0)
    assert now_ns == hands.now_ns


def test_a_better_reading_replaces_a_worse_one() -> None:
    hands = Hands()
    hands.takes = iter([1, SECOND, SECOND, SECOND, 0, 1000 * TIGHT_NS])
    clocks = Clocks(hands.monotonic, hands.realtime)
    _, offset_ns = clocks.read()
    assert offset_ns is not None
    assert abs(offset_ns + NOON) <= 100
    assert clocks.steps == 0


def test_a_stamp_that_does_not_fit_is_not_carried() -> None:
    assert carried_over(90, 10, 100, 200) == 100
    assert carried_over(190, 10, 100, 200) == 200
    assert carried_over(89, 10, 100, 200) is None, "before the question"
    assert carried_over(191, 10, 100, 200) is None, "after it was read"
    assert carried_over(None, 10, 100, 200) is None
    assert carried_over(100, None, 100, 200) is None


def test_both_clocks_read_at_one_moment_tell_what_to_add_to_a_stamp() -> None:
    clocks = ClockReading(monotonic_ns=500, wall_ns=1000)
    assert carried_over(900, clocks.offset_ns, 100, clocks.monotonic_ns) == 400


@given(
    st.integers(-(1 << 63), 1 << 63),
    st.integers(-(1 << 63), 1 << 63),
    st.integers(0, 1 << 62),
    st.integers(0, 1 << 62),
)
def test_no_stamp_makes_a_negative_or_huge_round_trip(
    stamp_ns: int, offset_ns: int, sent_ns: int, took_ns: int
) -> None:
    at_ns = carried_over(stamp_ns, offset_ns, sent_ns, sent_ns + took_ns)
    assert at_ns is None or 0 <= at_ns - sent_ns <= took_ns
