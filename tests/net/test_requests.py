"""Requests: answered one at a time, later, or in pieces; greetings; what is dropped."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise, repeat

import pytest
from twisted.internet.defer import Deferred

from sockd.formats.whole import TextBuffer
from sockd.net.requests import (
    BATCH_BYTES,
    BYTES_PER_TURN,
    REQUESTS_PER_TURN,
    Answer,
    Once,
    Requests,
)
from sockd.service import Kind
from tests.helpers import LogRecorder, connect, make_context
from tests.memory import Client


class Later(Requests):
    """Answers each line when the test says so, or at once where the line is `now`."""

    def __init__(self, *args: object) -> None:
        super().__init__(*args)  # type: ignore[arg-type]
        self.asked: list[bytes] = []
        self.pending: list[Deferred[bytes]] = []
        self.cancelled = 0

    def answer(self, request: bytes) -> bytes | Deferred[bytes]:
        self.asked.append(request)
        if request == b"now":
            return b"at once\n"
        self.pending.append(Deferred(self.cancel))
        return self.pending[-1]

    def cancel(self, _: Deferred[bytes]) -> None:
        self.cancelled += 1


LATER = Kind(name="later", doc="Answers later.", stream=Later)


def test_after_a_line_that_is_too_long_nothing_is_understood() -> None:
    client = connect(LATER, make_context(LATER, max_line=3))
    client.send(b"one\nlonger\nnow\n")
    # what TLS has read already comes whether it is wanted or not
    client.protocol.dataReceived(b"now\n")
    client.protocol.pending[0].callback(b"first\n")
    client.loop.settle()
    assert client.received == b"first\nerror: line longer than 3 bytes\r\n"
    assert client.saw_end


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
        if seen[-1] < 4 * REQUESTS_PER_TURN:
            loop.callLater(0, look)

    loop.callLater(0, look)
    client.send(b"now\n" * (4 * REQUESTS_PER_TURN))
    assert [later - earlier for earlier, later in pairwise(seen)] == [REQUESTS_PER_TURN] * 4


def test_a_client_is_not_read_from_while_its_lines_have_their_turns() -> None:
    client = connect(LATER, make_context(LATER))
    left: list[int] = []

    def look() -> None:
        left.append(len(client.socket.inbox))
        if len(client.protocol.asked) < 4 * REQUESTS_PER_TURN:
            client.loop.callLater(0, look)

    client.loop.callLater(0, look)
    client.socket.inbox += [b"now\n" * (4 * REQUESTS_PER_TURN), b"now\n"]
    client.loop.settle()
    assert left[1:] == [1, 1, 1, 0]
    assert client.received == b"at once\n" * (4 * REQUESTS_PER_TURN + 1)


class Pieces(Requests):
    """Answers a text with one piece a letter."""

    def make_buffer(self) -> TextBuffer:
        return TextBuffer(100_000)

    def answer(self, request: bytes) -> Iterator[bytes]:
        return (bytes([byte]) * 10 for byte in request)


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


# answers of every kind


class Talker(Requests):
    """Greets, and answers a line as it says: `bytes`, `pieces`, `later`, `later pieces`."""

    pending: Deferred[bytes] | Deferred[Iterator[bytes]] | None = None

    def greeting(self) -> bytes:
        return b"hello\n"

    def answer(self, request: bytes) -> Answer:
        if request == b"pieces":
            return iter([b"one ", b"two ", b"three\n"])
        if request == b"endless":
            return repeat(b"on and on\n")
        if request == b"broken":
            return (1 // number for number in (1, 0))  # type: ignore[misc]
        if request == b"text":
            return "a text"  # type: ignore[return-value]
        if request == b"last":
            self.hear_no_more()
        if request.startswith(b"later"):
            self.pending = Deferred()
            return self.pending
        return request + b"\n"


TALKER = Kind(name="talker", doc="Answers in every way.", stream=Talker)


def talk(*chunks: bytes, takes: int | None = None) -> Client:
    client = connect(TALKER, make_context(TALKER), takes=takes)
    client.send(*chunks)
    return client


def test_a_connection_is_greeted_before_anything_is_answered() -> None:
    assert talk(b"one\n").received == b"hello\none\n"


def test_answers_in_pieces_and_answers_at_once_keep_their_order() -> None:
    assert talk(b"a\npieces\nb\npieces\n").received == (
        b"hello\na\none two three\nb\none two three\n"
    )


def test_pieces_can_come_later_and_keep_their_place() -> None:
    client = talk(b"a\nlater\nb\n")
    assert client.received == b"hello\na\n"
    client.protocol.pending.callback(iter([b"late ", b"pieces\n"]))
    client.loop.settle()
    assert client.received == b"hello\na\nlate pieces\nb\n"


def test_an_answer_without_end_is_written_as_it_is_taken_and_the_others_have_their_turns() -> None:
    context = make_context(TALKER)
    endless = connect(TALKER, context, takes=100_000)
    other = connect(TALKER, context)
    endless.send(b"endless\n")
    assert endless.held < 256 * 1024
    other.send(b"still here\n")
    assert other.received == b"hello\nstill here\n"
    endless.take(50_000)
    assert len(endless.received) == 150_000


def test_a_turn_ends_after_so_many_bytes_however_quickly_they_are_taken() -> None:
    client = connect(TALKER, make_context(TALKER), takes=10 * BYTES_PER_TURN)
    client.protocol.buffer.feed(b"endless\n")
    before = client.protocol.bytes_out
    client.protocol.turn(math.inf)
    written = client.protocol.bytes_out - before
    client.vanish()
    assert BYTES_PER_TURN <= written < BYTES_PER_TURN + 2 * BATCH_BYTES


@pytest.mark.parametrize("request_", [b"broken\n", b"text\n"])
def test_an_answer_that_is_none_ends_that_peer_only(request_: bytes, log: LogRecorder) -> None:
    context = make_context(TALKER)
    one, other = connect(TALKER, context), connect(TALKER, context)
    one.send(request_)
    assert one.is_closed
    other.send(b"still here\n")
    assert other.received == b"hello\nstill here\n"
    assert [event["service"] for event in log.flush_faults()] == ["talker"]


def test_after_the_last_request_nothing_is_heard() -> None:
    client = talk(b"a\nlast\nb\n" + b"x" * 20_000)
    assert client.received == b"hello\na\nlast\n"
    assert client.saw_end


# what is dropped from outside


@pytest.mark.parametrize(
    "request_", [b"endless\n", b"later\n", b"half a line", b"endless\nmore\nand more\n"]
)
def test_what_is_dropped_is_gone_and_the_connection_goes_on_in_step(request_: bytes) -> None:
    client = talk(request_, takes=30_000)
    client.protocol.drop()
    client.take()
    before = client.received
    client.send(b"next\n")
    assert client.received == before + b"next\n"
    assert not client.protocol.holds


def test_an_answer_that_comes_after_it_was_dropped_is_not_sent() -> None:
    client = talk(b"later\n")
    pending = client.protocol.pending
    client.protocol.drop()
    client.send(b"next\n")
    if not pending.called:
        pending.callback(b"too late\n")
    client.loop.settle()
    assert client.received == b"hello\nnext\n"


def test_a_generator_that_is_dropped_is_closed() -> None:
    ended: list[bool] = []

    def pieces() -> Iterator[bytes]:
        try:
            while True:
                yield b"on and on\n"
        finally:
            ended.append(True)

    class Generates(Requests):
        def answer(self, request: bytes) -> Iterator[bytes]:
            return pieces()

    kind = Kind(name="generates", doc="Generates.", stream=Generates)
    client = connect(kind, make_context(kind), takes=10)
    client.send(b"go\n")
    client.protocol.drop()
    assert ended == [True]


# who says one thing and closes


class Late(Once):
    """Its greeting comes when the test says so."""

    def greeting(self) -> Deferred[bytes]:
        self.pending: Deferred[bytes] = Deferred()
        return self.pending


LATE = Kind(name="late", doc="Greets later.", stream=Late)


@pytest.mark.parametrize("ends", [False, True], ids=["open", "half-closed"])
def test_a_greeting_may_come_later_and_closes(ends: bool) -> None:
    client = connect(LATE, make_context(LATE))
    client.send(b"what nobody reads\n" * 10_000)
    if ends:
        client.end()
    client.protocol.pending.callback(b"at last\n")
    client.loop.settle()
    assert client.received == b"at last\n"
    assert client.is_closed
    assert not client.socket.inbox
