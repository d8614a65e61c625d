"""How connections over TLS end, in memory: by halves, in time, and with a reason."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from OpenSSL import SSL
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from sockd.net.stream import LINGER_BYTES, LINGER_SECONDS, Stream
from sockd.net.tls_wrapper import AFTER_END_BYTES
from sockd.service import Kind
from tests.helpers import LogRecorder
from tests.net.tls_clients import TLSClient, WireClient, wrapped

Files = tuple[Path, ...]


class Bye(Stream):
    """Says goodbye to whatever comes."""

    def received(self, data: bytes) -> None:
        self.write(b"bye")
        self.close()


BYE = Kind(name="bye", doc="Says goodbye.", stream=Bye)


def closed_client(tls_files: Files, kind: Kind | str = BYE) -> TLSClient:
    """A client that was served, and has heard our end."""
    client = TLSClient(kind, tls_files)
    client.shake_hands()
    if kind is BYE:
        client.say(b"hello")
    assert client.ended
    return client


def test_a_closed_client_may_finish_its_sending(tls_files: Files) -> None:
    client = closed_client(tls_files)
    assert client.text == b"bye"
    assert client.socket.write_ended
    client.say(b"more")
    assert not client.socket.closed
    client.finish()
    assert client.is_closed
    assert not client.socket.was_reset


def test_a_closed_client_may_end_tcp_alone(tls_files: Files) -> None:
    client = closed_client(tls_files)
    client.end()
    assert client.is_closed
    assert not client.socket.was_reset


@pytest.mark.parametrize("kind", [BYE, "daytime"], ids=["hears", "speaks only"])
def test_a_closed_client_that_stays_is_cut_off_two_seconds_later(
    kind: Kind | str, tls_files: Files
) -> None:
    client = closed_client(tls_files, kind)
    client.loop.advance(LINGER_SECONDS - 1)
    assert not client.is_closed
    client.loop.advance(2.1)
    assert client.is_closed


def test_a_closed_client_that_goes_on_sending_is_cut_off_after_a_megabyte(
    tls_files: Files,
) -> None:
    client = closed_client(tls_files)
    client.say(b"x" * (LINGER_BYTES - 1000))
    assert not client.is_closed
    client.say(b"x" * 1001)
    assert client.is_closed


def test_what_was_written_before_closing_is_delivered(tls_files: Files) -> None:
    client = TLSClient("echo", tls_files)
    client.shake_hands()
    client.take(0)
    client.say(b"x" * 60_000)
    client.stream.close()
    client.take()
    client.carry()
    assert (client.text, client.ended) == (b"x" * 60_000, True)
    client.finish()
    assert client.is_closed


def test_a_stop_delivers_what_is_written_and_waits_for_nothing_else(tls_files: Files) -> None:
    client = TLSClient("echo", tls_files)
    client.shake_hands()
    client.take(0)
    client.say(b"x" * 60_000)
    client.stream.stop()
    client.loop.settle()
    assert not client.is_closed
    client.take()
    client.carry()
    assert (client.text, client.ended) == (b"x" * 60_000, True)
    assert client.is_closed


def test_a_stop_ends_the_wait_for_a_closed_client(tls_files: Files) -> None:
    client = closed_client(tls_files)
    client.stream.stop()
    client.loop.settle()
    assert client.is_closed


def test_an_end_of_tcp_alone_is_an_end_of_sending_too(tls_files: Files) -> None:
    client = TLSClient("wrap", tls_files)
    client.shake_hands()
    client.say(b"some words")
    client.end()
    client.carry()
    assert (client.text.split(), client.ended) == ([b"some", b"words"], True)
    assert client.is_closed


# handshakes


def hello(client: WireClient) -> None:
    """The first flight of a handshake goes out."""
    with pytest.raises(SSL.WantReadError):
        client.tls.do_handshake()
    client.send(client.tls.bio_read(65_536))


STEPS: dict[str, Callable[[WireClient], None]] = {
    "before": lambda client: None,
    "in": hello,
    "in a record of": lambda client: client.send(b"\x16\x03\x01"),
}
ENDS: dict[str, Callable[[WireClient], None]] = {
    "a half-close": lambda client: client.end(),
    "a reset": lambda client: client.vanish(),
}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("step", STEPS)
def test_a_handshake_that_ends_is_reported(
    step: str, end: str, tls_files: Files, log: LogRecorder
) -> None:
    client = TLSClient("echo", tls_files)
    STEPS[step](client)
    ENDS[end](client)
    assert client.is_closed
    assert log.events("opened") == []
    [closed] = log.events("closed")
    assert closed["reason"].name == "handshake_ended"


def test_what_is_not_tls_is_reported_in_the_words_of_openssl(
    tls_files: Files, log: LogRecorder
) -> None:
    client = TLSClient("echo", tls_files)
    client.send(b"GET / HTTP/1.0\r\n\r\n")
    assert client.is_closed
    [closed] = log.events("closed")
    assert (closed["reason"].name, closed["reason"].values["detail"]) == (
        "tls_error",
        "http request",
    )


def test_a_stop_does_not_wait_for_a_handshake(tls_files: Files, log: LogRecorder) -> None:
    client = TLSClient("echo", tls_files)
    client.stream.stop()
    client.loop.settle()
    assert client.is_closed
    [closed] = log.events("closed")
    assert closed["reason"].name == "daemon_stops"


# what protocols of others are told


class Other(Protocol):
    """Notes what it is told."""

    def __init__(self) -> None:
        self.heard = b""
        self.ends: list[object] = []

    def dataReceived(self, data: bytes) -> None:
        self.heard += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.ends.append(type(reason.value))


@implementer(IHalfCloseableProtocol)
class Halved(Other):
    """One that knows halves."""

    def readConnectionLost(self) -> None:
        self.ends.append("read")

    def writeConnectionLost(self) -> None:
        """Not told here: TCP's half is not ours."""


def test_close_notify_ends_a_protocol_that_knows_no_halves(tls_files: Files) -> None:
    client = wrapped(tls_files, other := Other())
    client.finish()
    assert client.ended
    assert client.is_closed
    assert other.ends == [ConnectionDone]


def test_close_notify_is_told_to_a_protocol_that_knows_halves(tls_files: Files) -> None:
    client = wrapped(tls_files, halved := Halved())
    client.finish()
    assert (halved.ends, client.is_read_from) == (["read"], False)
    client.protocol.write(b"an answer")
    client.protocol.loseConnection()
    client.carry()
    assert (client.text, client.ended, client.is_closed) == (b"an answer", True, True)
    assert halved.ends == ["read", ConnectionDone]


@pytest.mark.parametrize("kind", [Other, Halved])
def test_a_text_that_was_cut_is_no_orderly_end_to_who_does_not_take_it(
    kind: type[Other], tls_files: Files
) -> None:
    client = wrapped(tls_files, other := kind())
    client.end()
    assert client.is_closed
    assert other.ends == [ConnectionLost]


def test_after_our_end_what_comes_is_dropped_until_the_peers(tls_files: Files) -> None:
    client = wrapped(tls_files, other := Other())
    client.protocol.write(b"bye")
    client.protocol.loseConnection()
    client.carry()
    assert (client.text, client.ended, client.is_closed) == (b"bye", True, False)
    client.say(b"x" * 1000)
    assert other.heard == b""
    client.finish()
    assert client.is_closed
    assert other.ends == [ConnectionDone]


def test_after_our_end_a_peer_may_send_a_megabyte(tls_files: Files) -> None:
    client = wrapped(tls_files, Other())
    client.protocol.loseConnection()
    client.carry()
    client.say(b"x" * AFTER_END_BYTES)
    assert not client.is_closed
    client.say(b"x")
    assert client.is_closed


def test_our_end_may_come_in_two_steps(tls_files: Files) -> None:
    client = wrapped(tls_files, other := Other())
    client.protocol.loseWriteConnection()
    client.carry()
    client.say(b"still heard")
    assert (client.ended, other.heard) == (True, b"still heard")
    client.protocol.write(b"never sent")
    client.protocol.loseConnection()
    client.loop.settle()
    assert client.is_closed
    assert other.ends == [ConnectionDone]
