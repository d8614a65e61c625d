"""A whole text out of bytes in any pieces."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sockd.formats.whole import TextBuffer


@given(st.lists(st.binary(max_size=20), max_size=20))
def test_a_text_is_everything_to_the_end_however_it_is_cut(pieces: list[bytes]) -> None:
    buffer = TextBuffer(1000)
    for piece in pieces:
        buffer.feed(piece)
        assert not buffer.has_request
    buffer.end()
    assert buffer.has_request
    assert buffer.take() == b"".join(pieces)
    assert not buffer.has_request


@given(st.lists(st.binary(max_size=20), max_size=20), st.integers(0, 100))
def test_a_text_is_never_longer_than_its_limit(pieces: list[bytes], limit: int) -> None:
    buffer = TextBuffer(limit)
    for piece in pieces:
        buffer.feed(piece)
        assert len(buffer) <= limit
    buffer.end()
    too_long = sum(map(len, pieces)) > limit
    assert buffer.fault == ("max_text" if too_long else "")
    assert buffer.has_request != too_long


def test_after_a_fault_nothing_is_heard() -> None:
    buffer = TextBuffer(3)
    buffer.feed(b"long")
    buffer.feed(b"abc")
    assert (len(buffer), buffer.has_request) == (0, False)


def test_a_buffer_that_is_cleared_begins_anew() -> None:
    buffer = TextBuffer(10)
    buffer.feed(b"one")
    buffer.clear()
    buffer.feed(b"two")
    buffer.end()
    assert buffer.take() == b"two"
