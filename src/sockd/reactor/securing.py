"""Where TLS on the socket begins: ports, connectors, and connections that have been plain."""

from __future__ import annotations

from typing import Any

from twisted.internet import tcp
from twisted.protocols.tls import TLSMemoryBIOFactory

from sockd.reactor.accepting import Port
from sockd.reactor.secure import SecureClient, SecureConnection
from sockd.reactor.stream import Client, Connection


class SecurePort(Port):
    """A TCP port whose connections speak TLS from the beginning."""

    _type = "TLS"

    def transport(self, *args: Any) -> SecureConnection:  # type: ignore[override]
        """A connection of this port."""
        connection = SecureConnection(*args)
        connection._secure(self.factory)
        return connection


class SecureConnector(tcp.Connector):
    """Connects, and speaks TLS from the beginning."""

    def _makeTransport(self) -> Any:
        client = SecureClient(self.host, self.port, self.bindAddress, self, self.reactor)
        client.factory = self.factory
        return client


_SECURE = {Connection: SecureConnection, Client: SecureClient}


def may_secure(transport: Any) -> bool:
    """Whether TLS can begin on its socket: it is TCP, connected, and nothing waits to be sent."""
    waits = transport.dataBuffer or transport._tempDataLen
    ends = transport.disconnecting or transport._writeDisconnecting or transport._aborting
    return type(transport) in _SECURE and transport.connected and not (waits or ends)


class SecureFactory(TLSMemoryBIOFactory):
    """Twisted's TLS factory, whose protocols have TLS below them and not around them."""

    gathers = True
    """Programs of others may write bytes one by one, of which each would be a record."""

    def buildProtocol(self, addr: Any) -> Any:
        """Twisted: the protocol for a peer."""
        return self.wrappedFactory.buildProtocol(addr)


def factory_of(contexts: Any, is_client: bool, clock: Any, wrapped: Any = None) -> SecureFactory:
    """The TLS factory of what `startTLS`, `listenSSL` and `connectSSL` get."""
    return SecureFactory(contexts, is_client, wrapped, clock)


def secure(transport: Any, factory: Any, is_client: bool) -> None:
    """Have a connection for which `may_secure` holds speak TLS from now on."""
    kind = type(transport)
    transport.__class__ = _SECURE[kind]
    try:
        transport._secure(factory)
    except BaseException:
        transport.__class__ = kind
        raise
    # it begins in the next pass: nothing is told to a protocol within its own call
    transport._wants_write = is_client
    transport._want(transport.wanted)
