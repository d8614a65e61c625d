"""What of a channel has come, and what has not."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sockd.client.chat.heard import MOST_RECENT, PATIENCE, TWICE_SECONDS, Gaps, Hearing, Recent
from sockd.formats.chat.events import Code, Event
from sockd.formats.chat.window import NUMBERS, WINDOW, distance


def test_each_number_is_taken_once() -> None:
    gaps = Gaps.after(4)
    taken = [gaps.arrive(number, 0.0) for number in (5, 6, 5, 8, 7, 7, 4)]
    assert taken == [True, True, False, True, True, False, False]
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


def test_what_is_missed_later_has_its_own_second() -> None:
    gaps = Gaps()
    gaps.arrive(2, 0.0)
    gaps.arrive(4, 0.9)
    assert gaps.lost(1.0) == 1
    assert gaps.arrive(3, 1.2)
    assert gaps.next_at is None
    assert gaps.lost(9.0) == 0


def test_a_gap_wider_than_the_window_is_told_whole() -> None:
    gaps = Gaps()
    gaps.arrive(1, 0.0)
    gaps.arrive(1000, 0.0)
    assert gaps.lost(PATIENCE) == 998


@given(st.integers(0, NUMBERS - 1), st.lists(st.integers(1, 300), min_size=1, max_size=100))
def test_what_came_and_what_is_lost_are_all_there_were(first: int, numbers: list[int]) -> None:
    gaps = Gaps.after(first)
    taken = [number for number in numbers if gaps.arrive((first + number) % NUMBERS, 0.0)]
    assert len(taken) == len(set(taken))
    lost = gaps.lost(PATIENCE) + gaps.lost(2 * PATIENCE)
    assert len(taken) + lost == max(numbers)


@given(st.lists(st.integers(1, 100), max_size=50), st.lists(st.floats(0.0, 0.5), max_size=50))
def test_whenever_it_is_asked_each_is_taken_or_told_and_none_is_both(
    numbers: list[int], pauses: list[float]
) -> None:
    gaps, now, taken, lost = Gaps(), 0.0, 0, 0
    for number, pause in zip(numbers, pauses, strict=False):
        taken += gaps.arrive(number, now)
        now += pause
        lost += gaps.lost(now)
    while (at := gaps.next_at) is not None:
        lost += gaps.lost(at)
    assert taken + lost == max(numbers[: len(pauses)], default=0)


@given(st.integers(0, NUMBERS - 1), st.integers(0, NUMBERS - 1))
def test_any_number_may_come(first: int, second: int) -> None:
    gaps = Gaps.after(first)
    is_taken = gaps.arrive(second, 0.0)
    assert is_taken == (distance(first, second) > 0)
    assert gaps.lost(PATIENCE) == (distance(first, second) - 1 if is_taken else 0)


@given(st.integers(0, NUMBERS - 1), st.integers(0, NUMBERS - 1))
def test_any_number_may_be_told_as_the_last(first: int, last: int) -> None:
    gaps = Gaps.after(first)
    gaps.reach(last, 0.0)
    assert gaps.lost(PATIENCE) == max(0, distance(first, last))
    is_behind = -WINDOW < distance(first, last) < 0
    assert gaps.arrive((last + 1) % NUMBERS, 1.0) is not is_behind


def test_who_was_led_far_ahead_by_a_forged_number_begins_where_the_server_says() -> None:
    gaps = Gaps()
    gaps.arrive(2**31 - 1, 0.0)
    assert not gaps.arrive(1, 0.0)
    gaps.reach(5, 1.0)
    assert [gaps.arrive(number, 1.0) for number in (5, 6)] == [False, True]


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


def test_our_own_that_was_told_as_lost_before_it_is_known_to_have_come_explains_no_later_gap() -> (
    None
):
    hearing = Hearing(b"Weather")
    hearing.arrive(2, 0.0)
    assert hearing.lost(PATIENCE) == 1
    hearing.show_early(7, 0.0, 3.0)
    hearing.arrive(4, 4.0)
    assert hearing.lost(9.0) == 1


def test_whoever_talks_without_a_pause_is_told_of_what_is_lost_all_the_same() -> None:
    hearing = Hearing(b"Weather")
    hearing.arrive(1, 0.0)
    hearing.arrive(100, 0.0)
    now, lost = 0.0, 0
    while not lost:
        now += 0.1
        hearing.show_early(int(now * 10), now, now)
        lost = hearing.lost(now)
    assert now < 2.5 * PATIENCE
    assert 98 - int(now * 10) <= lost <= 98 - int(now * 10) + 2


def test_how_many_of_our_own_are_remembered_is_bounded() -> None:
    hearing = Hearing(b"Weather")
    for number in range(WINDOW + 1):
        hearing.show_early(number, 0.0, 0.0)
    assert len(hearing._unheard) == WINDOW
    assert not hearing.came_back(0)
    assert hearing.came_back(1)


def test_the_same_within_a_moment_is_a_double_and_later_it_is_not() -> None:
    recent, event = Recent(), Event(Code.PUBLIC_MSG, b"Pets bert hi")
    assert not recent.is_double(event, 1.0)
    assert recent.is_double(event, 1.0 + TWICE_SECONDS / 2)
    assert not recent.is_double(event, 1.0 + TWICE_SECONDS * 2)
    assert not recent.is_double(Event(Code.PRIVATE_MSG, b"Pets bert hi"), 1.0)


def test_only_so_many_are_remembered() -> None:
    recent = Recent()
    for number in range(MOST_RECENT + 1):
        recent.is_double(Event(100, b"%d" % number), 0.0)
    assert not recent.is_double(Event(100, b"0"), 0.0)
    assert recent.is_double(Event(100, b"%d" % MOST_RECENT), 0.0)
    assert len(recent._came) == MOST_RECENT
