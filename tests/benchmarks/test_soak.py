"""What counts as growth."""

from __future__ import annotations

from benchmarks.soak import RESIDENT_GROWTH, Held, grown

STEADY = [Held(50_000_000, 20, 1)] * 16


def test_what_stays_has_not_grown() -> None:
    assert grown(STEADY) == []


def test_the_first_quarter_is_for_warming_up() -> None:
    assert grown([Held(1_000_000, 3, 0)] * 4 + STEADY[4:]) == []


def test_memory_may_grow_a_little_and_not_more() -> None:
    little = [Held(50_000_000 + RESIDENT_GROWTH, 20, 1)] * 4
    assert grown(STEADY[:12] + little) == []
    much = [Held(50_000_001 + RESIDENT_GROWTH, 20, 1)] * 4
    assert grown(STEADY[:12] + much) == ["resident grew from 50,000,000 to 52,097,153"]


def test_one_descriptor_or_delayed_call_more_is_growth() -> None:
    more = [Held(50_000_000, 21, 2)] * 4
    assert grown(STEADY[:12] + more) == [
        "descriptors grew from 20 to 21",
        "delayed calls grew from 1 to 2",
    ]
