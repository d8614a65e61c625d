"""What waits to be sent."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sockd.client.chat.sending import GIVES_UP
from sockd.client.chat.wishes import ANSWER_SECONDS, BURST, MOST, RATE, Wish, Wishes
from sockd.formats.chat.events import Code

HI = Wish(Code.SEND_PUBLIC, b"hi", "hi")
JOIN = Wish(Code.JOIN_REQ, b"Pets")
SERVER_BURST, SERVER_RATE = 5, 2.0


def test_some_go_at_once_and_the_others_at_a_pace() -> None:
    wishes = Wishes()
    for _ in range(BURST + 2):
        wishes.add(HI)
    assert [wishes.take(100.0) for _ in range(BURST + 1)] == [HI] * BURST + [None]
    at = wishes.ready_at
    assert at is not None
    assert abs(at - (100.0 + 1 / RATE)) < 1e-9
    assert wishes.take(at - 0.01) is None
    assert wishes.take(at + 1e-9) == HI


@given(st.lists(st.floats(0.0, 2.0), max_size=60))
def test_no_more_goes_than_a_server_takes_of_one_user(pauses: list[float]) -> None:
    wishes = Wishes()
    now, tokens, at = 100.0, float(SERVER_BURST), 100.0
    for pause in pauses:
        now += pause
        wishes.add(HI)
        while wishes.take(now) is not None:
            tokens, at = min(SERVER_BURST, tokens + (now - at) * SERVER_RATE) - 1, now
            assert tokens >= 0


def test_so_many_wait_and_no_more() -> None:
    wishes = Wishes()
    assert [wishes.add(HI) for _ in range(MOST + 1)] == [True] * MOST + [False]
    assert MOST == 100


def test_what_follows_a_join_waits_for_its_answer_for_some_seconds_at_most() -> None:
    wishes = Wishes()
    for one in (JOIN, HI, HI):
        wishes.add(one)
    assert wishes.take(100.0) == JOIN
    assert wishes.take(100.0) is None
    wishes.answered()
    assert wishes.take(100.0) == HI
    wishes.add_first([JOIN])
    assert wishes.is_change_next
    assert wishes.take(100.0) == JOIN
    assert wishes.take(100.0 + ANSWER_SECONDS - 0.01) is None
    assert wishes.take(100.0 + ANSWER_SECONDS) == HI
    assert ANSWER_SECONDS > GIVES_UP


def test_what_comes_first_keeps_its_order() -> None:
    wishes = Wishes()
    wishes.add(HI)
    others = [Wish(Code.JOIN_REQ, title) for title in (b"a", b"b")]
    wishes.add_first(others)
    assert wishes.clear() == [*others, HI]
    assert len(wishes) == 0
    assert wishes.ready_at is None
    assert not wishes.is_change_next


def test_what_is_sent_again_counts_and_a_server_that_had_too_much_is_given_time() -> None:
    wishes = Wishes()
    for _ in range(3):
        wishes.add(HI)
    assert wishes.take(100.0) == HI
    wishes.charge(BURST)
    assert wishes.ready_at == 100.0 + 2 / RATE
    assert wishes.take(102.0) == HI
    wishes.slow_down()
    assert wishes.take(102.0) is None
    assert wishes.take(103.0) == HI
