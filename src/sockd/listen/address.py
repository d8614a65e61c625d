"""What the kernel binds: the identity of a listener, checked when it is made."""

import ipaddress
from collections.abc import Callable
from typing import Literal

from attrs import Attribute, field, frozen

from sockd.formats.hostport import host_port

Binding = Literal["tcp", "unix", "udp", "unixgram", "multicast"]
Scope = Literal["loopback", "wildcard", "address", "local"]

LONGEST_PATH = 107  # bytes: sun_path holds 108 on Linux, the last one is NUL
WILDCARDS = ("0.0.0.0", "::")


def within(least: int, most: int) -> Callable[[object, "Attribute[int]", int], None]:
    """A validator: a number in these bounds."""

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
class Address:
    """One address to listen on. TLS, queue and mode are no part of it: see `Terms`."""

    binding: Binding
    """The kind of socket: TLS is spoken over `tcp`."""
    host: str = ""
    """An IP address, the group for multicast; nothing for unix and systemd."""
    port: int = field(default=0, validator=within(0, 65535))
    """0: the kernel chooses."""
    path: str = field(default="", validator=_fits_a_socket)
    systemd: str = ""
    """The name of an inherited descriptor; its index, if all digits."""
    interface: str = ""
    """Where a multicast group is sent to."""

    def __str__(self) -> str:
        """What a log line calls it: "127.0.0.1:7800", "[::1]:7800", a path, "systemd echo"."""
        if self.systemd:
            return f"systemd {self.systemd}"
        return self.path or host_port(self.host, self.port)

    @property
    def is_datagram(self) -> bool:
        """Whether datagrams come there, or go from there, and not connections."""
        return self.binding in ("udp", "unixgram", "multicast")

    @property
    def is_taken_alone(self) -> bool:
        """Whether it can be bound once only: not where the kernel or systemd gives another."""
        if self.systemd or self.binding == "multicast":
            return False
        return bool(self.path or self.port)

    @property
    def is_one_socket(self) -> bool:
        """Whether whoever listens there has the same socket: what systemd gives is one too."""
        return self.is_taken_alone or bool(self.systemd)

    @property
    def scope(self) -> Scope:
        """Who can reach it. What systemd hands over counts as the widest that it may be."""
        if self.binding in ("unix", "unixgram"):
            return "local"
        place = self.interface or self.host
        if not place:
            return "wildcard"
        address = ipaddress.ip_address(place)
        if address.is_loopback:
            return "loopback"
        return "wildcard" if address.is_unspecified else "address"
