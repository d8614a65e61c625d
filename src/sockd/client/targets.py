"""Whom to ask: a host, a port and a transport, or the path of a socket."""

from __future__ import annotations

from enum import StrEnum

from attrs import frozen

from sockd.formats.hostport import host_port


class Transport(StrEnum):
    """How to get there."""

    TCP = "tcp"
    TLS = "tls"
    UDP = "udp"
    UNIX = "unix"
    UNIXGRAM = "unixgram"

    @property
    def is_stream(self) -> bool:
        """Whether it carries a stream of bytes, and not datagrams."""
        return self in (Transport.TCP, Transport.TLS, Transport.UNIX)

    @property
    def is_local(self) -> bool:
        """Whether it goes to a socket file."""
        return self in (Transport.UNIX, Transport.UNIXGRAM)


@frozen
class Target:
    """One host as the user named it."""

    transport: Transport
    host: str = ""
    """A name or an address as the user wrote it; empty for a socket file."""
    port: int = 0
    path: str = ""
    """Of a socket file."""
    known_as: str = ""
    """The name that the host's address was found by, where each is asked (`--all-addresses`)."""
    is_named_with_port: bool = False
    """Where a run has the same host with several ports."""

    @property
    def name(self) -> str:
        """What it is called in rows and messages: the host, or the path.

        One of the addresses of a name is called by both: `localhost (127.0.0.1)`.
        """
        if self.address is not None:
            port = f":{self.port}" if self.is_named_with_port else ""
            return f"{self.known_as}{port} ({self.address})"
        return str(self) if self.is_named_with_port else self.path or self.host

    @property
    def address(self) -> str | None:
        """The host, where it is an address that was found by a name."""
        return self.host if self.known_as not in ("", self.host) else None

    def __str__(self) -> str:
        return self.path or host_port(self.host, self.port)


def parse_host(text: str) -> tuple[str, int | None]:
    """Host and port of `HOST`, `HOST:PORT`, `[ADDRESS]:PORT`. Raises ValueError.

    More than one colon without brackets is an address of IPv6.
    """
    host, port = text, ""
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ValueError(f"expected a host such as 'localhost' or '[::1]:7', got {text!r}")
        port = rest[1:]
        is_bare = not rest
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
        is_bare = False
    else:
        is_bare = True
    if not host:
        raise ValueError(f"there is no host in {text!r}")
    if is_bare:
        return host, None
    if not (port.isascii() and port.isdecimal() and len(port) <= 5 and 1 <= int(port) <= 65_535):
        hint = "; get and send take a service's name as a word of its own" * port[:1].isalpha()
        raise ValueError(f"expected a port of 1 to 65535 in {text!r}, got {port!r}{hint}")
    return host, int(port)
