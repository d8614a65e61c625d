"""The base of stream services: time, closing, faults, back-pressure, and what is reported."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from OpenSSL import SSL
from twisted.internet.address import IPv4Address
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from sockd.access.peer import Peer
from sockd.access.reasons import because
from sockd.formats.faults import error_line
from sockd.listen.strings import parse
from sockd.net import tls
from sockd.net.entry import ConnectionFactory
from sockd.net.states import Hold
from sockd.net.stream import LINGER_BYTES, LINGER_SECONDS, Stream
from sockd.service import Kind
from tests.helpers import ENTRANCE, LogRecorder, connect, knock, make_context
from tests.memory import Client


class Probe(Stream):
    """Does what it is told in a line: `raise`, `close`, `fail`, or says it back."""

    def received(self, data: bytes) -> None:
        if data == b"raise":
            raise ZeroDivisionError("by design")
        if data == b"close":
            self.write(b"bye")
            self.close()
        elif data == b"fail":
            self.fail(because("rejected", detail="no such thing: \x1b[31m"))
        else:
            self.write(data)


PROBE = Kind(name="probe", doc="Does what it is told.", stream=Probe)


def probe(takes: int | None = None, **table: Any) -> Client:
    return connect(PROBE, make_context(PROBE, **table), takes=takes)


# time


def test_a_connection_without_a_byte_is_closed_after_two_minutes() -> None:
    client = probe()
    client.loop.advance(119)
    assert not client.socket.write_ended
    client.loop.advance(3)
    assert client.saw_end


def test_a_byte_in_either_direction_keeps_a_connection() -> None:
    client = probe()
    for _ in range(5):
        client.loop.advance(100)
        client.send(b"x")
        client.loop.advance(100)
        client.protocol.write(b"unasked")
    assert not client.saw_end


def test_the_idle_timeout_is_a_setting() -> None:
    client = probe(idle_timeout="10s")
    client.loop.advance(12)
    assert client.saw_end


def test_a_client_that_takes_nothing_for_a_minute_is_cut_off() -> None:
    client = probe(takes=0)
    client.send(b"x" * 65_537)
    assert client.protocol.is_blocked
    client.loop.advance(58)
    assert not client.socket.closed
    client.loop.advance(4)
    assert client.is_closed
    assert client.socket.was_reset


def test_a_client_that_takes_a_little_now_and_then_is_not_cut_off() -> None:
    client = probe(takes=0)
    client.send(b"x" * 65_537, b"y" * 65_537)
    for _ in range(20):
        client.loop.advance(50)
        client.take(1)
    assert not client.is_closed


def test_an_answer_that_is_not_taken_after_closing_is_dropped_after_a_minute() -> None:
    client = probe(takes=0)
    client.send(b"close")
    client.loop.advance(62)
    assert client.is_closed


def tls_client(tls_files: tuple[Path, ...], **table: Any) -> Client:
    certificate, key, _ = tls_files
    listen = parse(f"tls:0:interface=127.0.0.1:privateKey={key}:certKey={certificate}")
    context = make_context(PROBE, **table)
    factory = tls.TLSFactory(tls.Connections(tls.load(listen.terms)), context.clock)
    door = ConnectionFactory(context, Probe, evolve(ENTRANCE, transport="tls"), factory.wrap)
    return Client(
        context.world.reactor, door.buildProtocol(IPv4Address("TCP", "192.0.2.7", 50_007))
    )


@pytest.mark.parametrize("hello", [b"", b"\x16\x03\x01"], ids=["silent", "half a record"])
def test_a_tls_peer_that_does_not_shake_hands_is_cut_off_after_ten_seconds(
    hello: bytes, tls_files: tuple[Path, ...]
) -> None:
    client = tls_client(tls_files)
    client.send(hello)
    client.loop.advance(9)
    assert not client.is_closed
    client.loop.advance(2)
    assert client.is_closed


def test_a_tls_peer_that_speaks_something_else_is_told_and_closed(
    tls_files: tuple[Path, ...], log: LogRecorder
) -> None:
    client = tls_client(tls_files)
    client.send(b"GET / HTTP/1.0\r\n\r\n")
    assert client.is_closed
    assert log.events("opened") == []


# closing


def test_what_was_written_before_closing_is_delivered() -> None:
    client = probe(takes=0)
    client.send(b"close")
    client.take()
    assert client.received == b"bye"
    assert client.saw_end


def test_a_closed_client_may_finish_its_sending() -> None:
    client = probe()
    client.send(b"close", b"more", b"and more")
    assert client.received == b"bye"
    assert client.saw_end
    assert not client.socket.closed
    client.end()
    assert client.is_closed
    assert not client.socket.was_reset


def test_a_closed_client_that_stays_is_cut_off_two_seconds_later() -> None:
    client = probe()
    client.send(b"close")
    client.loop.advance(LINGER_SECONDS + 1.1)
    assert client.is_closed


def test_a_closed_client_that_goes_on_sending_is_cut_off_after_a_megabyte() -> None:
    client = probe()
    client.send(b"close", *[b"x" * 65_536] * (LINGER_BYTES // 65_536 + 1))
    assert client.is_closed


def test_a_client_that_is_closed_while_it_does_not_read_is_heard_to_its_end() -> None:
    client = probe(takes=0)
    client.send(b"x" * 65_537)
    client.protocol.close()
    client.take()
    client.end()
    assert client.is_closed
    assert len(client.received) == 65_537


def test_a_failure_is_told_in_one_line_that_is_fit_for_a_terminal() -> None:
    client = probe()
    client.send(b"fail")
    assert client.received == b"error: no such thing: \\x1b[31m\r\n"
    assert client.saw_end


def test_an_error_line_is_short_whatever_the_peer_sent() -> None:
    assert len(error_line("é" * 10_000)) <= len(b"error: \r\n") + 2 * 200


@pytest.mark.parametrize("takes", [None, 0], ids=["reads", "does not read"])
def test_a_stop_delivers_what_is_written_and_waits_for_nothing_else(takes: int | None) -> None:
    client = probe(takes=takes)
    client.send(b"x" * 70_000)
    guard = client.protocol.context.guard
    empty = guard.stop_sessions(because("daemon_stops"))
    client.loop.settle()
    assert client.is_closed == (takes is None)
    client.loop.advance(guard.limits.drain)
    assert client.is_closed
    assert empty.called
    assert len(client.received) == (70_000 if takes is None else 0)


# back-pressure


def test_a_client_that_does_not_read_is_not_read_from_until_it_does() -> None:
    client = probe(takes=0)
    client.send(*[b"x" * 65_536] * 10)
    assert client.held <= 2 * 65_536
    assert len(client.socket.inbox) == 8
    client.take()
    assert len(client.received) == 655_360


def test_an_end_of_file_while_blocked_is_seen_once() -> None:
    class Counting(Probe):
        ends = 0

        def finished(self) -> None:
            self.ends += 1
            super().finished()

    kind = Kind(name="counting", doc="Counts ends.", stream=Counting)
    client = connect(kind, make_context(kind), takes=0)
    client.send(b"x" * 65_537)
    client.end()
    assert client.protocol.ends == 0
    client.take()
    client.loop.advance(1)
    assert client.protocol.ends == 1
    assert client.is_closed
    assert len(client.received) == 65_537


# faults


def raising(name: str, **more: Any) -> type[Stream]:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("by design")

    return type("Raising", (Stream,), {name: fail} | more)


FAULTS: dict[str, tuple[type[Stream], Callable[[Client], object]]] = {
    "opened": (raising("opened"), lambda client: None),
    "received": (raising("received"), lambda client: client.send(b"x")),
    "finished": (raising("finished"), lambda client: client.end()),
    "is_working": (
        raising("is_working", is_working=property(lambda self: 1 // 0)),
        lambda client: client.loop.advance(2),
    ),
    "gone": (raising("gone"), lambda client: client.vanish()),
}


@pytest.mark.parametrize("place", FAULTS)
def test_an_exception_in_a_service_ends_that_peer_only(place: str, log: LogRecorder) -> None:
    stream, provoke = FAULTS[place]
    context = make_context(PROBE)
    other = connect(PROBE, context)
    client = connect(stream, context)
    provoke(client)
    assert client.is_closed
    other.send(b"still here")
    assert other.received == b"still here"
    [fault] = log.flush_faults()
    assert (fault["event"], fault["service"]) == ("error", "probe")
    assert str(fault["peer"]) == "192.0.2.7:50007"
    assert fault["log_failure"].check(ZeroDivisionError)
    assert context.guard.counts["errors"] == 1
    other.loop.advance(5)
    assert not other.is_closed


# what is reported


def test_a_connection_is_reported_when_it_opens_and_when_it_closes(log: LogRecorder) -> None:
    client = probe()
    client.send(b"12345", b"67")
    client.loop.advance(7)
    client.end()
    [opened] = log.events("opened")
    assert (opened["service"], str(opened["peer"])) == ("probe", "192.0.2.7:50007")
    [closed] = log.events("closed")
    assert (closed["bytes_in"], closed["bytes_out"]) == (7, 7)
    assert closed["duration"] == 7
    counts = client.protocol.context.guard.counts
    assert (counts["connections"], counts["bytes_in"], counts["bytes_out"]) == (1, 7, 7)


def reset(client: Client) -> None:
    client.vanish()


def be_idle(client: Client) -> None:
    client.loop.advance(130)
    client.end()


def make_it_fail(client: Client) -> None:
    client.send(b"fail")
    client.end()


WHYS = {
    "connection lost": reset,
    "idle for 2m": be_idle,
    "error: no such thing": make_it_fail,
}


@pytest.mark.parametrize("why", WHYS)
def test_the_report_says_why_a_connection_ended(why: str, log: LogRecorder) -> None:
    WHYS[why](probe())
    [closed] = log.events("closed")
    assert str(closed["reason"]).startswith(why)


def test_a_local_client_is_reported_by_its_process_and_user(log: LogRecorder) -> None:
    context = make_context(PROBE, listen=["unix:/run/sockd/probe.sock"])
    client = connect(PROBE, context, Peer("", 0, uid=12))
    client.send(b"hello")
    assert client.received == b"hello"
    [opened] = log.events("opened")
    assert str(opened["peer"]).endswith("of user 12")


def test_a_local_client_of_another_user_is_refused(log: LogRecorder) -> None:
    context = make_context(PROBE, listen=["unix:/run/sockd/probe.sock"], allow_users=[0, 11])
    client = knock(PROBE, context, Peer("", 0, uid=12))
    assert client is not None
    assert client.is_closed
    assert [str(event["reason"]) for event in log.events("refused")] == ["allow_users: not user 12"]
    assert context.guard.counts["connections"] == 0


def test_connections_are_not_reported_where_that_is_switched_off(log: LogRecorder) -> None:
    client = probe(log_connections=False)
    client.send(b"raise")
    assert log.events("opened") == log.events("closed") == []
    assert len(log.flush_faults()) == 1


class Odd(SSL.Error):
    """What OpenSSL's errors can look like."""


@pytest.mark.parametrize("args", [(), ("text",), (104, "reset"), ([("", "", "bad record")],)])
def test_however_odd_the_end_of_a_connection_is_its_place_is_free_again(
    args: tuple[object, ...], log: LogRecorder
) -> None:
    client = probe()
    client.protocol.connectionLost(Failure(Odd(*args)))
    assert client.protocol.context.guard.sessions == ()
    [closed] = log.events("closed")
    assert closed["reason"].name in ("tls_error", "system_error")


def test_a_connection_that_is_held_is_read_to_its_end_when_the_daemon_stops() -> None:
    """Over TLS the peer says that it has ended, which has to be read."""
    transport = StringTransport()
    stream = Probe(make_context(PROBE), Peer("192.0.2.7", 50_007), ENTRANCE)
    stream.makeConnection(transport)
    stream.hold(Hold.WORK)
    assert transport.producerState == "paused"
    stream.stop()
    assert transport.producerState == "producing"
    stream.connectionLost()
