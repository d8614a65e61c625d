"""The PROXY protocol in front of a service: the header first, everything else after it.

Twisted reads the header (versions 1 and 2); this decides who may send one, waits for it before the
service hears of the connection, and then steps aside.
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

from sockd.net.peer import Peer, peer_of

V1_PREFIX = b"PROXY "
MAX_HEADER = 16 + 65_535
"""Bytes of the longest header of version 2; version 1 has at most 107, which its parser checks."""


@implementer(IHalfCloseableProtocol)
class ProxyHeader(Protocol):
    """Waits for a proxy's header, then hands the connection to what `build` makes for the client.

    `build` gets the client's peer (the proxy's own for its health checks) and returns None to
    refuse it; `refuse` is told of a header that is wrong or late.
    """

    def __init__(
        self,
        proxy: Peer,
        build: Callable[[Peer], IProtocol | None],
        refuse: Callable[[Peer, str], None],
        clock: IReactorTime,
        timeout: float,
    ) -> None:
        self._proxy = proxy
        self._build = build
        self._refuse = refuse
        self._buffer = b""
        self._parser: V1Parser | V2Parser | None = None
        self._inner: Any = None
        self._late: IDelayedCall | None = clock.callLater(timeout, self._end, "header timeout")

    def dataReceived(self, data: bytes) -> None:
        if self._inner is not None:
            self._inner.dataReceived(data)
            return
        self._buffer += data
        parser = self._parser_for(self._buffer)
        if parser is None:
            return
        data, self._buffer = self._buffer, b""
        try:
            info, rest = parser.feed(data)
        except InvalidProxyHeader:
            self._end("not a PROXY header")
            return
        if info is not None:
            source = peer_of(info.source) if info.source is not None else self._proxy
            self._hand_over(source, rest or b"")

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

    def _parser_for(self, start: bytes) -> V1Parser | V2Parser | None:
        """The parser of the header that begins so; None while that cannot be told."""
        if self._parser is None:
            if start.startswith(V1_PREFIX):
                self._parser = V1Parser()
            elif start.startswith(V2Parser.PREFIX) and len(start) >= 16:
                self._parser = V2Parser()
            elif not (V1_PREFIX.startswith(start) or V2Parser.PREFIX.startswith(start[:12])):
                self._end("not a PROXY header")
        return self._parser

    def _hand_over(self, client: Peer, rest: bytes) -> None:
        self._stop_waiting()
        inner = self._build(client)
        if inner is None:
            self._lose()
            return
        self._inner = inner
        self._inner.makeConnection(self.transport)
        if rest:
            inner.dataReceived(rest)

    def _end(self, why: str) -> None:
        self._refuse(self._proxy, why)
        self._stop_waiting()
        self._lose()

    def _lose(self) -> None:
        if self.transport is not None:
            self.transport.loseConnection()

    def _stop_waiting(self) -> None:
        if self._late is not None and self._late.active():
            self._late.cancel()
        self._late = None
