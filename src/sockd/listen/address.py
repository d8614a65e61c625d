"""What a listen string means: one address to listen on, checked when it is made."""

import ipaddress
from collections.abc import Callable
from typing import Literal

from attrs import Attribute, field, frozen

from sockd.formats.hostport import host_port

Transport = Literal["tcp", "tls", "unix", "udp", "unixgram", "multicast"]
Scope = Literal["loopback", "wildcard", "address", "local"]

LONGEST_PATH = 107  # bytes: sun_path holds 108 on Linux, the last one is NUL
LONGEST_QUEUE = 65535  # connections waiting to be accepted; the kernel's own bound is lower
MODE = 0o660
BACKLOG = 1024
TTL = 1  # a datagram stays on its network


def _within(least: int, most: int) -> Callable[[object, "Attribute[int]", int], None]:
    def check(_: object, attribute: "Attribute[int]", value: int) -> None:
        if not least <= value <= most:
            raise ValueError(f"{attribute.name} must be from {least} to {most}, got {value}")

    return check


def _fits_a_socket(_: object, __: object, path: str) -> None:
    if "\0" in path:
        raise ValueError(f"a socket's path holds no NUL, got {path!r}")
    length = len(path.encode("utf-8", "surrogateescape"))
    if length > LONGEST_PATH:
        raise ValueError(f"a socket's path is at most {LONGEST_PATH} bytes, {path!r} has {length}")


@frozen
class Listen:
    """One address to listen on. Two are equal if they mean the same, however written."""

    text: str = field(eq=False)
    transport: Transport
    host: str = ""  # an IP address, the group for multicast; "" for unix and systemd
    port: int = field(default=0, validator=_within(0, 65535))  # 0: the kernel chooses
    path: str = field(default="", validator=_fits_a_socket)
    mode: int = field(default=MODE, validator=_within(0, 0o777))
    backlog: int = field(default=BACKLOG, validator=_within(1, LONGEST_QUEUE))
    certificate: str = ""
    key: str = ""
    client_ca: str = ""
    systemd: str = ""  # the name of an inherited descriptor; its index, if all digits
    proxies: tuple[str, ...] = ()  # prefixes whose PROXY header is required and believed
    ttl: int = field(default=TTL, validator=_within(0, 255))
    interface: str = "127.0.0.1"  # where a multicast group is joined
    optional: bool = False  # skipped where the host has no IPv6: the user named no family

    @property
    def address(self) -> str:
        """What a log line calls it: "127.0.0.1:7800", "[::1]:7800", a path, "systemd echo"."""
        if self.systemd:
            return f"systemd {self.systemd}"
        return self.path or host_port(self.host, self.port)

    @property
    def scope(self) -> Scope:
        """Who can reach it. What systemd hands over counts as the widest that it may be."""
        if self.transport in ("unix", "unixgram"):
            return "local"
        place = self.interface if self.transport == "multicast" else self.host
        if not place:
            return "wildcard"
        address = ipaddress.ip_address(place)
        if address.is_loopback:
            return "loopback"
        return "wildcard" if address.is_unspecified else "address"
