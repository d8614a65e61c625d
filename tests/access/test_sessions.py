"""The open connections of an instance: numbered, looked at, ended and waited for."""

from __future__ import annotations

from sockd.access.counts import Traffic
from sockd.access.guard import SWEEP_AT_ONCE, SWEEP_SECONDS
from sockd.access.peer import Peer
from sockd.access.reasons import Reason, because
from tests.access.knocking import PORT, let_in, peers
from tests.helpers import ENTRANCE, LogRecorder, connect, knock, make_context, make_world


def test_sessions_are_numbered_through_the_daemon_and_tell_where_they_came_in() -> None:
    host = make_world()
    contexts = [make_context("echo", host) for _ in range(2)]
    host.reactor.advance(5)
    for number, context in enumerate([*contexts, *contexts]):
        let_in(context, [Peer("198.51.100.1", PORT + number)])
    sessions = [session for context in contexts for session in context.guard.sessions]
    assert [session.number for session in sessions] == [1, 3, 2, 4]
    assert {session.since for session in sessions} == {host.reactor.seconds()}
    assert {session.entrance for session in sessions} == {ENTRANCE}
    assert {(session.bytes_in, session.bytes_out) for session in sessions} == {(0, 0)}


def test_connections_have_the_drain_time_to_end(log: LogRecorder) -> None:
    context = make_context("echo", drain="7s")
    client = knock("echo", context, Peer("198.51.100.1", PORT), takes=0)
    assert client is not None
    client.send(b"x" * 70_000)
    ended: list[object] = []
    context.guard.stop_sessions(because("service_removed")).addCallback(ended.append)
    context.world.reactor.advance(6.9)
    assert not ended
    context.world.reactor.advance(0.2)
    assert len(ended) == 1
    assert [event["reason"] for event in log.events("closed")] == [because("service_removed")]


def test_some_connections_can_be_waited_for_while_others_come() -> None:
    context = make_context("echo")
    first, second = let_in(context, peers("198.51.100.1", 2))
    ended: list[object] = []
    context.guard.when_ended(context.guard.sessions).addCallback(ended.append)
    let_in(context, peers("198.51.100.2", 1))
    first.vanish()
    assert not ended
    second.vanish()
    assert len(ended) == 1
    assert context.guard.when_ended(()).called


def test_without_a_connection_the_looking_ends(log: LogRecorder) -> None:
    context = make_context("echo")
    clients = [connect("echo", context, peer) for peer in peers("198.51.100.1", 3)]
    assert len(context.world.reactor.getDelayedCalls()) == 1
    for client in clients:
        client.end()
    context.world.reactor.advance(SWEEP_SECONDS)
    assert context.world.reactor.getDelayedCalls() == []


class Looked:
    """A connection that counts how often it is looked at."""

    number = bytes_in = bytes_out = times = 0
    since = 0.0
    context = None
    peer = Peer("198.51.100.1", PORT)
    entrance = ENTRANCE
    traffic = Traffic()

    def idle(self, now: float) -> float:
        return now - self.since

    def sweep(self, now: float) -> None:
        self.times += 1

    def stop(self, reason: Reason) -> None:
        raise AssertionError("nobody stops it")

    abort = stop


def test_many_connections_are_looked_at_some_in_a_pass_of_the_loop() -> None:
    context = make_context("echo")
    guard, clock = context.guard, context.world.reactor
    sessions = [Looked() for _ in range(2 * SWEEP_AT_ONCE + 2)]
    for session in sessions:
        guard.admit(session)

    def between() -> None:
        looked_at.append(sum(session.times for session in sessions))
        guard.leave(sessions[-1])  # before its turn

    looked_at: list[int] = []
    clock.callLater(SWEEP_SECONDS, between)
    clock.advance(SWEEP_SECONDS)
    assert looked_at == [SWEEP_AT_ONCE]
    assert [session.times for session in sessions] == [1] * (len(sessions) - 1) + [0]
    clock.callLater(SWEEP_SECONDS, guard.stop)  # in the middle of the next sweep
    clock.advance(SWEEP_SECONDS)
    assert sum(session.times for session in sessions) == len(sessions) - 1 + SWEEP_AT_ONCE
    assert clock.getDelayedCalls() == []
    for session in sessions:
        guard.leave(session)
