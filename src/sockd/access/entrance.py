"""By which door a peer has come in."""

from __future__ import annotations

from typing import Any

from attrs import frozen

from sockd.formats.hostport import host_port


@frozen(cache_hash=True)  # log lines of connections are looked up by it
class Entrance:
    """An address that an instance listens on, as it is bound: what logs and sessions say of it."""

    transport: str
    """`tcp`, `tls`, `unix`, `udp`, `unixgram` or `multicast`."""
    host: str = ""
    port: int = 0
    path: str = ""
    role: str = ""
    """The door's role in its service; nothing for a service that has one door."""
    is_wildcard: bool = False
    """Whether it is every address of the host: each connection then has its own."""
    is_proxied: bool = False
    """Whether a proxy's header comes first, and names the peer."""

    @property
    def carrier(self) -> str:
        """What comes in there: a `connection`, whose source is proven, or a `datagram`."""
        return "connection" if self.transport in ("tcp", "tls", "unix") else "datagram"

    def __str__(self) -> str:
        proxy = "haproxy:" if self.is_proxied else ""
        role = f" ({self.role})" if self.role else ""
        return f"{proxy}{self.transport} {self.path or host_port(self.host, self.port)}{role}"

    def fields(self, key: str) -> dict[str, Any]:
        """For a log of fields: the transport, and the local address and port apart, or the path."""
        found: dict[str, Any] = {"transport": self.transport}
        if self.role:
            found["role"] = self.role
        if self.is_proxied:
            found["is_proxied"] = True
        if self.path:
            return {**found, f"{key}_path": self.path}
        return {**found, f"{key}_address": self.host, f"{key}_port": self.port}
