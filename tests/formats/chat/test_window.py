"""The window of numbers: each is taken once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockd.formats.chat.window import NUMBERS, WINDOW, Arrival, Window, distance

NEW, DOUBLE, OLD = Arrival.NEW, Arrival.DOUBLE, Arrival.OLD


class Remembers:
    """A window that forgets nothing: what a window has to agree with."""

    def __init__(self, highest: int) -> None:
        self.first = highest
        self.highest = highest
        self.seen: set[int] = set()

    def arrive(self, number: int) -> Arrival:
        """As Window's."""
        if number <= self.highest - WINDOW:
            return OLD
        if number <= self.first or number in self.seen:
            return DOUBLE
        self.seen.add(number)
        self.highest = max(self.highest, number)
        return NEW

    @property
    def absent(self) -> list[int]:
        """Those that have not come, of all that were sent."""
        return [one for one in range(self.first + 1, self.highest) if one not in self.seen]


STEPS = st.lists(st.integers(-WINDOW - 3, 5) | st.sampled_from([62, 63, 64, 65, 66, 200]))


@given(st.sampled_from([0, 1, 1000, NUMBERS - 70, NUMBERS - 1]), STEPS)
def test_a_window_agrees_with_one_that_forgets_nothing(first: int, steps: list[int]) -> None:
    window, other = Window(first), Remembers(first)
    for step in steps:
        number = other.highest + step
        assert window.arrive(number % NUMBERS) is other.arrive(number)
        assert window.highest == other.highest % NUMBERS
        waits = [one for one in other.absent if one > other.highest - WINDOW]
        assert window.missing() == [one % NUMBERS for one in waits]
        assert window.lost + len(waits) == len(other.absent)


@given(st.lists(st.integers(0, NUMBERS - 1), max_size=30))
def test_no_number_is_new_twice_unless_half_of_all_numbers_came_between(
    numbers: list[int],
) -> None:
    window = Window()
    for number in numbers:
        window.arrive(number)
        assert window.arrive(number) is not NEW
        assert len(window.missing()) < WINDOW


def test_what_came_before_the_beginning_counts_as_had() -> None:
    assert [Window(100).arrive(number) for number in (100, 99, 37, 36)] == [
        DOUBLE,
        DOUBLE,
        DOUBLE,
        OLD,
    ]
    assert Window().arrive(0) is DOUBLE
    assert Window().arrive(1) is NEW


@pytest.mark.parametrize(("number", "arrival"), [(137, NEW), (136, OLD), (200, DOUBLE)])
def test_a_window_is_64_numbers_wide(number: int, arrival: Arrival) -> None:
    window = Window()
    assert window.arrive(200) is NEW
    assert window.arrive(number) is arrival
    assert WINDOW == 64


def test_a_jump_leaves_what_it_has_passed_missing_and_lost() -> None:
    window = Window(10)
    assert window.arrive(1010) is NEW
    assert (window.missing(), window.lost) == (list(range(947, 1010)), 999 - 63)
    assert window.arrive(10) is OLD


def test_after_the_last_number_comes_the_first() -> None:
    window = Window(NUMBERS - 3)
    assert window.arrive(NUMBERS - 1) is NEW
    assert window.arrive(1) is NEW
    assert window.missing() == [NUMBERS - 2, 0]
    assert window.arrive(0) is NEW
    assert window.arrive(NUMBERS - 1) is DOUBLE


def test_a_number_half_a_round_away_is_behind() -> None:
    window = Window(5)
    assert window.arrive(5 + NUMBERS // 2) is OLD
    assert window.highest == 5


def test_what_is_known_to_be_sent_is_awaited_until_it_comes() -> None:
    window = Window(5)
    window.reach(7)
    window.reach(6)
    assert (window.highest, window.missing(), window.lost) == (7, [6, 7], 0)
    assert window.arrive(7) is NEW
    window.reach(7 + WINDOW)
    assert window.lost == 1
    assert window.missing() == list(range(8, 8 + WINDOW))
    assert window.arrive(7) is OLD


@pytest.mark.parametrize(
    ("first", "second", "ahead"),
    [(1, 1, 0), (1, 3, 2), (3, 1, -2), (NUMBERS - 1, 1, 2), (1, NUMBERS - 1, -2)],
)
def test_a_number_is_ahead_of_another_by_the_shorter_way_round(
    first: int, second: int, ahead: int
) -> None:
    assert distance(first, second) == ahead
