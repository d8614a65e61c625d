"""Servers on loopback that do what a test says, over real sockets and the running reactor."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from attrs import define, field
from OpenSSL import SSL
from twisted.internet import ssl
from twisted.internet.defer import maybeDeferred
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Factory, Protocol
from twisted.protocols.tls import TLSMemoryBIOFactory
from zope.interface import implementer

from sockd.client.asking import Asking
from sockd.client.net.dial import dial
from sockd.client.net.resolve import Lookups
from sockd.client.net.streams import Stream
from sockd.client.targets import Target, Transport
from sockd.net.tls import Connections, TLSFactory
from sockd.testing.running import running_reactor, until


@implementer(IHalfCloseableProtocol)
class Peer(Protocol):
    """One connection of a server's: what has come is kept, and answered as the test says."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.got = bytearray()
        self.is_finished = False
        self.is_lost = False

    @property
    def wire(self) -> Any:
        """Its transport."""
        return self.transport

    def connectionMade(self) -> None:
        self.server.peers.append(self)
        self.server.connected(self)

    def dataReceived(self, data: bytes) -> None:
        self.got += data
        self.server.received(self, data)

    def readConnectionLost(self) -> None:
        self.is_finished = True
        self.server.finished(self)

    def writeConnectionLost(self) -> None:
        pass

    def connectionLost(self, reason: Any = None) -> None:
        self.is_lost = True


def _nothing(peer: Peer, data: bytes = b"") -> None:
    pass


def echo(peer: Peer, data: bytes) -> None:
    """Send back what has come."""
    peer.wire.write(data)


def close(peer: Peer, data: bytes = b"") -> None:
    """End the connection."""
    peer.wire.loseConnection()


@define(eq=False)
class Server:
    """What its connections do."""

    connected: Callable[[Peer], None] = _nothing
    received: Callable[[Peer, bytes], None] = _nothing
    finished: Callable[[Peer], None] = close
    peers: list[Peer] = field(factory=list)
    port: int = 0

    @property
    def factory(self) -> Factory:
        """Its protocols' factory."""
        factory: Factory = Factory.forProtocol(lambda: Peer(self))
        factory.noisy = False
        return factory

    @property
    def peer(self) -> Peer:
        """Its only connection."""
        (peer,) = self.peers
        return peer


@asynccontextmanager
async def serving(
    server: Server,
    *,
    interface: str = "127.0.0.1",
    context: SSL.Context | None = None,
    half_close: bool = False,
    path: str = "",
) -> AsyncIterator[Server]:
    """The server listens on a free port of loopback, or a path; with TLS where it has a context.

    With `half_close` TLS is that of sockd's services; else it is Twisted's, which closes when the
    other side has finished.
    """
    reactor = running_reactor()
    factory: Any = server.factory
    if context is not None and half_close:
        factory = _HalfClosing(server, context)
    elif context is not None:
        factory = TLSMemoryBIOFactory(_Context(context), False, factory, reactor)
        factory.noisy = False
    if path:
        port = reactor.listenUNIX(path, factory)
    else:
        port = reactor.listenTCP(server.port, factory, interface=interface)
        server.port = port.getHost().port
    try:
        yield server
    finally:
        await maybeDeferred(port.stopListening)
        for peer in server.peers:
            if not peer.is_lost:
                peer.wire.abortConnection()
        await until(lambda: all(peer.is_lost for peer in server.peers))


class _Context(ssl.ContextFactory):
    isClient = False

    def __init__(self, context: SSL.Context) -> None:
        self._context = context

    def getContext(self) -> SSL.Context:
        return self._context


class _HalfClosing(Factory):
    noisy = False

    def __init__(self, server: Server, context: SSL.Context) -> None:
        self._server = server
        self._tls = TLSFactory(Connections(context), running_reactor())

    def buildProtocol(self, addr: object) -> Protocol:
        return self._tls.wrap(Peer(self._server))


def server_context(
    certificate: Path, key: Path, *, client_ca: Path | None = None, versions: int | None = None
) -> SSL.Context:
    """A server's TLS; with `client_ca` it wants certificates of clients; `versions` at most."""
    context = SSL.Context(SSL.TLS_METHOD)
    context.use_certificate_chain_file(str(certificate))
    context.use_privatekey_file(str(key))
    if client_ca is not None:
        context.load_verify_locations(str(client_ca))
        context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, None)
    if versions is not None:
        context.set_max_proto_version(versions)
    return context


def known(*hosts: str) -> Lookups:
    """A resolver that has these addresses for any name."""

    def getaddrinfo(name: str, port: int, family: int, kind: int) -> list[Any]:
        return [found for host in hosts for found in socket.getaddrinfo(host, port, family, kind)]

    return Lookups(getaddrinfo=getaddrinfo)


async def call(port: int, host: str = "127.0.0.1", *, tls: bool = False, **options: Any) -> Stream:
    """A connection to a port of loopback; it has long, unless the options say otherwise."""
    names = ("on_write", "on_read", "lookups", "has_urgent")
    hooks = {name: options.pop(name) for name in names if name in options}
    transport = Transport.TLS if tls else Transport.TCP
    asking = Asking(**{"wait": 30.0, **options})
    return await dial(running_reactor(), Target(transport, host, port), asking, **hooks)


__all__ = ["Peer", "Server", "call", "close", "echo", "known", "server_context", "serving"]
