"""Frames: messages behind their lengths, in bytes that come in any pieces."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockd.formats.frames import LONGEST, FrameBuffer, frame

MESSAGES = st.lists(st.binary(max_size=40), max_size=12)


def take_all(buffer: FrameBuffer) -> list[bytes]:
    """Every message that is whole."""
    found = []
    while buffer.has_request:
        found.append(buffer.take())
    return found


@given(st.data())
def test_however_the_bytes_are_cut_the_messages_are_the_same(data: st.DataObject) -> None:
    messages = data.draw(MESSAGES)
    whole = b"".join(map(frame, messages))
    places = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=8)))
    buffer, found = FrameBuffer(40), []
    for start, end in pairwise([0, *places, len(whole)]):
        buffer.feed(whole[start:end])
        found += take_all(buffer)
    buffer.end()
    assert found == messages
    assert (buffer.fault, len(buffer), buffer.is_partial) == ("", 0, False)


@given(MESSAGES, st.integers(0, 40))
def test_a_length_that_is_too_great_ends_them(messages: list[bytes], limit: int) -> None:
    buffer, found = FrameBuffer(limit), []
    for byte in b"".join(map(frame, messages)):
        buffer.feed(bytes([byte]))
        found += take_all(buffer)
    long = [number for number, message in enumerate(messages) if len(message) > limit]
    assert found == (messages[: long[0]] if long else messages)
    assert buffer.fault == ("max_frame" if long else "")
    assert not long or len(buffer) == 0


def test_what_came_whole_before_a_fault_is_taken_first() -> None:
    buffer = FrameBuffer(3)
    buffer.feed(frame(b"abc") + frame(b"long") + frame(b"abc"))
    assert take_all(buffer) == [b"abc"]
    assert buffer.fault == "max_frame"


def test_a_message_has_begun_with_the_first_byte_of_its_length() -> None:
    buffer = FrameBuffer(10)
    assert (len(buffer), buffer.is_partial) == (0, False)
    buffer.feed(b"\0")
    assert (len(buffer), buffer.is_partial) == (1, True)
    buffer.feed(b"\1x")
    assert buffer.has_request
    assert take_all(buffer) == [b"x"]
    assert not buffer.is_partial


def test_a_message_that_the_end_cuts_off_is_dropped() -> None:
    buffer = FrameBuffer(10)
    buffer.feed(frame(b"whole") + b"\0\5cut")
    buffer.end()
    assert take_all(buffer) == [b"whole"]
    buffer.end()
    assert len(buffer) == 0


def test_a_message_longer_than_a_length_can_tell_is_an_error() -> None:
    assert len(frame(bytes(LONGEST))) == LONGEST + 2
    with pytest.raises(ValueError, match="a frame holds 65535 bytes, not 65536"):
        frame(bytes(LONGEST + 1))
