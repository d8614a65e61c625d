"""Who is at the other end."""

from __future__ import annotations

from typing import NamedTuple

from twisted.internet.address import IPv4Address, IPv6Address


class Peer(NamedTuple):
    """One end of a conversation: an address and a port, or a process on this host.

    `host` is empty for a Unix socket; then `pid` and `uid` tell the process, where known.
    """

    host: str
    port: int
    pid: int | None = None
    uid: int | None = None

    def __str__(self) -> str:
        if self.host:
            return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
        if self.pid is not None:
            return f"local process {self.pid} of user {self.uid}"
        return "local process"


def peer_of(address: object) -> Peer:
    """The peer at a Twisted address. IPv4 mapped into IPv6 is shown as IPv4."""
    if isinstance(address, IPv4Address):
        return Peer(address.host, address.port)
    if isinstance(address, IPv6Address):
        host = address.host.split("%", 1)[0]
        if host.startswith("::ffff:") and "." in host:
            host = host[7:]
        return Peer(host, address.port)
    return Peer("", 0)
