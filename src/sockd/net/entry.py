"""How a connection comes in: the guard, a proxy's header, TLS, and then its service."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IAddress, IProtocol
from twisted.internet.protocol import Factory

from sockd.access.entrance import Entrance
from sockd.access.peer import Peer, peer_of
from sockd.access.prefixes import matches, parse_prefix
from sockd.access.reasons import because
from sockd.net.context import Context
from sockd.net.proxy import ProxyHeader
from sockd.net.stream import Stream

Wrap = Callable[[IProtocol], IProtocol]
"""Puts a protocol into TLS."""

_UNLISTED = because("unlisted_proxy")


class ConnectionFactory(Factory):
    """Lets peers in: the guard first, then the proxy's header, then TLS, then the service.

    What it is made of can change; a connection keeps what it came in with.
    """

    noisy = False

    def __init__(
        self,
        context: Context[Any, Any],
        stream: Callable[[Context[Any, Any], Peer, Entrance], Stream],
        entrance: Entrance,
        wrap: Wrap | None = None,
        proxies: Sequence[str] = (),
    ) -> None:
        self.context = context
        self.entrance = entrance
        self.wrap = wrap
        self._stream = stream
        self._waiting: set[ProxyHeader] = set()
        """Those whose header has not come yet: no sessions, and nobody else knows of them."""
        self._entered: list[Deferred[None]] = []
        self._is_left = False
        self.believe(proxies)

    def believe(self, proxies: Sequence[str]) -> None:
        """Want a PROXY header from now on, and from these proxies only; from none: no header."""
        self._proxies = tuple(parse_prefix(prefix) for prefix in proxies)

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """Twisted: the protocol for a peer, or None, which closes the connection."""
        peer = peer_of(addr)
        if not self._proxies:
            return self.admit(peer)
        guard = self.context.guard
        if not matches(self._proxies, peer.host):
            guard.refuse(peer, _UNLISTED, self.entrance)
            return None
        if self._is_left:
            return None
        if len(self._waiting) >= guard.limits.max_connections:
            guard.refuse(peer, because("proxy_queue", limit=len(self._waiting)), self.entrance)
            return None
        header = ProxyHeader(
            peer,
            self.admit,
            partial(guard.refuse, entrance=self.entrance),
            self.context.clock,
            guard.limits.handshake_timeout,
            self._waited,
        )
        self._waiting.add(header)
        return header

    def when_entered(self) -> Deferred[None]:
        """Fires when no header is waited for: who has sent it is a session of the guard's then."""
        if not self._waiting:
            return succeed(None)
        self._entered.append(Deferred())
        return self._entered[-1]

    def turn_away(self) -> None:
        """Wait for no header any more: whoever has not sent it is closed, and so is who comes."""
        self._is_left = True
        for header in tuple(self._waiting):
            header.turn_away()

    def _waited(self, header: ProxyHeader) -> None:
        self._waiting.discard(header)
        if not self._waiting:
            entered, self._entered = self._entered, []
            for one in entered:
                one.callback(None)

    def admit(self, peer: Peer) -> IProtocol | None:
        """The protocol for a peer that the guard lets in."""
        guard = self.context.guard
        # a local peer's user is known only once it is connected: its protocol asks the guard
        if peer.host and (reason := guard.refusal(peer)) is not None:
            guard.refuse(peer, reason, self.entrance)
            return None
        protocol: Any = self._stream(self.context, peer, self.entrance)
        return protocol if self.wrap is None else self.wrap(protocol)
