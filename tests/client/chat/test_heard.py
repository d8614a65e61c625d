"""What of a channel has come, and what has not."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sockd.client.chat.heard import PATIENCE, Gaps, Hearing
from sockd.formats.chat.window import WINDOW


def test_each_number_is_taken_once() -> None:
    gaps = Gaps()
    assert [gaps.arrive(number, 0.0) for number in (5, 6, 5, 8, 7, 7)] == [
        True,
        True,
        False,
        True,
        True,
        False,
    ]
    assert gaps.next_at is None


def test_what_does_not_come_within_a_second_is_told_once() -> None:
    gaps = Gaps()
    for number in (1, 4):
        gaps.arrive(number, 10.0)
    assert gaps.next_at == 10.0 + PATIENCE
    assert gaps.lost(10.9) == 0
    assert gaps.lost(11.0) == 2
    assert gaps.lost(99.0) == 0
    assert gaps.arrive(2, 99.0) is False
    assert PATIENCE == 1


def test_one_from_before_the_first_is_taken_if_it_is_only_late_and_we_begin_there() -> None:
    gaps = Gaps()
    assert gaps.arrive(10, 0.0)
    assert gaps.lost(PATIENCE) == 0
    assert gaps.arrive(8, 0.5)
    assert not gaps.arrive(7, PATIENCE)
    assert gaps.lost(0.5 + PATIENCE) == 1


def test_from_the_start_all_are_missed() -> None:
    gaps = Gaps.from_start()
    gaps.arrive(3, 0.0)
    assert gaps.lost(PATIENCE) == 2


def test_a_gap_wider_than_the_window_is_told_whole() -> None:
    gaps = Gaps()
    gaps.arrive(1, 0.0)
    gaps.arrive(1000, 0.0)
    assert gaps.lost(PATIENCE) == 998


@given(st.lists(st.integers(1, 300), min_size=1, max_size=100))
def test_what_came_and_what_is_lost_are_all_there_were(numbers: list[int]) -> None:
    gaps = Gaps.from_start()
    taken = [number for number in numbers if gaps.arrive(number, 0.0)]
    assert len(taken) == len(set(taken))
    assert len(taken) + gaps.lost(PATIENCE) == max(numbers)


@given(st.integers(1, 2**32 - 1), st.integers(1, 2**32 - 1))
def test_any_number_may_come(first: int, second: int) -> None:
    gaps = Gaps()
    gaps.arrive(first, 0.0)
    is_taken = gaps.arrive(second, 0.0)
    assert gaps.lost(PATIENCE) == (abs(second - first) - 1 if is_taken else 0)


def test_our_own_that_is_shown_already_is_not_told_as_lost_nor_shown_again() -> None:
    hearing = Hearing(b"Weather")
    hearing.arrive(1, 0.0)
    hearing.arrive(3, 0.0)
    hearing.show_early(7, 0.0, 0.5)
    assert hearing.next_at == 0.5 + PATIENCE
    assert hearing.lost(PATIENCE) == 0
    assert hearing.lost(0.5 + PATIENCE) == 0
    hearing.arrive(5, 2.0)
    assert hearing.lost(9.0) == 1
    assert hearing.came_back(7)
    assert not hearing.came_back(8)


def test_our_own_from_before_the_first_that_came_explains_no_gap() -> None:
    hearing = Hearing(b"Weather")
    hearing.arrive(1, 5.0)
    hearing.show_early(7, 4.9, 5.1)
    hearing.arrive(3, 6.0)
    assert hearing.lost(9.0) == 1


def test_how_many_of_our_own_are_remembered_is_bounded() -> None:
    hearing = Hearing(b"Weather")
    hearing.arrive(1, 0.0)
    for number in range(WINDOW + 1):
        hearing.show_early(number, 0.0, 0.0)
    assert not hearing.came_back(0)
    assert hearing.came_back(1)
