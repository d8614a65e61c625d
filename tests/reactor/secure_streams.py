"""TLS on the running reactor: ports and what they make, and peers that send what they like."""

from __future__ import annotations

import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

from attrs import Factory as Fresh
from attrs import define
from OpenSSL import SSL
from twisted.internet.defer import maybeDeferred
from twisted.internet.interfaces import IHalfCloseableProtocol, IHandshakeListener
from twisted.internet.protocol import ClientFactory
from twisted.internet.ssl import CertificateOptions
from twisted.internet.threads import deferToThread
from zope.interface import implementer

from tests.helpers import until
from tests.memory import REACTOR
from tests.processes import PATIENCE
from tests.reactor.streams import Keeping
from tests.reactor.twins import foreign_server, server_context
from tests.security.tls_records import TLS_1_3, TLSPeer


class Noting(Keeping):
    """Keeps each read by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.reads: list[bytes] = []

    def dataReceived(self, data: bytes) -> None:
        super().dataReceived(data)
        self.reads.append(data)


@implementer(IHandshakeListener)
class Shaken(Noting):
    """Knows when the handshake is over."""

    is_shaken = False

    def handshakeCompleted(self) -> None:
        self.is_shaken = True


@implementer(IHalfCloseableProtocol)
class Halves(Shaken):
    """Knows halves."""

    def __init__(self) -> None:
        super().__init__()
        self.ended: list[str] = []

    def readConnectionLost(self) -> None:
        self.ended.append("read")

    def writeConnectionLost(self) -> None:
        self.ended.append("write")


class Cut(Noting):
    """For whom TCP's end is as good as that of TLS."""

    takes_cut = True


class CutHalves(Halves):
    """As above, by halves."""

    takes_cut = True


class Made(ClientFactory):
    """Has protocols made, or nobody, and knows which of its connections are over."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self.lost: list[Any] = []

    def buildProtocol(self, addr: Any) -> Any:
        return self._make()

    def clientConnectionLost(self, connector: Any, reason: Any) -> None:
        self.lost.append(reason)


@define(eq=False)
class Secured:
    """A port for TLS, and the protocols that it has made."""

    make: Callable[[], Any]
    port: Any = None
    protocols: list[Any] = Fresh(list)

    @property
    def address(self) -> tuple[str, int]:
        return ("127.0.0.1", self.port.getHost().port)

    def made(self) -> Any:
        protocol = self.make()
        if protocol is not None:
            self.protocols.append(protocol)
        return protocol

    async def first(self) -> Any:
        """The first of the protocols, once it is connected."""
        await until(lambda: self.protocols and self.protocols[0].transport)
        return self.protocols[0]


@asynccontextmanager
async def secure_port(make: Callable[[], Any], contexts: Any = None) -> AsyncIterator[Secured]:
    """A port on the running reactor."""
    secured = Secured(make)
    factory = Made(secured.made)
    contexts = contexts or server_context()
    secured.port = REACTOR.listenSSL(0, factory, contexts, interface="127.0.0.1")
    try:
        yield secured
    finally:
        await maybeDeferred(secured.port.stopListening)
        told = [one for one in secured.protocols if one.transport]
        for protocol in told:
            if protocol.lost is None:
                protocol.wire.abortConnection()
        await until(lambda: all(one.lost for one in told))


@asynccontextmanager
async def talking(
    make: Callable[[], Any], version: int = TLS_1_3, buffer: int = 0
) -> AsyncIterator[tuple[TLSPeer, Any]]:
    """A peer whose handshake is done, and the protocol at our end. A buffer is the kernel's."""
    async with secure_port(make) as port:
        with dialled(port.address, buffer) as sock:
            peer = await deferToThread(TLSPeer, sock, version)
            yield peer, await port.first()


@contextmanager
def dialled(address: Any, buffer: int = 0) -> Any:
    """A client's socket."""
    with socket.socket() as sock:
        sock.settimeout(PATIENCE)
        if buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        sock.connect(address)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
        yield sock


def trusting() -> CertificateOptions:
    """A client's side that trusts anybody."""
    return CertificateOptions()


@asynccontextmanager
async def calling(
    make: Callable[[], Any], contexts: Any = None
) -> AsyncIterator[tuple[socket.socket, Any, Made]]:
    """A connection that we make: the peer's socket, which has not spoken, and the protocol."""
    protocol = make()
    factory = Made(lambda: protocol)
    with socket.create_server(("127.0.0.1", 0)) as server:
        REACTOR.connectSSL(*server.getsockname(), factory, contexts or trusting())
        server.settimeout(PATIENCE)
        sock, _ = await deferToThread(server.accept)
        sock.settimeout(PATIENCE)
    with sock:
        await until(lambda: protocol.transport)
        yield sock, protocol, factory
        if protocol.lost is None:
            protocol.wire.abortConnection()
    await until(lambda: protocol.lost and factory.lost)


def shake_hands(sock: socket.socket) -> ssl.SSLSocket:
    """A foreign server's side of the handshake."""
    return foreign_server().wrap_socket(sock, server_side=True)


def close_notify(peer: TLSPeer) -> None:
    """The peer ends its half of TLS, and not of TCP."""
    peer.send(peer.writer.alert(0))


def raw_end(peer: TLSPeer) -> str:
    """How TLS ends at the peer, after what comes."""
    try:
        peer.receive_all()
    except ConnectionResetError as error:
        return "cut" if "cut" in str(error) else "reset"
    except SSL.Error:
        return "error"
    return "finished"


def tcp_end(sock: socket.socket) -> str:
    """How TCP ends, after what comes."""
    with suppress(ConnectionResetError):
        while sock.recv(65_536):
            pass
        return "end"
    return "reset"


def try_hands(sock: socket.socket) -> None:
    """As `shake_hands`, whatever comes of it."""
    with suppress(OSError), shake_hands(sock):
        pass
