"""TLS straight on the socket, where the transport can: it speaks TLS itself, below the service."""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IProtocol
from twisted.internet.protocol import Protocol

from sockd.net.tls import TLSFactory


class OnSocket(Protocol):
    """Has a transport of sockd's reactor speak TLS, then hands it to a service's protocol."""

    def __init__(self, factory: TLSFactory, inner: IProtocol) -> None:
        self._factory = factory
        self._inner = inner

    def makeConnection(self, transport: Any) -> None:
        """Twisted: the connection is there."""
        inner: Any = self._inner
        try:
            if not transport.secure(self._factory):
                inner = self._factory.wrap(inner)
        except BaseException:
            transport.abortConnection()  # nothing is said in the clear
            raise
        transport.protocol = inner
        inner.makeConnection(transport)
