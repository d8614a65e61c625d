"""Who is at the other end."""

from __future__ import annotations

from typing import Any, NamedTuple

from twisted.internet.address import IPv4Address, IPv6Address

from sockd.formats.hostport import host_port


class Peer(NamedTuple):
    """One end of a conversation: an address and a port, or a process on this host.

    `host` is empty for a Unix socket; then `pid` and `uid` tell the process, where known. `via` is
    the proxy that spoke for the peer, if one did.
    """

    host: str
    port: int
    pid: int | None = None
    uid: int | None = None
    via: Peer | None = None

    def __str__(self) -> str:
        if self.host:
            return host_port(self.host, self.port)
        if self.pid is not None:
            return f"local process {self.pid} of user {self.uid}"
        return "local process"

    def fields(self, key: str) -> dict[str, Any]:
        """For a log of fields: address and port apart, or process and user; the proxy in `via`."""
        found: dict[str, Any] = {}
        if self.host:
            found = {f"{key}_address": self.host, f"{key}_port": self.port}
        elif self.pid is not None:
            found = {f"{key}_pid": self.pid, f"{key}_uid": self.uid}
        return found if self.via is None else {**found, "via": str(self.via)}


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
