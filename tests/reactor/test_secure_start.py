"""A connection goes over to TLS (startTLS), as SMTP's does, straight on its socket where it can."""

from __future__ import annotations

import select
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import pytest_twisted
from OpenSSL import SSL
from twisted.internet.defer import maybeDeferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import (
    IOpenSSLServerConnectionCreator,
    IPushProducer,
    ISSLTransport,
)
from twisted.internet.protocol import ClientFactory
from twisted.internet.ssl import CertificateOptions
from twisted.internet.threads import deferToThread
from twisted.protocols.tls import TLSMemoryBIOProtocol
from zope.interface import implementer

from sockd.reactor import openssl, polled
from sockd.reactor.secure import SecureClient, SecureConnection
from sockd.reactor.stream import Connection
from tests.helpers import LogRecorder, until
from tests.memory import REACTOR
from tests.processes import PATIENCE
from tests.reactor.secure_streams import Shaken, dialled, secure_port, try_hands
from tests.reactor.streams import TEXT, Port
from tests.reactor.twins import foreign_server, server_context
from tests.security.tls_records import TLSPeer

pytestmark = pytest.mark.uvloop

SMALL = 8192


class Mail(Shaken):
    """A server that speaks in the clear until it is asked for TLS."""

    before: tuple[bytes, ...] = (b"220 go\r\n",)
    """What it says in the clear before it begins."""
    produces = False

    def dataReceived(self, data: bytes) -> None:
        super().dataReceived(data)
        if data == b"STARTTLS\r\n":
            for piece in self.before:
                self.wire.write(piece)
            self.begin()
            self.wire.write(b"secret")

    def begin(self) -> None:
        self.wire.startTLS(server_context())


@asynccontextmanager
async def mailing(make: Any = Mail) -> AsyncIterator[Port]:
    """A server of mail, in the clear at first."""
    port = Port(make, "127.0.0.1")
    try:
        yield port
    finally:
        await maybeDeferred(port.port.stopListening)
        for protocol in port.protocols:
            if protocol.lost is None:
                protocol.wire.abortConnection()
        await until(lambda: all(one.lost for one in port.protocols))


def trusting() -> ssl.SSLContext:
    """A client's side that trusts anybody."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def upgrade(sock: socket.socket, clear: int = 8) -> tuple[bytes, ssl.SSLSocket]:
    """Ask for TLS, read so many bytes in the clear, and shake hands, in a thread."""
    sock.sendall(b"STARTTLS\r\n")
    said = b""
    while len(said) < clear:
        said += sock.recv(clear - len(said))
    return said, trusting().wrap_socket(sock)


@pytest_twisted.ensureDeferred
async def test_a_server_goes_over_to_tls_on_its_socket() -> None:
    async with mailing() as port:
        with dialled(port.address) as sock:
            said, peer = await deferToThread(upgrade, sock)
            protocol = await port.first()
            assert said == b"220 go\r\n"
            assert type(protocol.wire) is SecureConnection
            assert ISSLTransport.providedBy(protocol.wire)
            with peer:
                assert await deferToThread(peer.recv, 100) == b"secret"
                peer.send(b"hello")
                await until(lambda: protocol.received == b"STARTTLS\r\nhello")
                assert protocol.is_shaken


@pytest_twisted.ensureDeferred
async def test_a_client_goes_over_to_tls_on_its_socket() -> None:
    class Caller(Shaken):
        def dataReceived(self, data: bytes) -> None:
            super().dataReceived(data)
            if data == b"220 go\r\n":
                self.wire.startTLS(CertificateOptions())
                self.wire.write(b"secret")

    protocol = Caller()
    with socket.create_server(("127.0.0.1", 0)) as server:
        REACTOR.connectTCP(*server.getsockname(), ClientFactory.forProtocol(lambda: protocol))
        server.settimeout(PATIENCE)
        sock, _ = await deferToThread(server.accept)
    with sock:
        sock.settimeout(PATIENCE)
        sock.sendall(b"220 go\r\n")
        wrap = foreign_server().wrap_socket
        with await deferToThread(wrap, sock, server_side=True) as peer:
            assert await deferToThread(peer.recv, 100) == b"secret"
            assert type(protocol.wire) is SecureClient
            peer.send(b"hello")
            await until(lambda: protocol.received.endswith(b"hello"))
            assert protocol.wire.getPeerCertificate()
    await until(lambda: protocol.lost)


@pytest_twisted.ensureDeferred
async def test_the_side_that_was_called_may_be_tls_s_client() -> None:
    class Turned(Mail):
        def begin(self) -> None:
            self.wire.startTLS(CertificateOptions(), False)

    def serve(sock: socket.socket) -> bytes:
        sock.sendall(b"STARTTLS\r\n")
        assert sock.recv(8) == b"220 go\r\n"
        with foreign_server().wrap_socket(sock, server_side=True) as peer:
            return peer.recv(100)

    async with mailing(Turned) as port:
        with dialled(port.address) as sock:
            assert await deferToThread(serve, sock) == b"secret"


@pytest.mark.parametrize("is_client", [False, True])
@pytest_twisted.ensureDeferred
async def test_tls_may_begin_when_the_connection_is_made(is_client: bool) -> None:
    class Early(Shaken):
        def connectionMade(self) -> None:
            contexts = CertificateOptions() if is_client else server_context()
            self.wire.startTLS(contexts, not is_client)
            self.wire.write(b"secret")

    context = foreign_server() if is_client else trusting()

    def talk(sock: socket.socket) -> bytes:
        with context.wrap_socket(sock, server_side=is_client) as peer:
            return peer.recv(100)

    async with mailing(Early) as port:
        with dialled(port.address) as sock:
            assert await deferToThread(talk, sock) == b"secret"
            assert type(port.protocols[0].wire) is SecureConnection


@pytest_twisted.ensureDeferred
async def test_where_something_waits_to_be_sent_tls_is_twisted_s_own_behind_it() -> None:
    class Loud(Mail):
        before = (TEXT,)

    async with mailing(Loud) as port:
        with dialled(port.address, SMALL) as sock:
            said, peer = await deferToThread(upgrade, sock, len(TEXT))
            assert bool(said == TEXT)
            wire = port.protocols[0].wire
            assert type(wire) is Connection
            assert isinstance(wire.protocol, TLSMemoryBIOProtocol)
            with peer:
                assert await deferToThread(peer.recv, 100) == b"secret"


@implementer(IPushProducer)
class Producing(Mail):
    """Has a producer registered when TLS begins; it says its text afterwards."""

    at = 0
    may_write = False

    def begin(self) -> None:
        self.wire.registerProducer(self, True)
        super().begin()

    def handshakeCompleted(self) -> None:
        super().handshakeCompleted()
        self.resumeProducing()

    def resumeProducing(self) -> None:
        self.may_write = True
        while self.may_write and self.at < len(TEXT):
            self.wire.write(TEXT[self.at : self.at + 10_000])
            self.at += 10_000
        if self.at >= len(TEXT):
            self.wire.unregisterProducer()
            self.wire.loseConnection()

    def pauseProducing(self) -> None:
        self.may_write = False

    def stopProducing(self) -> None:
        self.may_write = False


@pytest.mark.parametrize("is_tls", [True, False])
@pytest_twisted.ensureDeferred
async def test_nothing_is_told_within_the_call_however_quick_the_peer_is(is_tls: bool) -> None:
    seen: list[Any] = []

    class Patient(Mail):
        def begin(self) -> None:
            select.select([self.wire.socket], [], [], PATIENCE)  # its hello is there
            super().begin()
            seen.append((self.is_shaken, self.lost))

    def talk(sock: socket.socket) -> None:
        sock.sendall(b"STARTTLS\r\n")
        assert sock.recv(8) == b"220 go\r\n"
        if is_tls:
            trusting().wrap_socket(sock).close()
        else:
            sock.sendall(b"EHLO example\r\n")

    async with mailing(Patient) as port:
        with dialled(port.address) as sock:
            await deferToThread(talk, sock)
            await until(lambda: port.protocols[0].lost)
    assert seen == [(False, None)]


@pytest_twisted.ensureDeferred
async def test_a_producer_goes_over_to_tls_too() -> None:
    def read(peer: ssl.SSLSocket) -> bytes:
        found = b"".join(iter(lambda: peer.recv(65_536), b""))
        peer.unwrap().close()
        return found

    async with mailing(Producing) as port:
        with dialled(port.address, SMALL) as sock:
            _, peer = await deferToThread(upgrade, sock)
            assert type(port.protocols[0].wire) is SecureConnection
            assert bool(await deferToThread(read, peer) == b"secret" + TEXT)
        await until(lambda: port.protocols[0].lost)
        assert port.protocols[0].lost.check(ConnectionDone)


@pytest_twisted.ensureDeferred
async def test_a_second_time_is_tls_within_tls() -> None:
    class Deep(Mail):
        def dataReceived(self, data: bytes) -> None:
            super().dataReceived(data)
            if data == b"deeper":
                self.wire.startTLS(server_context())
                self.wire.write(b"deep secret")

    def talk(sock: socket.socket) -> bytes:
        _, outer = upgrade(sock)
        assert outer.recv(100) == b"secret"
        outer.send(b"deeper")
        coming, going = ssl.MemoryBIO(), ssl.MemoryBIO()
        inner = trusting().wrap_bio(coming, going)
        while True:
            try:
                if inner.version() is None:
                    inner.do_handshake()
                found = inner.read(100)
            except ssl.SSLWantReadError:
                if going.pending:
                    outer.sendall(going.read())
                coming.write(outer.recv(65_536))
            else:
                outer.close()
                return found

    async with mailing(Deep) as port:
        with dialled(port.address) as sock:
            assert await deferToThread(talk, sock) == b"deep secret"


@pytest_twisted.ensureDeferred
async def test_a_context_that_fails_leaves_the_connection_as_it_was() -> None:
    @implementer(IOpenSSLServerConnectionCreator)
    class Broken:
        def serverConnectionForTLS(self, protocol: Any) -> Any:
            raise ValueError("no certificate today")

    caught = []

    class Careful(Mail):
        def begin(self) -> None:
            with pytest.raises(ValueError, match="no certificate"):
                self.wire.startTLS(Broken())
            caught.append(type(self.wire))

    async with mailing(Careful) as port:
        with dialled(port.address) as sock:
            sock.sendall(b"STARTTLS\r\n")
            protocol = await port.first()
            await until(lambda: caught)
            assert caught == [Connection]
            sock.sendall(b"hello")
            await until(lambda: protocol.received.endswith(b"hello"))


@pytest_twisted.ensureDeferred
async def test_a_handshake_that_fails_ends_it_for_that_reason() -> None:
    async with mailing() as port:
        with dialled(port.address) as sock:
            sock.sendall(b"STARTTLS\r\n")
            protocol = await port.first()
            await until(lambda: isinstance(protocol.wire, SecureConnection))
            sock.sendall(b"EHLO example\r\n")
            await until(lambda: protocol.lost)
            assert protocol.lost.check(SSL.Error)


# pyOpenSSL is another one


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A pyOpenSSL whose connections have no socket that we know of."""
    monkeypatch.setattr(openssl, "_FUNCTIONS", (*openssl._FUNCTIONS, "SSL_read_on_the_moon"))
    polled.tls_on_socket.cache_clear()
    yield
    polled.tls_on_socket.cache_clear()


@pytest.mark.usefixtures("without")
@pytest_twisted.ensureDeferred
async def test_on_another_pyopenssl_tls_is_twisted_s_own_which_is_said_once(
    log: LogRecorder,
) -> None:
    async with mailing() as port:
        with dialled(port.address) as sock:
            _, peer = await deferToThread(upgrade, sock)
            assert isinstance(port.protocols[0].wire.protocol, TLSMemoryBIOProtocol)
            with peer:
                assert await deferToThread(peer.recv, 100) == b"secret"
    async with secure_port(Shaken) as secured:
        with dialled(secured.address) as sock:
            await deferToThread(TLSPeer, sock)
            protocol = await secured.first()
            assert isinstance(protocol.wire, TLSMemoryBIOProtocol)
    protocol = Shaken()
    with socket.create_server(("127.0.0.1", 0)) as server:
        factory = ClientFactory.forProtocol(lambda: protocol)
        REACTOR.connectSSL(*server.getsockname(), factory, CertificateOptions())
        server.settimeout(PATIENCE)
        sock, _ = await deferToThread(server.accept)
    with sock:
        await deferToThread(try_hands, sock)
        await until(lambda: protocol.lost)
    said = [line for line in log.lines() if "Twisted's own" in line]
    assert said == [
        "TLS is Twisted's own, which is slower: OpenSSL._util.lib has no SSL_read_on_the_moon"
    ]


def test_this_pyopenssl_is_as_it_must_be() -> None:
    assert openssl.missing() == ""
    assert polled.tls_on_socket() is not None


def test_a_connection_of_another_shape_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    class Another:
        def __init__(self, *_: Any) -> None:
            self._context = self._from_ssl = None

    monkeypatch.setattr(SSL, "Connection", Another)
    assert openssl.missing() == "OpenSSL.SSL.Connection has no _into_ssl"
