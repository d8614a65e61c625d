"""How long each state of a connection may last, and why the connection ends after that."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred

from sockd.access.reasons import SENTENCES
from sockd.formats.template import names_in
from sockd.net.requests import Once, Requests
from sockd.net.states import STATES, Hold, state_of
from sockd.service import Kind
from tests.helpers import LogRecorder, connect, make_context
from tests.memory import Client


class Slow(Requests):
    """Its answers come when the test says so."""

    pending: Deferred[bytes]

    def answer(self, request: bytes) -> Deferred[bytes]:
        self.pending = Deferred()
        return self.pending


class Late(Once):
    """Its greeting never comes."""

    def greeting(self) -> Deferred[bytes]:
        return Deferred()


LATE = Kind(name="late", doc="Never greets.", stream=Late)
SLOW = Kind(name="slow", doc="Answers later.", stream=Slow)


def slow(takes: int | None = None, **table: Any) -> Client:
    return connect(SLOW, make_context(SLOW, **table), takes=takes)


def test_a_client_that_waits_for_our_answer_is_not_idle() -> None:
    client = slow(idle_timeout="30s")
    client.send(b"question\n")
    client.loop.advance(40)
    client.protocol.pending.callback(b"answer\n")
    client.loop.settle()
    assert client.received == b"answer\n"
    assert not client.saw_end


def test_after_the_answer_it_is_idle_from_then_on() -> None:
    client = slow(idle_timeout="30s")
    client.send(b"question\n")
    client.loop.advance(40)
    client.protocol.pending.callback(b"answer\n")
    client.loop.advance(29)
    assert not client.saw_end
    client.loop.advance(3)
    assert client.saw_end


def test_an_answer_that_never_comes_is_told_after_its_own_time(log: LogRecorder) -> None:
    client = slow(answer_timeout="5m")
    client.send(b"question\n")
    client.loop.advance(299)
    assert not client.saw_end
    client.loop.advance(3)
    assert client.received == b"error: no answer within 5m\r\n"
    client.end()
    assert [str(event["reason"]) for event in log.events("closed")] == [
        "error: no answer within 5m"
    ]


def test_what_a_client_sends_while_it_waits_does_not_put_the_end_off() -> None:
    client = connect(LATE, make_context(LATE, answer_timeout="5s"))
    for _ in range(7):
        client.send(b"x")
        client.loop.advance(1)
    assert client.saw_end


def test_each_question_has_the_whole_time_for_its_answer() -> None:
    client = slow(answer_timeout="10s")
    client.send(b"one\ntwo\nthree\n")
    for _ in range(3):
        client.loop.advance(8)
        client.protocol.pending.callback(b"answer\n")
        client.loop.settle()
    assert client.received == b"answer\n" * 3


def test_a_client_that_is_gone_while_we_work_is_noticed(log: LogRecorder) -> None:
    client = slow()
    client.send(b"question\n")
    client.socket.is_lost = True  # nothing is read, so no reactor would tell
    client.loop.advance(2)
    assert client.is_closed
    assert [event["reason"].name for event in log.events("closed")] == ["peer_closed"]


STEPS = {
    "idle": lambda client: None,
    "request": lambda client: client.send(b"half a line"),
    "working": lambda client: client.send(b"question\n"),
    "blocked": lambda client: client.protocol.write(b"x" * 70_000),
    "closing": lambda client: client.protocol.close(),
}


@pytest.mark.parametrize("state", STEPS)
def test_a_connection_is_in_one_state_at_a_time(state: str) -> None:
    client = slow(takes=0 if state == "blocked" else None)
    STEPS[state](client)
    client.loop.settle()
    assert state_of(client.protocol).name == state


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.name)
def test_each_state_ends_for_a_reason_of_the_table(state: Any) -> None:
    assert names_in(SENTENCES[state.reason]) == {"limit"}
    assert str(state.because(90)).endswith(" 90s")


# reasons not to read


def test_reading_goes_on_when_no_reason_is_left() -> None:
    client = slow()
    stream = client.protocol
    stream.hold(Hold.CHILD)
    stream.hold(Hold.PEER)
    stream.release(Hold.CHILD)
    client.send(b"question\n")
    assert stream.bytes_in == 0
    stream.release(Hold.CHILD)  # which is none any more: nothing changes
    assert stream.bytes_in == 0
    stream.release(Hold.PEER)
    client.loop.settle()
    assert stream.bytes_in == 9


def test_a_peer_that_has_finished_is_not_read_from_again() -> None:
    client = slow()
    client.send(b"question\n")
    client.socket.has_end = True
    client.protocol.pending.callback(b"answer\n")
    client.loop.settle()
    assert client.received == b"answer\n"
    assert client.is_closed
