"""Servers that have answered a hello, and which of them are one.

An old server answers ERROR to it, a new one says who it is (`sockd.formats.chat.hello`).
"""

from __future__ import annotations

import ipaddress
from contextlib import suppress

from attrs import define, field, frozen

from sockd.formats.chat.events import Code, unpack
from sockd.formats.chat.hello import Welcome
from sockd.formats.hostport import host_port
from sockd.formats.text import readable

MOST_SERVERS = 16
"""Servers that are remembered: a user reads no more, and answers can be forged without end."""


@frozen
class Server:
    """A server that has answered."""

    host: str
    port: int
    name: str = ""
    """As a new one tells it; not escaped."""
    is_new: bool = False
    id: bytes = b""

    def __str__(self) -> str:
        where = host_port(self.host, self.port)
        return f"{readable(self.name)} ({where})" if self.name else where


def server_of(host: str, port: int, data: bytes) -> Server:
    """Who has answered so."""
    event = unpack(data)
    welcome = Welcome.read(event.text) if event is not None and event.code == Code.WELCOME else None
    if welcome is None:
        return Server(host, port)
    return Server(host, port, welcome.name, True, welcome.server)


@define(eq=False)
class Found:
    """The servers that have answered, in order; bounded, whatever comes."""

    last: Server | None = None
    """The one that we had the last time: there is always room for it."""
    own: frozenset[str] = frozenset()
    """Our own addresses: one host, whichever of them answers."""
    servers: list[Server] = field(factory=list, init=False)

    def add(self, server: Server) -> None:
        """One more answer. An old server's can be forged; a new one's tells more."""
        same = [one for one in self.servers if self._is_same(one, server)]
        if not same:
            if len(self.servers) < MOST_SERVERS or self._is_last(server):
                self.servers.append(server)
            return
        best = next((one for one in (*same, server) if one.id), same[0])
        first = self.servers.index(same[0])
        self.servers = [one for one in self.servers if one not in same]
        self.servers.insert(first, best)

    @property
    def in_order(self) -> list[Server]:
        """The last one first, if it has answered, then as they came."""
        return sorted(self.servers, key=lambda one: not self._is_last(one))

    def _is_last(self, server: Server) -> bool:
        return self.last is not None and self._is_same(self.last, server)

    def _is_same(self, one: Server, other: Server) -> bool:
        """Whether two answers are of one server: by another address, or at another door."""
        if one.id and one.id == other.id:
            return True
        if one.id and other.id:
            return False
        return (self._host(one), one.port) == (self._host(other), other.port)

    def _host(self, server: Server) -> str:
        return "" if server.host in self.own or is_loopback(server) else server.host


def is_loopback(server: Server) -> bool:
    """Whether it is on this host, for certain."""
    with suppress(ValueError):
        return ipaddress.ip_address(server.host.partition("%")[0]).is_loopback
    return False
