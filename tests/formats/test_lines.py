"""Lines: bytes in any pieces, cut into lines."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockd.formats.lines import LineBuffer, split_lines

BYTES = st.lists(st.sampled_from([b"\r", b"\n", b"a", b"bb", b"\0", b"\xff"]), max_size=60)


def lines_of(data: bytes) -> list[bytes]:
    """The lines of a whole input, by their definition."""
    *whole, rest = data.split(b"\n")
    return [line.removesuffix(b"\r") for line in [*whole, *filter(None, [rest])]]


def pieces_of(data: st.DataObject, whole: bytes) -> list[bytes]:
    """The bytes cut anywhere."""
    places = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=8)))
    return [whole[start:end] for start, end in pairwise([0, *places, len(whole)])]


def take_all(buffer: LineBuffer) -> list[bytes]:
    """Every line that is whole."""
    found = []
    while buffer.has_request:
        found.append(buffer.take())
    return found


def lines(pieces: list[bytes], limit: int = 16384) -> tuple[list[bytes], LineBuffer]:
    """The lines that a buffer makes of the pieces, taken as they come and at the end."""
    buffer = LineBuffer(limit)
    found = []
    for piece in pieces:
        buffer.feed(piece)
        found += take_all(buffer)
    buffer.end()
    return found + take_all(buffer), buffer


@given(st.data())
def test_however_the_bytes_are_cut_the_lines_are_the_same(data: st.DataObject) -> None:
    whole = b"".join(data.draw(BYTES))
    found, buffer = lines(pieces_of(data, whole))
    assert found == lines_of(whole)
    assert (buffer.fault, len(buffer), buffer.is_partial) == ("", 0, False)


@given(st.data())
def test_however_the_bytes_are_cut_a_line_too_long_ends_them_at_the_same_place(
    data: st.DataObject,
) -> None:
    whole = b"".join(data.draw(BYTES))
    found, buffer = lines(pieces_of(data, whole), limit=3)
    expected = lines_of(whole)
    too_long = [number for number, line in enumerate(expected) if len(line) > 3]
    assert found == (expected[: too_long[0]] if too_long else expected)
    assert buffer.fault == ("max_line" if too_long else "")


@given(st.binary(max_size=400), st.integers(1, 50), st.integers(1, 60))
def test_blocks_hold_the_same_lines_and_are_no_longer_than_asked(
    data: bytes, limit: int, size: int
) -> None:
    buffer = LineBuffer(limit)
    buffer.feed(data)
    blocks = []
    while buffer.has_request:
        blocks.append(buffer.take_block(size))
    assert all(len(block) <= size or block.count(b"\n") == 1 for block in blocks)
    assert all(block.endswith(b"\n") for block in blocks)
    if not buffer.fault:
        assert data.startswith(b"".join(blocks))
        assert len(buffer) == len(data) - sum(map(len, blocks))


@given(st.lists(st.sampled_from([b"\r\n", b"\n", b"a", b"\r", b"bc"]), max_size=40))
def test_a_block_is_split_at_every_line_end(parts: list[bytes]) -> None:
    block = b"".join(parts) + b"\n"
    assert split_lines(block) == lines_of(block)


@pytest.mark.parametrize("end", [b"\n", b"\r\n"], ids=["LF", "CRLF"])
@pytest.mark.parametrize("size", [1, 2, 100])
def test_a_line_may_be_exactly_as_long_as_the_limit(end: bytes, size: int) -> None:
    whole = b"abc" + end + b"abc" + end + b"abc"
    found, buffer = lines([whole[at : at + size] for at in range(0, len(whole), size)], limit=3)
    assert found == [b"abc"] * 3
    assert buffer.fault == ""


def test_a_line_is_too_long_before_its_end_comes() -> None:
    buffer = LineBuffer(1024)
    buffer.feed(b"whole\n")
    buffer.feed(b"x" * 1024)
    assert (buffer.fault, buffer.is_partial) == ("", True)
    buffer.feed(b"x")
    assert (buffer.fault, buffer.is_partial) == ("max_line", False)
    assert take_all(buffer) == [b"whole"]


def test_after_a_fault_nothing_is_heard_and_nothing_is_held() -> None:
    buffer = LineBuffer(3)
    buffer.feed(b"longer\nabc\n")
    buffer.feed(b"abc\n")
    buffer.end()
    assert (buffer.has_request, len(buffer)) == (False, 0)


def test_a_buffer_that_is_cleared_goes_on_at_the_next_byte() -> None:
    buffer = LineBuffer(100)
    buffer.feed(b"one\ntwo\nthr")
    buffer.take()
    buffer.clear()
    assert (buffer.has_request, buffer.is_partial, len(buffer)) == (False, False, 0)
    buffer.feed(b"four\n")
    assert take_all(buffer) == [b"four"]


def test_what_is_held_is_counted() -> None:
    buffer = LineBuffer(100)
    buffer.feed(b"one\ntwo\nthr")
    assert len(buffer) == 11
    buffer.take()
    assert len(buffer) == 7
