"""The rotating pattern: what a server sends, a client follows."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sockd.formats.chargen import (
    CHARACTERS,
    COLUMNS,
    LINE,
    PATTERN,
    RFC,
    RINGS,
    BrokenPattern,
    Follower,
    Ring,
)

LINES = st.integers(0, len(CHARACTERS) - 1)
TWICE = PATTERN * 2
A_RING = st.sampled_from(RINGS)
XINETD = RINGS[1]


def begun(ring: Ring, line: int, rotations: int = 1) -> bytes:
    """The pattern of a ring from this line on, the first one again behind the last one."""
    return (ring.pattern * (rotations + 1))[line % ring.lines * ring.line :]


def followed(text: bytes) -> int:
    """How many of its first bytes are of a pattern, put down without a thought for speed."""
    longest = 0
    for ring in RINGS:
        for line in range(ring.lines):
            pairs = zip(text, begun(ring, line, len(text) // len(ring.pattern) + 1), strict=False)
            right = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))
            longest = max(longest, right)
    return longest


def feed(follower: Follower, text: bytes, piece: int) -> None:
    for start in range(0, len(text), piece):
        follower.feed(text[start : start + piece])


def test_lines_have_72_columns_and_each_is_the_last_one_shifted() -> None:
    lines = TWICE.split(b"\r\n")[:-1]
    assert {len(line) for line in lines} == {COLUMNS}
    assert all(after[:-1] == before[1:] for before, after in itertools.pairwise(lines))
    assert set(b"".join(lines)) == set(CHARACTERS)


@pytest.mark.parametrize("ring", RINGS, ids=lambda ring: ring.name)
def test_each_line_of_a_ring_is_the_last_one_shifted(ring: Ring) -> None:
    lines = (ring.pattern * 2).split(ring.end)[:-1]
    assert {len(line) for line in lines} == {COLUMNS}
    shifted = [after[:-1] == before[1:] for before, after in itertools.pairwise(lines)]
    # xinetd's first line comes again two lines too late
    assert [n + 1 for n, is_so in enumerate(shifted) if not is_so] == [95] * (ring is XINETD)
    assert lines[: ring.lines] == lines[ring.lines :]
    assert set(b"".join(lines)) == set(ring.characters)


@given(A_RING, LINES, st.lists(st.integers(0, 300_000), max_size=5))
def test_the_pattern_is_followed_from_any_line_in_any_pieces(
    ring: Ring, line: int, sizes: list[int]
) -> None:
    follower = Follower()
    text = begun(ring, line, 200)
    at = 0
    for size in sizes:
        follower.feed(text[at : at + size])
        at += len(text[at : at + size])
    assert follower.size == at
    assert ring in follower.rings or not at


@given(A_RING, LINES, st.integers(1, 20_000))
def test_which_ring_it_is_is_known_after_one_rotation(ring: Ring, line: int, piece: int) -> None:
    follower = Follower()
    feed(follower, begun(ring, line), piece)
    assert follower.rings == (ring,)


def test_which_ring_it_is_is_open_until_they_differ() -> None:
    def rings(text: bytes) -> tuple[Ring, ...]:
        follower = Follower()
        feed(follower, text, 100)
        return follower.rings

    assert rings(b"") == ()
    assert rings(XINETD.pattern[:COLUMNS]) == RINGS
    assert rings(XINETD.pattern[: COLUMNS + 1]) == (RFC, XINETD)
    assert rings(XINETD.pattern[:1699]) == (RFC, XINETD)
    assert rings(XINETD.pattern[:1700]) == (XINETD,)
    assert rings(b" ") == (RFC,)


@given(
    A_RING, LINES, st.integers(0, len(PATTERN) * 12), st.integers(0, 255), st.integers(1, 300_000)
)
@example(RFC, 1, 93, ord("!"), 1)  # what xinetd would send
@example(RFC, 1, COLUMNS, ord("\n"), 74)  # what muduo would send
def test_a_changed_byte_breaks_the_pattern_at_the_first_that_follows_in_no_ring(
    ring: Ring, line: int, at: int, byte: int, piece: int
) -> None:
    text = bytearray(begun(ring, line, 14))
    text[at] = byte
    follower, right = Follower(), followed(bytes(text))
    if right == len(text):
        feed(follower, bytes(text), piece)
        assert follower.size == right
        return
    with pytest.raises(BrokenPattern) as caught:
        feed(follower, bytes(text), piece)
    assert caught.value.offset == follower.size == right
    assert f"got {text[right]:#04x}" in str(caught.value)


@given(st.integers(1, len(PATTERN) * 12), st.integers(0, 255), st.integers(1, 300_000))
def test_a_changed_byte_is_found_where_it_is_once_the_ring_is_known(
    at: int, byte: int, piece: int
) -> None:
    text = bytearray(begun(RFC, 0, 14))  # no other ring has the space that it begins with
    expected, text[at] = text[at], byte
    follower = Follower()
    if byte == expected:
        feed(follower, bytes(text), piece)
        return
    with pytest.raises(BrokenPattern) as caught:
        feed(follower, bytes(text), piece)
    assert caught.value.offset == follower.size == at
    assert follower.rings == (RFC,)
    assert f"line {at // LINE + 1}, column {at % LINE + 1}" in str(caught.value)
    assert f"expected byte {expected:#04x}, got {byte:#04x}" in str(caught.value)


@given(st.binary(min_size=1, max_size=300), st.integers(1, 300))
def test_any_bytes_are_followed_as_far_as_they_are_a_pattern(data: bytes, piece: int) -> None:
    follower, right = Follower(), followed(data)
    if right == len(data):
        feed(follower, data, piece)
        return
    with pytest.raises(BrokenPattern) as caught:
        feed(follower, data, piece)
    assert caught.value.offset == follower.size == right


@pytest.mark.parametrize("first", [0x00, 0x0A, 0x7F, 0xFF])
def test_a_line_begins_with_a_character_of_the_pattern(first: int) -> None:
    with pytest.raises(BrokenPattern, match=r"at byte 0 .*: expected a line of the pattern"):
        Follower().feed(bytes([first]))
