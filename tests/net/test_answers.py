"""Answers of every kind, greetings, and what a service does while it answers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import repeat

import pytest
from twisted.internet.defer import Deferred

from sockd.access.reasons import because
from sockd.net.requests import (
    BATCH_BYTES,
    BYTES_PER_TURN,
    Answer,
    Once,
    Requests,
)
from sockd.service import Kind
from tests.helpers import LogRecorder, connect, make_context
from tests.memory import Client

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


# what a service does while it answers


class Acts(Requests):
    """Does what a line says, beside answering it."""

    def greeting(self) -> bytes:
        return b"hi\n"

    def answer(self, request: bytes) -> Answer:
        if request == b"fail":
            self.fail(because("rejected", detail="no"))
        elif request == b"close":
            self.close()
        elif request == b"drop":
            self.drop()
            return b"dropped\n"
        elif request == b"write":
            self.write(b"early\n")
        elif request == b"broken":
            raise ZeroDivisionError("by design")
        elif request == b"exit":
            raise SystemExit(1)
        return request + b"\n"


ACTS = Kind(name="acts", doc="Acts while it answers.", stream=Acts)
ACTED = {
    b"a\nb\nfail\nc\n": b"hi\na\nb\nerror: no\r\n",
    b"a\nb\nclose\nc\n": b"hi\na\nb\n",
    b"a\nb\ndrop\nc\n": b"hi\na\nb\ndropped\n",
    b"a\nwrite\nb\n": b"hi\na\nearly\nwrite\nb\n",
}


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize("requests", ACTED)
def test_what_a_service_does_while_it_answers_comes_in_its_place(
    requests: bytes, size: int
) -> None:
    if b"drop" in requests and size < 1000:
        requests = requests.removesuffix(b"c\n")  # what comes after is heard again
    client = connect(ACTS, make_context(ACTS))
    client.send(*(requests[at : at + size] for at in range(0, len(requests), size)))
    expected = ACTED.get(requests) or ACTED[requests + b"c\n"]
    assert client.received == expected


@pytest.mark.parametrize("ends", [b"fail\n", b"drop\n"])
def test_a_client_that_has_ended_its_half_gets_what_was_answered_before(ends: bytes) -> None:
    client = connect(ACTS, make_context(ACTS))
    client.socket.inbox.append(b"a\n" + ends)
    client.socket.has_end = True
    client.loop.settle()
    assert client.received.startswith(b"hi\na\n")
    assert client.is_closed


class Shuts(Requests):
    """Closes in the midst of answering a block."""

    def answer_block(self, block: bytes) -> bytes:
        self.close()
        return block


SHUTS = Kind(name="shuts", doc="Closes.", stream=Shuts)


@pytest.mark.parametrize("pieces", [[b"a line\n"], [b"a ", b"line\n"]])
def test_after_a_service_has_closed_nothing_more_is_written(pieces: list[bytes]) -> None:
    client = connect(SHUTS, make_context(SHUTS))
    client.send(*pieces)
    assert client.received == b""
    assert client.saw_end


def test_to_hear_no_more_closes_a_connection_that_is_owed_nothing() -> None:
    client = talk()
    client.protocol.hear_no_more()
    client.loop.settle()
    assert client.received == b"hello\n"
    assert client.saw_end


class Pours(Once):
    """Says one thing without end."""

    def greeting(self) -> Iterator[bytes]:
        return repeat(b"x" * 1000)


POURS = Kind(name="pours", doc="Pours.", stream=Pours)


def test_who_says_one_thing_in_pieces_is_held_while_they_are_not_taken() -> None:
    client = connect(POURS, make_context(POURS), takes=1000)
    assert client.protocol.is_blocked
    assert client.held <= 256 * 1024
