"""What was sent and is not confirmed yet."""

from __future__ import annotations

from sockd.client.chat.sending import (
    ECHO_SECONDS,
    GIVES_UP,
    KEEPS,
    OLD_RETRIES,
    RETRIES,
    Echoes,
    Pending,
    Unconfirmed,
)
from sockd.client.chat.wishes import Wish
from sockd.formats.chat.events import Code, Event

HI = Wish(Code.SEND_PUBLIC, b"hi", "hi")
JOIN = Wish(Code.JOIN_REQ, b"Pets")


def test_each_is_sent_again_at_its_moments_and_then_given_up() -> None:
    unconfirmed = Unconfirmed()
    unconfirmed.add(Pending(1, b"data", HI, b"Pets", 10.0))
    for moment in RETRIES:
        assert unconfirmed.next_at == 10.0 + moment
        assert unconfirmed.due(10.0 + moment - 0.01) == ([], [])
        again, over = unconfirmed.due(10.0 + moment)
        assert [one.data for one in again] == [b"data"]
        assert over == []
    assert unconfirmed.next_at == 10.0 + GIVES_UP
    again, over = unconfirmed.due(10.0 + GIVES_UP)
    assert again == []
    assert [one.wish for one in over] == [HI]
    assert unconfirmed.next_at is None


def test_what_is_confirmed_is_not_sent_again() -> None:
    unconfirmed = Unconfirmed()
    unconfirmed.add(Pending(1, b"data", HI, b"Pets", 10.0))
    found = unconfirmed.settle(1)
    assert found is not None
    assert found.channel == b"Pets"
    assert unconfirmed.settle(1) is None
    assert unconfirmed.due(99.0) == ([], [])


def test_only_what_was_said_in_a_channel_holds_up_a_change_of_channels() -> None:
    unconfirmed = Unconfirmed()
    unconfirmed.add(Pending(1, b"", JOIN, b"", 0.0))
    assert not unconfirmed.has_said
    unconfirmed.add(Pending(2, b"", HI, b"", 0.0))
    assert unconfirmed.has_said


def test_after_a_short_absence_all_are_tried_again_and_after_a_long_one_given_up() -> None:
    unconfirmed = Unconfirmed()
    unconfirmed.add(Pending(1, b"", HI, b"", 0.0))
    unconfirmed.add(Pending(2, b"", HI, b"", 1.0))
    assert [one.number for one in unconfirmed.begin_again(KEEPS)] == [1]
    again, over = unconfirmed.due(KEEPS)
    assert [one.number for one in again] == [2]
    assert over == []
    assert [one.number for one in unconfirmed.begin_again(1.0 + KEEPS)] == [2]


def test_a_change_of_channels_is_not_tried_again_between_the_joins_of_coming_back() -> None:
    unconfirmed = Unconfirmed()
    unconfirmed.add(Pending(1, b"", JOIN, b"", 0.0))
    assert [one.wish for one in unconfirmed.begin_again(1.0)] == [JOIN]


def test_an_old_server_is_asked_for_a_change_more_slowly() -> None:
    unconfirmed = Unconfirmed()
    unconfirmed.add(Pending(1, b"data", JOIN, b"", 10.0, OLD_RETRIES))
    moments = []
    while (at := unconfirmed.next_at) is not None:
        again, _ = unconfirmed.due(at)
        moments += [at for _ in again]
    assert moments == [11.0, 12.0, 14.0]


def test_an_old_server_answers_a_change_by_its_title_or_by_an_error() -> None:
    unconfirmed = Unconfirmed()
    for event in (Event(Code.JOIN_ACK, b"pETS 3 x"), Event(Code.ERROR, b"there is no Pets")):
        unconfirmed.add(Pending(1, b"", JOIN, b"", 0.0))
        assert unconfirmed.answered(Event(Code.JOIN_ACK, b"Weather 3 x")) is None
        assert unconfirmed.answered(Event(Code.PART_ACK, b"Pets 3 x")) is None
        assert unconfirmed.answered(event) is not None
        assert len(unconfirmed) == 0


def test_an_echo_confirms_one_of_two_that_are_equal() -> None:
    echoes = Echoes()
    echoes.add(HI, 0.0)
    echoes.add(HI, 1.0)
    echoes.came(b"hi ")
    echoes.came(b"something else")
    assert len(echoes) == 1
    assert echoes.next_at == 1.0 + ECHO_SECONDS
    assert echoes.due(1.0 + ECHO_SECONDS) == [HI]
    assert echoes.next_at is None
