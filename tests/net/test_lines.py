"""Framing: lines in batches, lines one at a time, whole texts."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred

from sockd.net.lines import BATCH_BYTES, TURN_SECONDS, EachLine, Framed, Lines, Text, cut
from sockd.service import Kind
from tests.helpers import LogRecorder, connect, make_context
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


def test_after_a_line_that_is_too_long_nothing_is_understood() -> None:
    client = connect(LATER, make_context(LATER, max_line=3))
    client.send(b"one\nlonger\nnow\n")
    # what TLS has read already comes whether it is wanted or not
    client.protocol.dataReceived(b"now\n")
    client.protocol.pending[0].callback(b"first\n")
    client.loop.settle()
    assert client.received == b"first\nerror: line longer than 3 bytes\r\n"
    assert client.saw_end


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
    """Takes longer for each batch than one turn may take."""

    def answer(self, lines: list[bytes]) -> bytes:
        self.context.clock.rightNow += 2 * TURN_SECONDS
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
    assert seen == [0, 1, 2, 3, 4]
    assert client.received.endswith(b" x\n%d y\n" % (4 * BATCH))


def test_a_client_that_does_not_read_is_not_read_from() -> None:
    client = connect(NUMBERED, make_context(NUMBERED), takes=0)
    client.send(*[b"x\n" * 30_000] * 50)
    assert client.protocol.is_blocked
    assert len(client.socket.inbox) > 40
    assert client.held < 256 * 1024


class Later(EachLine):
    """Answers each line when the test says so, or at once where the line is `now`."""

    lines_per_turn = 3

    def __init__(self, *args: object) -> None:
        super().__init__(*args)  # type: ignore[arg-type]
        self.asked: list[bytes] = []
        self.pending: list[Deferred[bytes]] = []
        self.cancelled = 0

    def answer(self, line: bytes) -> bytes | Deferred[bytes]:
        self.asked.append(line)
        if line == b"now":
            return b"at once\n"
        self.pending.append(Deferred(self.cancel))
        return self.pending[-1]

    def cancel(self, _: Deferred[bytes]) -> None:
        self.cancelled += 1


LATER = Kind(name="later", doc="Answers later.", stream=Later)


def test_an_answer_that_comes_later_keeps_its_place() -> None:
    client = connect(LATER, make_context(LATER))
    client.send(b"one\nnow\ntwo\nnow\nnow\nnow\nnow\n")
    later: Later = client.protocol
    assert later.asked == [b"one"]
    client.send(b"now\n")
    later.pending[0].callback(b"first\n")
    client.loop.settle()
    assert later.asked == [b"one", b"now", b"two"]
    later.pending[1].callback(b"second\n")
    client.loop.settle()
    assert client.received == b"first\nat once\nsecond\n" + b"at once\n" * 5


def test_a_client_is_not_read_from_while_it_waits_for_an_answer() -> None:
    client = connect(LATER, make_context(LATER))
    client.send(b"one\n", *[b"more\n" * 10_000] * 20)
    assert len(client.socket.inbox) == 20


def test_a_client_that_has_ended_its_half_gets_the_answers_that_come_later() -> None:
    client = connect(LATER, make_context(LATER))
    client.send(b"one\ntwo")
    client.end()
    assert not client.saw_end
    client.protocol.pending[0].callback(b"first\n")
    client.loop.settle()
    client.protocol.pending[1].callback(b"second\n")
    client.loop.settle()
    assert client.received == b"first\nsecond\n"
    assert client.is_closed


def test_the_work_for_a_client_that_leaves_is_cancelled() -> None:
    client = connect(LATER, make_context(LATER))
    client.send(b"one\ntwo\n")
    client.vanish()
    assert client.protocol.cancelled == 1
    assert client.protocol.asked == [b"one"]


def test_a_late_answer_that_fails_ends_its_client_alone(log: LogRecorder) -> None:
    context = make_context(LATER)
    one, other = connect(LATER, context), connect(LATER, context)
    one.send(b"one\n")
    one.protocol.pending[0].errback(ZeroDivisionError("by design"))
    one.loop.settle()
    assert one.is_closed
    other.send(b"now\n")
    assert other.received == b"at once\n"
    assert [event["service"] for event in log.flush_faults()] == ["later"]


def test_others_have_their_turn_after_so_many_lines_of_one() -> None:
    context = make_context(LATER)
    loop = context.host.reactor
    client = connect(LATER, context)
    seen: list[int] = []

    def look() -> None:
        seen.append(len(client.protocol.asked))
        if seen[-1] < 12:
            loop.callLater(0, look)

    loop.callLater(0, look)
    client.send(b"now\n" * 12)
    assert [later - earlier for earlier, later in pairwise(seen)] == [3, 3, 3, 3]


def test_a_client_is_not_read_from_while_its_lines_have_their_turns() -> None:
    client = connect(LATER, make_context(LATER))
    left: list[int] = []

    def look() -> None:
        left.append(len(client.socket.inbox))
        if len(client.protocol.asked) < 12:
            client.loop.callLater(0, look)

    client.loop.callLater(0, look)
    client.socket.inbox += [b"now\n" * 12, b"now\n"]
    client.loop.settle()
    assert left[1:] == [1] * 4
    assert client.received == b"at once\n" * 13


class Pieces(Text):
    """Answers a text with one piece a letter."""

    max_text = 100_000

    def answer(self, text: bytes) -> Iterator[bytes]:
        return (bytes([byte]) * 10 for byte in text)


PIECES = Kind(name="pieces", doc="Answers in pieces.", stream=Pieces)


def test_a_text_is_answered_at_its_end_however_slowly_it_is_read() -> None:
    client = connect(PIECES, make_context(PIECES), takes=0)
    client.send(b"ab" * 20_000)
    assert client.held == 0
    client.end()
    assert 65_536 <= client.held < 256 * 1024
    client.take()
    assert client.received == (b"a" * 10 + b"b" * 10) * 20_000
    assert client.is_closed


def test_a_text_that_is_too_long_is_refused_before_its_end() -> None:
    client = connect(PIECES, make_context(PIECES))
    client.send(b"x" * 65_536, b"x" * (100_000 - 65_536))
    assert client.received == b""
    client.send(b"x")
    assert client.received == b"error: text longer than 100000 bytes\r\n"
    assert client.saw_end
