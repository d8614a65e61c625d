"""Urgent data of a socket: each byte is told of once, and nothing else is lost or out of order."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sockd.net.urgent import MOST_DROPPED, MOST_TOLD
from tests.net.urgent_wires import WHOLE, Ends, await_bytes, connected, ends

MEGABYTE = 2**20


# a model of the stream with marks


class Stream:
    """What must come of what is sent and read, where all that was sent has come."""

    def __init__(self) -> None:
        self.bytes = b""
        self.place = 0
        self.mark = -1
        """Where the last urgent byte stands, if it was not read."""
        self.told: list[int] = []
        self.has_ended = False

    def send(self, data: bytes, is_urgent: bool) -> None:
        self.bytes += data
        if is_urgent:
            self.mark = len(self.bytes) - 1

    def look(self) -> bytes:
        """The byte that is told of."""
        if self.mark < self.place or self.mark in self.told:
            return b""
        self.told.append(self.mark)
        if self.mark == self.place:
            self.place += 1
        return self.bytes[self.mark : self.mark + 1]

    def read(self, most: int) -> tuple[bytes, bytes | None]:
        """The byte that is told of, and the data."""
        if self.place == len(self.bytes):
            if not self.has_ended:
                raise BlockingIOError
            return b"", b""
        if byte := self.look():
            return byte, None
        start, self.place = self.place, min(self.place + most, len(self.bytes))
        if start < self.mark < self.place:
            self.place = self.mark
        places = [place for place in range(start, self.place) if place not in self.told]
        return b"", bytes(self.bytes[place] for place in places) or None

    def discard(self) -> None:
        if self.told:
            self.place = max(self.place, self.told[-1] + 1)


PIECES = st.binary(min_size=1, max_size=20)
STEPS = st.one_of(
    st.tuples(st.just("send"), PIECES),
    st.tuples(st.just("urge"), PIECES),
    st.tuples(st.just("read"), st.integers(1, 30)),
    st.tuples(st.just("look"), st.none()),
    st.tuples(st.just("discard"), st.none()),
)


def step(stream: Stream, there: Ends, what: str, value: Any) -> None:
    """Do it in both, and compare."""
    before = len(there.told)
    byte = b""
    if what in ("send", "urge"):
        stream.send(value, what == "urge")
        there.send(value if what == "send" else value.decode("latin-1"))
    elif what == "look":
        byte = stream.look()
        assert there.urgent.look() == bool(byte)
    elif what == "discard":
        stream.discard()
        there.urgent.discard()
    else:
        try:
            byte, data = stream.read(value)
        except BlockingIOError:
            with pytest.raises(BlockingIOError):
                there.urgent.read(value)
        else:
            assert there.urgent.read(value) == data
    assert b"".join(there.told[before:]) == byte


@given(st.lists(STEPS, max_size=40), st.booleans())
@example([("urge", b"!"), ("urge", b"?"), ("read", 1)], True)
@example([("urge", b"a!"), ("look", None), ("urge", b"?"), ("read", 1), ("read", 9)], True)
@example([("urge", b"a!"), ("read", 9), ("send", b"b"), ("discard", None)], False)
def test_ordinary_bytes_come_once_and_in_order_and_urgent_ones_are_told_of_unless_overtaken(
    steps: list[tuple[str, Any]], ends_whole: bool
) -> None:
    stream = Stream()
    with ends() as there:
        for what, value in steps:
            step(stream, there, what, value)
        if ends_whole:
            there.end()
            stream.has_ended = True
        while stream.place < len(stream.bytes):
            step(stream, there, "read", WHOLE)
        step(stream, there, "read", WHOLE)


@given(st.lists(st.tuples(PIECES, st.booleans()), max_size=30), st.integers(1, 30))
def test_bytes_that_come_while_others_are_read_are_not_lost_either(
    pieces: list[tuple[bytes, bool]], most: int
) -> None:
    """No model here: when what has come is up to the kernel."""
    ordinary = b"".join(data for data, _ in pieces)
    got = b""
    with ends() as there:
        for data, is_urgent_one in pieces:
            there.near.send(data, socket.MSG_OOB if is_urgent_one else 0)
            with suppress(BlockingIOError):
                got += there.urgent.read(most) or b""
        there.near.shutdown(socket.SHUT_WR)
        await_bytes(there.far, len(ordinary) + 1)
        got += there.data(most)
    urged = [data[-1:] for data, is_urgent_one in pieces if is_urgent_one]
    assert len(got) + len(there.told) == len(ordinary)
    assert _is_within(there.told, urged)
    # the last one cannot be overtaken
    assert there.told[-1:] == urged[-1:]
    assert _is_within(
        [*map(bytes, zip(got, strict=True))], [*map(bytes, zip(ordinary, strict=True))]
    )


def _is_within(some: list[bytes], everything: list[bytes]) -> bool:
    """Whether these are among those, in that order."""
    rest = iter(everything)
    return all(one in rest for one in some)


# where the byte stands

TEXT = b"abcdef"


@pytest.mark.parametrize("place", range(len(TEXT) + 1))
@pytest.mark.parametrize("has_end", [False, True], ids=["open", "ended"])
@pytest.mark.parametrize("most", [1, 2, 3, WHOLE])
def test_an_urgent_byte_at_any_place_is_told_of_first_and_left_out(
    place: int, has_end: bool, most: int
) -> None:
    with ends() as there:
        there.send(TEXT[:place].decode() + "!")
        if TEXT[place:]:
            there.send(TEXT[place:])
        if has_end:
            there.end()
        assert there.urgent.look()
        assert there.told == [b"!"]
        read = there.read(most)
        assert b"".join(piece for piece in read if piece) == TEXT
        assert (read[-1:] == [b""]) == has_end
        assert there.told == [b"!"]


@pytest.mark.parametrize("place", range(len(TEXT) + 1))
def test_what_stands_before_the_byte_is_dropped_and_what_stands_after_it_is_kept(
    place: int,
) -> None:
    with ends() as there:
        there.do = lambda: there.urgent.discard()
        there.send(TEXT[:place].decode() + "!", TEXT[place:] + b".")
        assert there.data() == TEXT[place:] + b"."
        assert there.told == [b"!"]


@pytest.mark.parametrize("place", range(len(TEXT)))
def test_a_byte_in_the_middle_of_a_segment_is_told_of(place: int) -> None:
    """Urgent and ordinary bytes that wait together leave together."""
    with ends() as there:
        there.near.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
        if place:
            there.near.send(TEXT[:place])
        there.near.send(b"!", socket.MSG_OOB | socket.MSG_MORE)
        there.near.send(TEXT[place:])
        there.near.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 0)
        await_bytes(there.far, len(TEXT) + 1)
        assert there.data() == TEXT
        assert there.told == [b"!"]


def test_a_byte_that_came_before_anybody_looked_is_told_of() -> None:
    with connected() as (near, far):
        near.send(b"!", socket.MSG_OOB)
        near.send(b"after")
        await_bytes(far, 6)
        there = Ends(near, far)
        assert there.read() == [None, b"after"]
        assert there.told == [b"!"]


def test_of_two_before_a_look_the_first_is_ordinary() -> None:
    with ends() as there:
        there.send("!", "?", b"x")
        assert there.data() == b"!x"
        assert there.told == [b"?"]


def test_of_two_with_a_look_between_them_both_are_told_of_and_left_out() -> None:
    with ends() as there:
        there.send("ab!")
        assert there.urgent.look()
        there.send("cd?", b"ef")
        assert there.urgent.look()
        assert there.told == [b"!", b"?"]
        assert there.data() == b"abcdef"


def test_a_byte_that_is_told_of_is_not_told_of_again() -> None:
    with ends() as there:
        there.send("ab!")
        assert [there.urgent.look() for _ in range(3)] == [True, False, False]
        assert there.read(1) == [b"a", b"b", None]
        assert not there.urgent.look()
        assert there.told == [b"!"]


def test_in_its_place_a_byte_is_told_of_when_all_before_it_was_read() -> None:
    with ends(in_place=True) as there:
        there.send("ab!", b"cd")
        assert not there.urgent.look()
        assert there.read() == [b"ab", None, b"cd"]
        assert there.told == [b"!"]


def test_a_flood_is_told_of_only_so_far_as_it_must_be_remembered() -> None:
    with ends() as there:
        there.send(b"x")
        for _ in range(MOST_TOLD + 20):
            there.send("!")
            there.urgent.look()
        assert len(there.told) == MOST_TOLD
        assert there.data() == b"x" + b"!" * 19
        assert len(there.told) == MOST_TOLD + 1


# dropping


def test_dropping_leaves_what_another_urgent_byte_stands_in() -> None:
    with ends() as there:
        there.send("ab!")
        there.urgent.look()
        there.send(b"cd", "?", b"ef")
        there.urgent.discard()
        assert there.data() == b"cdef"
        assert there.told == [b"!", b"?"]


def test_there_is_nothing_to_drop_twice_or_without_an_urgent_byte() -> None:
    with ends() as there:
        there.send(b"ab")
        there.urgent.discard()
        there.send("!")
        there.urgent.look()
        there.send(b"cd")
        there.urgent.discard()
        there.urgent.discard()
        assert there.data() == b"cd"


def test_dropping_when_the_byte_was_the_first_thing_to_read_drops_nothing_after_it() -> None:
    with ends() as there:
        there.do = lambda: there.urgent.discard()
        there.send(b"before")
        assert there.read() == [b"before"]
        there.send("!", b"after")
        assert there.read() == [None, b"after"]


def test_megabytes_are_dropped_up_to_the_mark() -> None:
    with ends(4 * MEGABYTE) as there:
        there.near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * MEGABYTE)
        there.send(bytes(2 * MOST_DROPPED), "!", b"after")
        assert there.urgent.look()
        there.urgent.discard()
        assert there.data() == b"after"
