"""Datagrams: what is owed and never comes, and faults that come in floods."""

from __future__ import annotations

import pytest

from sockd.net.datagram import MAX_OWED, Replies
from sockd.net.faults import FAULTS_PER_SECOND
from sockd.service import Kind
from tests.helpers import LogRecorder
from tests.net.test_datagram import FRUGAL, PROBE, batch, later, probe


def test_a_late_answer_is_given_up_after_answer_timeout_and_the_port_hears_again(
    log: LogRecorder,
) -> None:
    port = probe(FRUGAL, answer_timeout=5)
    loop = later(port).context.world.reactor
    for _ in range(MAX_OWED + 6):
        port.ask(b"later")
    loop.advance(4)
    assert (later(port).cancelled, port.counted["errors"]) == (6, 0)
    loop.advance(2)
    assert (later(port).cancelled, port.counted["errors"]) == (MAX_OWED + 6, MAX_OWED)
    reports = log.events("failed")
    assert len(reports) == FAULTS_PER_SECOND
    assert reports[0]["reason"].fields("reason") == {"reason": "answer_timeout", "limit": 5}
    assert port.sent == []
    port.ask(b"later")
    later(port).pending[-1].callback(b"yes")
    assert port.answers == [b"yes"]
    loop.advance(10)
    assert not loop.getDelayedCalls()


def test_what_a_port_owes_is_waited_for_and_what_comes_later_is_not(log: LogRecorder) -> None:
    port = probe(answer_timeout=5)
    protocol = later(port)
    assert protocol.when_answered().called
    port.ask(b"later")
    port.ask(b"later")
    answered: list[None] = []
    protocol.when_answered().addCallback(answered.append)
    port.ask(b"later")
    protocol.pending[0].callback(b"one")
    assert answered == []
    protocol.pending[1].callback(b"two")
    assert answered == [None]
    late = protocol.when_answered()
    protocol.context.world.reactor.advance(6)
    assert late.called
    port.ask(b"later")
    closed = protocol.when_answered()
    port.stopListening()
    assert closed.called


def test_a_service_that_fails_to_cancel_costs_its_own_datagram_only(log: LogRecorder) -> None:
    port = probe()
    later(port).cancel = lambda _: 1 / 0  # type: ignore[method-assign, assignment]
    port.ask(b"later")
    port.ask(b"later")
    port.stopListening()
    assert len(log.flush_faults()) == 2


@pytest.mark.parametrize(
    ("kind", "question", "event"),
    [
        (PROBE, b"raise", "error"),
        (FRUGAL, b"too long", "failed"),
    ],
)
def test_a_flood_of_faults_is_reported_ten_times_a_second(
    log: LogRecorder, kind: Kind, question: bytes, event: str
) -> None:
    port = probe(kind, reply_rate="100000/s", reply_burst=100_000)
    for _ in range(1000):
        port.ask(question)
    assert len(log.events(event)) == FAULTS_PER_SECOND
    assert port.counted["errors"] == 1000
    later(port).context.world.reactor.advance(1)
    port.ask(question)
    [told] = log.events("warning")
    assert str(told["reason"]) == "990 more errors since the last that was reported"
    assert len(log.events(event)) == FAULTS_PER_SECOND + 1
    log.flush_faults()


def test_what_ends_the_daemon_does_not_leave_a_port_mute() -> None:
    class Leaves(Replies):
        def answer(self, data: bytes) -> bytes:
            if data == b"exit":
                raise SystemExit(1)
            return data

    port = probe(Kind(name="leaves", doc="Leaves.", datagram=Leaves))
    with pytest.raises(SystemExit):
        port.ask_at_once(*batch(b"a", b"exit"))
    assert port.answers == [b"a"]
    assert port.ask(b"b") == [b"b"]
