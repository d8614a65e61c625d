"""Events: a code and a text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockd.formats.chat.events import MAX_EVENT, MAX_TEXT, RESERVED, Code, Event, pack, unpack
from sockd.formats.chat.trailer import CLIENT_BYTES, SERVER_BYTES, WITH_KEY_BYTES


@given(st.integers(0, 0xFFFF), st.binary(max_size=MAX_EVENT - 2))
def test_what_is_packed_is_unpacked(code: int, text: bytes) -> None:
    assert unpack(pack(code, text)) == Event(code, text)


@given(st.binary(max_size=2000))
def test_whatever_comes_is_an_event_if_it_has_room_for_a_code(data: bytes) -> None:
    event = unpack(data)
    assert (event is None) == (len(data) < 2)
    if event is not None:
        assert event.code.to_bytes(2, "big") + event.text == data


def test_an_event_of_1024_bytes_can_be_sent_and_no_longer_one() -> None:
    assert len(pack(Code.PUBLIC_MSG, bytes(1022))) == MAX_EVENT
    with pytest.raises(ValueError, match="an event has 1024 bytes, not 1025"):
        pack(Code.PUBLIC_MSG, bytes(1023))


def test_behind_the_longest_text_every_trailer_has_room() -> None:
    assert max(CLIENT_BYTES, SERVER_BYTES, WITH_KEY_BYTES) <= RESERVED
    assert len(pack(Code.PUBLIC_MSG, bytes(MAX_TEXT))) + RESERVED == MAX_EVENT


def test_codes_of_the_extension_are_a_thousand_and_more_and_those_of_the_tutorial_are_less() -> (
    None
):
    ours = {code.name for code in Code if code >= 1000}
    assert ours == {"WELCOME", "OPEN", "OPENED", "ACK", "HEARTBEAT_AT", "HEARTBEAT", "UNICAST"}
    assert {int(code) for code in Code if code < 1000} == {
        *(0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 120, 130, 140, 150),
        *(160, 170, 180, 190, 200, 210),
    }
