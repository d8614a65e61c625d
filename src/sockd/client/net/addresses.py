"""Addresses as the kernel writes them, with interfaces where they need one."""

from __future__ import annotations

import ipaddress
import socket
from contextlib import suppress

from sockd.client.errors import UsageFault
from sockd.client.net.interfaces import Interface
from sockd.reactor.sockaddr import Address

MOST_PORT = 65_535
_LOOPBACK = {4: "127.0.0.1", 6: "::1"}


def canonical(host: str, interface: Interface | None = None) -> str:
    """An address as the kernel writes it, with the number of the interface where it needs one.

    Raises UsageFault.
    """
    text, _, scope = host.partition("%")
    ip = ipaddress.ip_address(text)
    needs = ip.version == 6 and (ip.is_link_local or (ip.is_multicast and int(ip) >> 112 & 15 < 3))
    family = socket.AF_INET if ip.version == 4 else socket.AF_INET6
    plain = socket.inet_ntop(family, ip.packed)
    if not needs:
        return plain
    if not scope:
        return f"{plain}%{interface.index}" if interface else plain
    try:
        return f"{plain}%{int(scope) if scope.isdecimal() else socket.if_nametoindex(scope)}"
    except OSError:
        raise UsageFault(f"there is no interface {scope}") from None


def version_of(address: Address) -> int:
    """4 or 6. Raises UsageFault for what is no address, or no port."""
    host, port = address
    if not 1 <= port <= MOST_PORT:
        raise UsageFault(f"{port} is no port: there are 1 to {MOST_PORT}")
    try:
        return ipaddress.ip_address(host.partition("%")[0]).version
    except ValueError:
        raise UsageFault(f"{host} is no address") from None


def meant(host: str) -> str:
    """The address that answers come from: the wildcard means the loopback to the kernel, and one of
    IPv4 may be written as one of IPv6 (`::ffff:192.0.2.1`)."""
    with suppress(ValueError):
        ip = ipaddress.ip_address(host)
        if ip.is_unspecified:
            return _LOOPBACK[ip.version]
        if ip.version == 6 and ip.ipv4_mapped is not None:
            return str(ip.ipv4_mapped)
    return host


def full(address: Address) -> tuple[str, int] | tuple[str, int, int, int]:
    """As the socket module wants it."""
    host, _, scope = address[0].partition("%")
    return (host, address[1], 0, int(scope)) if scope else address
