"""Internet addresses and what stands beside a datagram, as the kernel has them in memory (Linux).

Addresses are remembered: a service hears the same ones again and again. Unix names are not here:
the standard library reads and writes those.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Callable, Iterator
from functools import lru_cache, partial

Address = tuple[str, int]
"""Where a datagram came from: host and port. A Unix peer is (path, 0), "" if it is unbound."""
Ancillary = tuple[int, int, bytes]
"""What stands beside a datagram, as `socket.recvmsg` has it: level, kind, data."""

KEPT = 4096
"""Addresses that are remembered, each way and family: sources can be forged, so not all of them."""
_INET = struct.Struct("=H2s4s8x")
_INET6 = struct.Struct("=H2s4x16sI")
_PORT = struct.Struct("!H")
_CMSGHDR = struct.Struct("@Nii")


@lru_cache(KEPT)
def _read_inet(raw: bytes) -> Address:
    _, port, host = _INET.unpack(raw)
    return socket.inet_ntop(socket.AF_INET, host), _PORT.unpack(port)[0]


@lru_cache(KEPT)
def _read_inet6(raw: bytes) -> Address:
    _, port, host, scope = _INET6.unpack(raw)
    name = socket.inet_ntop(socket.AF_INET6, host)
    return scoped(name, scope), _PORT.unpack(port)[0]


def interface_number(scope: str) -> int:
    """The number of an interface that an address names, itself or by its number; 0: it names none.

    Raises OSError where there is none by that name.
    """
    return int(scope or "0") if scope.isdecimal() or not scope else socket.if_nametoindex(scope)


def to_bind(host: str, port: int) -> tuple[str, int] | tuple[str, int, int, int]:
    """An address as `socket.bind` takes it: of one with an interface it needs the number.

    Raises OSError where there is no such interface.
    """
    name, _, scope = host.partition("%")
    return (name, port, 0, interface_number(scope)) if scope else (host, port)


def bound_to(sock: socket.socket) -> Address:
    """Where an Internet socket is bound, with the name of the interface where that matters."""
    host, port, *more = sock.getsockname()
    number = more[1] if more else 0
    try:
        scope = socket.if_indextoname(number) if number else ""
    except OSError:  # it has gone meanwhile
        scope = f"{number}"
    return (f"{host.partition('%')[0]}%{scope}" if scope else host), port


def _write(family: socket.AddressFamily, address: Address) -> bytes:
    host, port = address
    name, _, scope = host.partition("%")
    try:
        if family == socket.AF_INET:
            return _INET.pack(family, _PORT.pack(port), socket.inet_pton(family, host))
        index = interface_number(scope)
        return _INET6.pack(family, _PORT.pack(port), socket.inet_pton(family, name), index)
    except (OSError, struct.error):
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL)) from None


READ: dict[int, Callable[[bytes], Address]] = {
    socket.AF_INET: _read_inet,
    socket.AF_INET6: _read_inet6,
}
"""By family: a `sockaddr` as host and port."""
_kept_inet6 = lru_cache(KEPT)(partial(_write, socket.AF_INET6))


def _write_inet6(address: Address) -> bytes:
    # the number of an interface is not kept: one that is made anew has another
    return _write(socket.AF_INET6, address) if "%" in address[0] else _kept_inet6(address)


WRITE: dict[int, Callable[[Address], bytes]] = {
    socket.AF_INET: lru_cache(KEPT)(partial(_write, socket.AF_INET)),
    socket.AF_INET6: _write_inet6,
}
"""By family: host and port as a `sockaddr`. Raises OSError (EINVAL) where they are none."""
SIZE: dict[int, int] = {socket.AF_INET: _INET.size, socket.AF_INET6: _INET6.size}
"""By family: bytes of a `sockaddr`."""


def scoped(host: str, scope: int) -> str:
    """An IPv6 address with the interface that it is on, where it means something on one only."""
    return f"{host}%{scope}" if scope else host


def read_ancillary(raw: bytes) -> Iterator[Ancillary]:
    """The control messages of a `msghdr`."""
    at = 0
    while at + _CMSGHDR.size <= len(raw):
        length, level, kind = _CMSGHDR.unpack_from(raw, at)
        yield level, kind, raw[at + _CMSGHDR.size : at + length]
        at += socket.CMSG_SPACE(length - _CMSGHDR.size)


@lru_cache(KEPT)
def write_ancillary(level: int, kind: int, data: bytes) -> bytes:
    """One control message, padded as the kernel wants it."""
    length = socket.CMSG_LEN(len(data))
    message = _CMSGHDR.pack(length, level, kind) + data
    return message.ljust(socket.CMSG_SPACE(len(data)), b"\0")
