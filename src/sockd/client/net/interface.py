"""`-I`: which of our interfaces, or of our addresses, a socket sends from."""

from __future__ import annotations

import errno
import ipaddress
import socket

from sockd.client.errors import UsageFault
from sockd.client.net.system import words

MOST_NAME = 15
"""Bytes of an interface's name: the kernel's IFNAMSIZ without its NUL."""
_LINUX_BINDTODEVICE = 25


def source_family(interface: str) -> int:
    """4 or 6 where `-I` names one of our addresses; 0 where it names an interface, or nothing."""
    try:
        return ipaddress.ip_address(interface).version
    except ValueError:
        return 0


def bind_to(sock: socket.socket, interface: str) -> None:
    """Have a socket send from an interface or an address. Raises UsageFault.

    An address of the other family is a fault here: leave out such sockets before.
    """
    if not interface:
        return
    if source_family(interface):
        _bind_to_address(sock, interface)
        return
    name = interface.encode("utf-8", "surrogateescape")
    if len(name) > MOST_NAME or b"\0" in name:
        raise UsageFault(f"-I {interface}: there is no such interface, and it is no address")
    option = getattr(socket, "SO_BINDTODEVICE", _LINUX_BINDTODEVICE)
    try:
        sock.setsockopt(socket.SOL_SOCKET, option, name)
    except OSError as error:
        if error.errno == errno.ENODEV:
            why = "there is no such interface, and it is no address"
        elif error.errno == errno.EPERM:
            why = "only root may choose an interface here; one of its addresses will do"
        else:
            why = words(error)
        raise UsageFault(f"-I {interface}: {why}") from None


def _bind_to_address(sock: socket.socket, source: str) -> None:
    family = socket.AF_INET6 if source_family(source) == 6 else socket.AF_INET
    if sock.family != family:
        raise UsageFault(f"-I {source}: it is an address of the other family")
    try:
        sockaddr = socket.getaddrinfo(source, 0, family, sock.type, 0, socket.AI_NUMERICHOST)[0][4]
        sock.bind(sockaddr)
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno not in (errno.EADDRNOTAVAIL, None):
            raise UsageFault(f"-I {source}: {words(error)}") from None
        raise UsageFault(f"-I {source}: it is none of our addresses") from None
