"""Framing: bytes cut into lines, and lines answered in batches."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockd.net.lines import BATCH_BYTES, Framed, Lines, cut
from sockd.net.turns import PASS_SECONDS
from sockd.service import Kind
from tests.helpers import connect, make_context
from tests.memory import Client

CUT_BYTES = st.lists(st.sampled_from([b"\r", b"\n", b"a", b"bb", b"\0", b"\xff"]), max_size=60)


class Listed(Framed):
    """Keeps the lines that it is given."""

    def __init__(self, *args: object) -> None:
        super().__init__(*args)  # type: ignore[arg-type]
        self.heard: list[bytes] = []

    def lines(self, lines: list[bytes]) -> None:
        assert lines
        self.heard += lines


LISTED = Kind(name="listed", doc="Keeps lines.", stream=Listed)


def lines_of(data: bytes) -> list[bytes]:
    """The lines of a whole input, by their definition."""
    *whole, rest = data.split(b"\n")
    return [line.removesuffix(b"\r") for line in [*whole, *filter(None, [rest])]]


def listen_to(chunks: list[bytes], max_line: int = 16384) -> tuple[list[bytes], Client]:
    client = connect(LISTED, make_context(LISTED, max_line=max_line))
    client.send(*chunks)
    client.end()
    return client.protocol.heard, client


@given(st.data())
def test_however_the_bytes_are_cut_the_lines_are_the_same(data: st.DataObject) -> None:
    whole = b"".join(data.draw(CUT_BYTES))
    places = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=8)))
    edges = [0, *places, len(whole)]
    chunks = [whole[start:end] for start, end in pairwise(edges)]
    heard, client = listen_to(chunks)
    assert heard == lines_of(whole)
    assert (client.received, client.is_closed) == (b"", True)


@given(st.data())
def test_however_the_bytes_are_cut_a_line_too_long_ends_them_at_the_same_place(
    data: st.DataObject,
) -> None:
    whole = b"".join(data.draw(CUT_BYTES))
    size = data.draw(st.integers(1, 9))
    chunks = [whole[start : start + size] for start in range(0, len(whole), size)]
    heard, client = listen_to(chunks, max_line=3)
    expected = lines_of(whole)
    too_long = [number for number, line in enumerate(expected) if len(line) > 3]
    assert heard == (expected[: too_long[0]] if too_long else expected)
    assert client.received == (b"error: line longer than 3 bytes\r\n" if too_long else b"")
    assert client.saw_end


@given(st.binary(max_size=200), st.integers(1, 50))
def test_a_cut_loses_nothing(data: bytes, max_line: int) -> None:
    found = cut(data, max_line)
    assert all(len(line) <= max_line and b"\n" not in line for line in found.lines)
    if not found.too_long:
        assert [*found.lines, found.partial] == data.replace(b"\r\n", b"\n").split(b"\n")
        assert len(found.partial.removesuffix(b"\r")) <= max_line


@pytest.mark.parametrize("end", [b"\n", b"\r\n"], ids=["LF", "CRLF"])
def test_a_line_may_be_exactly_as_long_as_the_limit(end: bytes) -> None:
    heard, client = listen_to([b"abc" + end + b"abc" + end + b"abc"], max_line=3)
    assert heard == [b"abc"] * 3
    assert client.received == b""


def test_a_line_that_is_too_long_is_refused_before_its_end_comes() -> None:
    client = connect(LISTED, make_context(LISTED, max_line=1024))
    client.send(b"x" * 1025)
    assert client.received == b"error: line longer than 1024 bytes\r\n"
    assert client.saw_end
    client.send(b"more\n")
    assert client.protocol.heard == []


def test_a_line_that_does_not_end_within_a_minute_is_an_error() -> None:
    client = connect(LISTED, make_context(LISTED))
    for _ in range(59):
        client.send(b"x")
        client.loop.advance(1)
    assert client.received == b""
    client.loop.advance(3)
    assert client.received == b"error: no end of line within 1m\r\n"
    assert client.saw_end


def test_lines_that_end_may_come_for_ever() -> None:
    client = connect(LISTED, make_context(LISTED))
    for _ in range(20):
        client.send(b"half a line")
        client.loop.advance(30)
        client.send(b" and its end\nhalf of the next")
        client.loop.advance(20)
        client.send(b"\n")
    assert client.received == b""
    assert len(client.protocol.heard) == 40


class Numbered(Lines):
    """Answers with the number of lines before it; keeps the sizes of the batches."""

    def __init__(self, *args: object) -> None:
        super().__init__(*args)  # type: ignore[arg-type]
        self.batches: list[int] = []

    def answer(self, lines: list[bytes]) -> bytes:
        start = sum(self.batches)
        self.batches.append(len(lines))
        return b"".join(b"%d %s\n" % (start + at, line) for at, line in enumerate(lines))


NUMBERED = Kind(name="numbered", doc="Numbers lines.", stream=Numbered)


def numbered(lines: list[bytes]) -> bytes:
    return b"".join(b"%d %s\n" % one for one in enumerate(lines))


BATCH = BATCH_BYTES // len(b"x\n")


@pytest.mark.parametrize("count", [1, 1025, BATCH, BATCH + 1, 3 * BATCH + 7])
def test_lines_that_come_at_once_are_answered_in_order_in_batches(count: int) -> None:
    client = connect(NUMBERED, make_context(NUMBERED))
    client.send(b"x\n" * count)
    assert client.received == numbered([b"x"] * count)
    assert max(client.protocol.batches) <= BATCH
    assert client.protocol.batches[0] == min(count, BATCH)


class Slow(Numbered):
    """Takes longer for each batch than a pass of the loop may take."""

    def answer(self, lines: list[bytes]) -> bytes:
        self.context.clock.rightNow += 2 * PASS_SECONDS
        return super().answer(lines)


SLOW = Kind(name="slow", doc="Numbers lines slowly.", stream=Slow)


@given(
    st.sampled_from([NUMBERED, SLOW]),
    st.lists(st.integers(1, 3000), min_size=1, max_size=6),
    st.integers(1, 200_000),
)
def test_a_client_that_reads_late_gets_every_answer_in_order(
    kind: Kind, counts: list[int], first: int
) -> None:
    client = connect(kind, make_context(kind), takes=first)
    for count in counts:
        client.send(b"a line of text\n" * count)
    client.end()
    assert client.held < 256 * 1024
    client.take()
    assert client.received == numbered([b"a line of text"] * sum(counts))
    assert client.is_closed


def test_others_have_their_turn_after_a_batch_that_took_long() -> None:
    client = connect(SLOW, make_context(SLOW))
    seen: list[int] = []

    def look() -> None:
        seen.append(len(client.protocol.batches))
        if seen[-1] < 4:
            client.loop.callLater(0, look)

    client.loop.callLater(0, look)
    client.socket.inbox += [b"x\n" * (4 * BATCH), b"y\n"]
    client.loop.settle()
    assert seen[:4] == [0, 1, 2, 3]
    assert client.received.endswith(b" x\n%d y\n" % (4 * BATCH))


def test_a_client_that_does_not_read_is_not_read_from() -> None:
    client = connect(NUMBERED, make_context(NUMBERED), takes=0)
    client.send(*[b"x\n" * 30_000] * 50)
    assert client.protocol.is_blocked
    assert len(client.socket.inbox) > 40
    assert client.held < 256 * 1024
