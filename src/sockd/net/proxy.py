"""The PROXY protocol in front of a service: the header first, everything else after it.

Twisted reads the fields of a header (versions 1 and 2); this waits for it before the service hears
of the connection, believes only what can be an address, and then steps aside.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import (
    IDelayedCall,
    IHalfCloseableProtocol,
    IProtocol,
    IReactorTime,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.protocols.haproxy._exceptions import InvalidProxyHeader
from twisted.protocols.haproxy._v1parser import V1Parser
from twisted.protocols.haproxy._v2parser import V2Parser
from twisted.python.failure import Failure
from zope.interface import implementer

from sockd.access.peer import Peer, peer_of
from sockd.access.prefixes import parse_address
from sockd.access.reasons import Reason, because
from sockd.options.units import Duration

V1_PREFIX = b"PROXY "
V1_UNKNOWN = b"PROXY UNKNOWN"
V1_LONGEST = 107
"""Bytes of the longest header of version 1, its end counted (2.1 of the PROXY protocol)."""
V2_FIXED = 16
"""Bytes of a header of version 2 before its addresses, whose length they tell."""
_NO_HEADER = because("proxy_header")


def read_header(data: bytes) -> tuple[Peer | None, bytes] | None:
    """The client that a header names, and what follows it; None while it is not complete.

    No client: the proxy speaks for itself, or does not know. Raises ValueError.
    """
    if data.startswith(V1_PREFIX):
        line, end, _ = data[:V1_LONGEST].partition(b"\r\n")
        if not end:
            if len(data) >= V1_LONGEST:
                raise ValueError("too long")
            return None
        rest = data[len(line) + len(end) :]
        if line == V1_UNKNOWN or line.startswith(V1_UNKNOWN + b" "):
            return None, rest
        return _client(V1Parser, line), rest
    if data.startswith(V2Parser.PREFIX):
        size = V2_FIXED + int.from_bytes(data[14:V2_FIXED], "big")
        if len(data) < max(size, V2_FIXED):
            return None
        return _client(V2Parser, data[:size]), data[size:]
    if V1_PREFIX.startswith(data) or V2Parser.PREFIX.startswith(data):
        return None
    raise ValueError("neither version")


def _client(parser: type[V1Parser | V2Parser], header: bytes) -> Peer | None:
    try:
        peer = peer_of(parser.parse(header).source)
    except InvalidProxyHeader as error:
        raise ValueError(type(error).__name__) from None
    if not peer.host:
        return None
    if not 0 <= peer.port <= 65535:
        raise ValueError("no port")
    return Peer(str(parse_address(peer.host)), peer.port)


@implementer(IHalfCloseableProtocol)
class ProxyHeader(Protocol):
    """Waits for a proxy's header, then hands the connection to what `build` makes for the client.

    `waited` is called once, when the wait is over; where somebody came of it, he is let in by then.
    `build` gets the client's peer (the proxy's own for its health checks) and returns None to
    refuse it; `refuse` is told of a header that is wrong or late.
    """

    def __init__(
        self,
        proxy: Peer,
        build: Callable[[Peer], IProtocol | None],
        refuse: Callable[[Peer, Reason], None],
        clock: IReactorTime,
        timeout: Duration,
        waited: Callable[[ProxyHeader], None] = lambda _: None,
    ) -> None:
        self._proxy = proxy
        self._build = build
        self._waited = waited
        self._refuse = refuse
        self._buffer = b""
        self._inner: Any = None
        late = because("proxy_timeout", limit=str(timeout))
        self._late: IDelayedCall | None = clock.callLater(timeout, self._end, late)

    def dataReceived(self, data: bytes) -> None:
        if self._inner is not None:
            self._inner.dataReceived(data)
            return
        if self._late is None:
            return  # it was closed
        self._buffer += data
        try:
            found = read_header(self._buffer)
        except ValueError:
            self._end(_NO_HEADER)
            return
        if found is not None:
            client, rest = found
            self._buffer = b""
            peer = self._proxy if client is None else client._replace(via=self._proxy)
            self._hand_over(peer, rest)

    def turn_away(self) -> None:
        """Wait no longer, and close: nobody is let in any more."""
        self._stop_waiting()
        self._lose()

    def readConnectionLost(self) -> None:
        if IHalfCloseableProtocol.providedBy(self._inner):
            self._inner.readConnectionLost()
        else:
            self._lose()

    def writeConnectionLost(self) -> None:
        if IHalfCloseableProtocol.providedBy(self._inner):
            self._inner.writeConnectionLost()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._stop_waiting()
        if self._inner is not None:
            self._inner.connectionLost(reason)

    def _hand_over(self, client: Peer, rest: bytes) -> None:
        inner = self._build(client)
        if inner is None:
            self.turn_away()
            return
        self._inner = inner
        self._inner.makeConnection(self.transport)
        # not before: who waits for the end of the wait waits for the end of the session then
        self._stop_waiting()
        if rest:
            inner.dataReceived(rest)

    def _end(self, reason: Reason) -> None:
        self._refuse(self._proxy, reason)
        self.turn_away()

    def _lose(self) -> None:
        if self.transport is not None:
            self.transport.loseConnection()

    def _stop_waiting(self) -> None:
        if self._late is None:
            return
        if self._late.active():
            self._late.cancel()
        self._late = None
        self._waited(self)
