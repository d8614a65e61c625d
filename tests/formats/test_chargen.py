"""The rotating pattern: what a server sends, a client follows."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockd.formats.chargen import CHARACTERS, COLUMNS, LINE, PATTERN, BrokenPattern, Follower

LINES = st.integers(0, len(CHARACTERS) - 1)
TWICE = PATTERN * 2


def test_lines_have_72_columns_and_each_is_the_last_one_shifted() -> None:
    lines = TWICE.split(b"\r\n")[:-1]
    assert {len(line) for line in lines} == {COLUMNS}
    assert all(after[:-1] == before[1:] for before, after in itertools.pairwise(lines))
    assert set(b"".join(lines)) == set(CHARACTERS)


@given(LINES, st.lists(st.integers(0, 100_000), max_size=5))
def test_the_pattern_is_followed_from_any_line_in_any_pieces(line: int, sizes: list[int]) -> None:
    follower = Follower()
    text = (PATTERN * 100)[line * LINE :]
    at = 0
    for size in sizes:
        follower.feed(text[at : at + size])
        at += len(text[at : at + size])
    assert follower.size == at


@given(LINES, st.integers(1, len(PATTERN) * 12), st.integers(0, 255), st.integers(1, 20_000))
def test_a_changed_byte_is_found_where_it_is(line: int, at: int, byte: int, piece: int) -> None:
    text = bytearray((PATTERN * 14)[line * LINE :])
    expected = text[at]
    text[at] = byte
    follower = Follower()

    def feed() -> None:
        for start in range(0, len(text), piece):
            follower.feed(bytes(text[start : start + piece]))

    if byte == expected:
        feed()
        return
    with pytest.raises(BrokenPattern) as caught:
        feed()
    assert caught.value.offset == at
    assert f"line {at // LINE + 1}, column {at % LINE + 1}" in str(caught.value)
    assert f"got {byte:#04x}" in str(caught.value)


@pytest.mark.parametrize("first", [0x00, 0x0A, 0x7F, 0xFF])
def test_a_line_begins_with_a_character_of_the_pattern(first: int) -> None:
    with pytest.raises(BrokenPattern, match=r"at byte 0 .*: expected a line of the pattern"):
        Follower().feed(bytes([first]))
