"""How streams on the running reactor end, and what a fault costs."""

from __future__ import annotations

import errno
import gc
import socket
import ssl
import struct
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.error import CannotListenError, ConnectionDone
from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.threads import deferToThread
from zope.interface import implementer

from sockd.testing.sockets import Connection
from tests.helpers import LogRecorder, until
from tests.memory import REACTOR
from tests.reactor.streams import TEXT, Echo, Keeping, Port, dialled, listening, turns
from tests.reactor.twins import server_context

TCP_INFO_BYTES, TCP_INFO_SEGS_IN = 192, 140
"""Linux's struct tcp_info, and where it counts the segments that have come."""
MORE_SECONDS = 0.2
"""How long the kernel waits for more where MSG_MORE has promised it (TCP_RTO_MIN)."""


class Mute(Protocol):
    """Leaves, and takes the time that this takes."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.seconds = 0.0

    def connectionMade(self) -> None:
        wire: Any = self.transport
        wire.loseConnection()

    def connectionLost(self, reason: Any = None) -> None:
        self.seconds = time.monotonic() - self.began


class Short(Mute):
    """Says one thing and leaves."""

    def connectionMade(self) -> None:
        wire: Any = self.transport
        wire.write(b"hello")
        super().connectionMade()


@pytest.mark.uvloop
@pytest_twisted.ensureDeferred
async def test_who_says_one_thing_and_leaves_sends_one_segment() -> None:
    """The end of the stream goes with the words: as many segments as from who says nothing."""
    received = [await segments_from(make) for make in (Short, Mute)]
    assert received[0] == received[1] > 0


async def segments_from(make: type[Mute]) -> int:
    """How many segments come from a server that ends its connection at once.

    If this machine paused it meanwhile, the kernel has sent the words when it was tired of waiting
    for the end: that counts for nothing.
    """
    seconds = MORE_SECONDS
    while seconds >= MORE_SECONDS:
        count, seconds = await visit(make)
    return count


async def visit(make: type[Mute]) -> tuple[int, float]:
    """How many segments come to who reads to the end, and how long the server took to leave."""
    async with listening(make) as port:
        with dialled(port.address) as peer:
            while await deferToThread(peer.recv, 10):
                pass
            info = peer.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, TCP_INFO_BYTES)
        served = await port.first()
        await until(lambda: served.seconds)
    return struct.unpack_from("=I", info, TCP_INFO_SEGS_IN)[0], served.seconds


class Replies(Protocol):
    """Sends back, and keeps nothing."""

    def dataReceived(self, data: bytes) -> None:
        wire: Any = self.transport
        wire.write(data)


@pytest.mark.parametrize("make", [Short, Replies])
@pytest.mark.parametrize("is_local", [False, True], ids=["tcp", "unix"])
@pytest_twisted.ensureDeferred
async def test_a_connection_that_is_over_needs_no_garbage_collector(
    make: type[Protocol], is_local: bool, tmp_path: Path
) -> None:
    async with listening(make, f"{tmp_path}/service" if is_local else "127.0.0.1") as port:
        gc.disable()
        try:
            with dialled(port.address) as peer:
                wire = weakref.ref((await port.first()).transport)
                if make is Replies:
                    peer.send(b"hello")
                assert await deferToThread(peer.recv, 10) == b"hello"
            port.protocols.clear()
            await until(lambda: wire() is None)
        finally:
            gc.enable()


@pytest_twisted.ensureDeferred
async def test_a_connection_has_a_name_in_the_log_after_its_end() -> None:
    async with listening(Keeping) as port:
        with dialled(port.address):
            protocol = await port.first()
        await until(lambda: protocol.lost)
    assert protocol.wire.logPrefix() == "Keeping,0,127.0.0.1"
    assert repr(protocol.wire)


@pytest_twisted.ensureDeferred
async def test_a_port_that_has_stopped_is_free_and_its_connections_go_on() -> None:
    port = Port(Echo, "127.0.0.1")
    number = port.port.getHost().port
    with Connection(port.address) as peer:
        await port.first()
        await port.port.stopListening()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(port.address)
        again = REACTOR.listenTCP(number, Factory.forProtocol(Echo), interface="127.0.0.1")
        await again.stopListening()
        peer.send(b"hello")
        assert await deferToThread(peer.receive, 5) == b"hello"
    await until(lambda: port.protocols[0].lost)


@pytest_twisted.ensureDeferred
async def test_a_port_that_is_taken_is_told_by_the_call_itself() -> None:
    async with listening(Keeping) as port:
        with pytest.raises(CannotListenError) as caught:
            REACTOR.listenTCP(port.address[1], Factory(), interface="127.0.0.1")
    assert caught.value.socketError.errno == errno.EADDRINUSE


class Boom(Exception):
    """A fault of a protocol."""


@pytest_twisted.ensureDeferred
async def test_a_fault_ends_its_own_connection_and_is_logged_once(log: LogRecorder) -> None:
    class Faulty(Echo):
        def dataReceived(self, data: bytes) -> None:
            if data == b"boom":
                raise Boom
            super().dataReceived(data)

    async with listening(Faulty) as port:
        with Connection(port.address) as other:
            bystander = await port.first()
            with Connection(port.address) as peer:
                peer.send(b"boom")
                assert await deferToThread(peer.receive) == b""
            await until(lambda: port.protocols[1].lost)
            other.send(b"hello")
            assert await deferToThread(other.receive, 5) == b"hello"
        await until(lambda: bystander.lost)
    assert port.protocols[1].lost.check(Boom)
    [text] = log.fault_texts()
    assert "Boom" in text
    log.flush_faults()


@pytest.mark.uvloop
@pytest_twisted.ensureDeferred
async def test_a_factory_that_fails_costs_that_connection_alone(log: LogRecorder) -> None:
    answers: list[Callable[[], Any]] = [Echo]

    def make() -> Any:
        if not answers:
            raise Boom
        return answers.pop()()

    async with listening(make) as port:
        with Connection(port.address) as served, Connection(port.address) as failed:
            assert await deferToThread(failed.receive) == b""
            served.send(b"hello")
            assert await deferToThread(served.receive, 5) == b"hello"
        await until(lambda: port.protocols[0].lost)
    [fault] = log.flush_faults()
    assert fault["log_failure"].check(Boom)


@pytest.mark.uvloop
@pytest_twisted.ensureDeferred
async def test_an_adopted_connection_goes_on_though_its_protocol_failed_at_first() -> None:
    """The fault is the caller's to hear of."""
    made: list[Any] = []

    class Faulty(Echo):
        def connectionMade(self) -> None:
            made.append(self)
            raise Boom

    factory = Factory.forProtocol(Faulty)
    with socket.create_server(("127.0.0.1", 0)) as server, Connection(server.getsockname()) as peer:
        accepted, _ = server.accept()
        with accepted, pytest.raises(Boom):
            REACTOR.adoptStreamConnection(accepted.fileno(), socket.AF_INET, factory)
        peer.send(b"hello")
        assert await deferToThread(peer.receive, 5) == b"hello"
    await until(lambda: made[0].lost)
    assert made[0].lost.check(ConnectionDone)
    assert made[0].wire.fileno() == -1


@pytest.mark.uvloop
@pytest_twisted.ensureDeferred
async def test_a_protocol_that_fails_again_in_the_end_ends_nobody_else(log: LogRecorder) -> None:
    """However grave it says that it is."""

    class Grave(Echo):
        def dataReceived(self, data: bytes) -> None:
            if data == b"boom":
                raise SystemExit
            super().dataReceived(data)

        def connectionLost(self, reason: Any = None) -> None:
            super().connectionLost(reason)
            if self.received != b"hello":
                raise SystemExit

    async with listening(Grave) as port:
        with Connection(port.address) as other:
            await port.first()
            with Connection(port.address) as peer:
                peer.send(b"boom")
                assert await deferToThread(peer.receive) == b""
            other.send(b"hello")
            assert await deferToThread(other.receive, 5) == b"hello"
        await until(lambda: all(one.lost for one in port.protocols))
    assert [text.count("SystemExit") > 0 for text in log.fault_texts()] == [True, True]
    log.flush_faults()


@pytest.mark.uvloop
@pytest.mark.parametrize("ends", ["loseConnection", "abortConnection"])
@pytest_twisted.ensureDeferred
async def test_who_closes_the_socket_itself_is_told_of_the_end(ends: str, log: LogRecorder) -> None:
    class Closing(Keeping):
        def dataReceived(self, data: bytes) -> None:
            self.wire.getHandle().close()
            getattr(self.wire, ends)()

    async with listening(Closing) as port:
        with Connection(port.address) as peer:
            peer.send(b"x")
            assert await deferToThread(peer.receive) == b""
        protocol = await port.first()
        await until(lambda: protocol.lost)
    assert all("Bad file descriptor" in text for text in log.fault_texts())
    log.flush_faults()


@pytest_twisted.ensureDeferred
async def test_what_is_no_bytes_is_refused_whether_or_not_something_waits() -> None:
    refused = []

    class Writing(Keeping):
        def connectionMade(self) -> None:
            for _ in range(2):
                for data in ("text", bytearray(b"x"), memoryview(b"x")):
                    with pytest.raises(TypeError, match="Data must be bytes"):
                        self.wire.write(data)
                    refused.append(data)
                self.wire.write(TEXT)
            self.wire.abortConnection()

    async with listening(Writing) as port:
        with dialled(port.address):
            protocol = await port.first()
            await until(lambda: protocol.lost)
    assert len(refused) == 6


@pytest_twisted.ensureDeferred
async def test_in_connection_made_the_socket_is_as_later() -> None:
    seen = []

    class Looking(Keeping):
        def connectionMade(self) -> None:
            with suppress(BlockingIOError):
                self.wire.getHandle().recv(1)
            self.wire.setTcpNoDelay(False)
            seen.append(self.wire.getTcpNoDelay())

    async with listening(Looking) as port:
        with dialled(port.address):
            protocol = await port.first()
            await turns(3)
            seen.append(protocol.wire.getTcpNoDelay())
    assert seen == [False, False]


@pytest.mark.uvloop
@pytest_twisted.ensureDeferred
async def test_a_name_for_the_log_that_fails_keeps_nothing_from_the_log(log: LogRecorder) -> None:
    class Nameless(Keeping):
        def logPrefix(self) -> str:
            raise Boom("no name")

        def dataReceived(self, data: bytes) -> None:
            raise Boom("no data")

    try:
        async with listening(Nameless) as port:
            with Connection(port.address) as peer:
                peer.send(b"x")
                assert await deferToThread(peer.receive) == b""
                await until(lambda: port.protocols[0].lost)
        assert "no data" in " ".join(log.fault_texts())
    finally:
        log.flush_faults()


@implementer(IPushProducer)
class Upgrading(Keeping):
    """Goes over to TLS when it is asked to, while a producer is registered."""

    def dataReceived(self, data: bytes) -> None:
        super().dataReceived(data)
        if data == b"upgrade":
            self.wire.registerProducer(self, True)
            self.wire.write(b"go")
            self.wire.startTLS(server_context())
            self.wire.write(b"secret")

    def resumeProducing(self) -> None:
        """It has nothing more."""

    def pauseProducing(self) -> None:
        """As above."""

    def stopProducing(self) -> None:
        """As above."""


@pytest_twisted.ensureDeferred
async def test_nothing_leaves_in_the_clear_once_tls_has_been_started() -> None:
    def talk(address: Any) -> tuple[bytes, bytes]:
        with dialled(address) as peer:
            peer.send(b"upgrade")
            clear = peer.recv(100)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            with context.wrap_socket(peer, suppress_ragged_eofs=True) as secure:
                return clear, secure.recv(100)

    async with listening(Upgrading) as port:
        assert await deferToThread(talk, port.address) == (b"go", b"secret")
        await until(lambda: port.protocols[0].lost)
