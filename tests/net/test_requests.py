"""Requests: answered one at a time, later, or in pieces; greetings; what is dropped."""

from __future__ import annotations

import gc
from asyncio import CancelledError
from collections.abc import Iterator
from itertools import pairwise

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure

from sockd.formats.whole import TextBuffer
from sockd.net.requests import (
    REQUESTS_PER_TURN,
    Requests,
)
from sockd.service import Kind
from tests.helpers import LogRecorder, connect, make_context


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
    loop = context.world.reactor
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


def test_an_answer_that_fails_in_any_way_ends_its_client(log: LogRecorder) -> None:
    client = connect(LATER, make_context(LATER))
    client.send(b"one\n")
    client.protocol.pending[0].errback(CancelledError())
    client.loop.settle()
    assert client.is_closed
    assert len(log.flush_faults()) == 1


class Broken(Later):
    """Loses its client while it is asked, and fails when nobody waits any more."""

    def answer(self, request: bytes) -> bytes | Deferred[bytes]:
        self.transport.connectionLost(Failure(ConnectionLost()))
        return super().answer(request)

    def cancel(self, answer: Deferred[bytes]) -> None:
        super().cancel(answer)
        answer.errback(ZeroDivisionError("by design"))


def test_an_answer_to_who_is_lost_while_it_asks_is_cancelled_and_its_failure_nobodys(
    log: LogRecorder,
) -> None:
    kind = Kind(name="broken", doc="Loses its client.", stream=Broken)
    client = connect(kind, make_context(kind))
    client.send(b"one\n")
    assert client.protocol.cancelled == 1
    gc.collect()  # a Deferred that failed unseen says so when it is collected
    assert log.flush_faults() == []


class Dropped(Later):
    """Forgets all when it has asked."""

    def answer(self, request: bytes) -> bytes | Deferred[bytes]:
        answer = super().answer(request)
        self._awaited = answer if isinstance(answer, Deferred) else None
        self.drop()
        return b"dropped\n"


def test_an_answer_that_is_dropped_in_its_turn_is_cancelled_and_nobodys(log: LogRecorder) -> None:
    kind = Kind(name="dropped", doc="Drops its answers.", stream=Dropped)
    client = connect(kind, make_context(kind))
    client.send(b"one\n")
    assert client.received == b"dropped\n"
    client.protocol.pending.clear()
    gc.collect()
    assert log.flush_faults() == []
