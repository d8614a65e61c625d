"""What the kernel tells beside a datagram, when it was asked to (Linux).

Always: how many were lost; on a wildcard address, which address was asked, and whether others were
asked with it; on a Unix socket, who sent it. What else a protocol can have is `Wanted`, and comes
as `Told`.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterable, Sequence
from contextlib import suppress
from enum import Flag, auto
from functools import cache, lru_cache
from typing import NamedTuple

from sockd.reactor import sockaddr
from sockd.reactor.sockaddr import Ancillary

# where the socket module has no name for them: linux/in.h, linux/in6.h, asm-generic/socket.h
_IP_PKTINFO = getattr(socket, "IP_PKTINFO", 8)
_IPV6_RECVPKTINFO = getattr(socket, "IPV6_RECVPKTINFO", 49)
_IPV6_PKTINFO = getattr(socket, "IPV6_PKTINFO", 50)
_SO_TIMESTAMPNS = getattr(socket, "SO_TIMESTAMPNS", 35)
_SO_RXQ_OVFL = 40
_IN_PKTINFO = struct.Struct("=I4s4s")
"""Number of the interface, our address that an answer leaves from, address in the header."""
_TIMESPEC = struct.Struct("@ll")
"""Seconds and nanoseconds."""


class Wanted(Flag):
    """What a protocol wants to be told of each datagram: its attribute `wants_told`.

    It costs up to 3 µs a datagram, so nothing of it is told unasked.
    """

    TIME = auto()
    """When the kernel took it from the network: `Told.time_ns`."""
    INTERFACE = auto()
    """Where it came in, and what it was sent to: `Told.interface` and `Told.destination`. The
    address that was asked is told then on a socket that is bound to one address, too."""


NOTHING = Wanted(0)


class Told(NamedTuple):
    """What a protocol wanted to be told of a datagram; None where it did not, or it is not known.

    The first datagrams of a socket may bear the time at which they were read: Linux takes a moment
    to begin with stamps. Unix sockets have no interface; other systems than Linux tell nothing.
    """

    time_ns: int | None = None
    """Nanoseconds since 1970 (CLOCK_REALTIME, which can be set back)."""
    interface: int | None = None
    """The number of the interface: `socket.if_indextoname` has its name."""
    destination: str | None = None
    """The address in the datagram's header: one of ours, a multicast group or a broadcast."""


class AskedOfMany(NamedTuple):
    """The address that an answer leaves from, as ancillary data, of a datagram that was not sent to
    it, but to a broadcast address or a multicast group: others may have got it as well."""

    level: int
    kind: int
    data: bytes


class Beside(NamedTuple):
    """What the port itself needs to know of a datagram."""

    asked: Ancillary | None = None
    """As it can be sent back with an answer."""
    pid: int | None = None
    uid: int | None = None
    lost: int | None = None
    """Datagrams that have found the receive buffer full so far, modulo 2**32."""


def ask(sock: socket.socket, wants: Wanted) -> bool:
    """Have the kernel tell of each datagram. Returns whether it tells which address was asked."""
    if Wanted.TIME in wants:
        sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    if sock.family not in sockaddr.SIZE:
        return False
    sock.setsockopt(socket.SOL_SOCKET, _SO_RXQ_OVFL, 1)
    host = sock.getsockname()[0]
    if not (host in ("0.0.0.0", "::") or Wanted.INTERFACE in wants or _is_broadcast(host)):
        return False
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVPKTINFO, 1)
    else:
        sock.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
    return True


def leaves_from(host: str) -> Ancillary:
    """What has a datagram leave from an address of ours: as if that had been asked."""
    name, _, scope = host.partition("%")
    if ":" in name:
        data = socket.inet_pton(socket.AF_INET6, name)
        data += struct.pack("=I", sockaddr.interface_number(scope))
        return socket.IPPROTO_IPV6, _IPV6_PKTINFO, data
    return socket.IPPROTO_IP, _IP_PKTINFO, _IN_PKTINFO.pack(0, socket.inet_aton(name), bytes(4))


def _is_broadcast(host: str) -> bool:
    """Whether this is a broadcast address of a network of ours: it can be bound, too."""
    if ":" in host:
        return False
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((host, 9))  # which sends nothing, and is refused without SO_BROADCAST
        except PermissionError:
            return True
        except OSError:  # no way leads there
            return False
    return False


def read(messages: Iterable[Ancillary]) -> Beside:
    """What the port needs. Descriptors that came too are closed."""
    asked: Ancillary | None = None
    pid = uid = lost = None
    for level, kind, data in messages:
        if level == socket.IPPROTO_IP and kind == _IP_PKTINFO:
            _, ours, header = _IN_PKTINFO.unpack_from(data)
            asked = (level, kind, _IN_PKTINFO.pack(0, ours, bytes(4)))
            if header != ours:
                asked = AskedOfMany(*asked)
        elif level == socket.IPPROTO_IPV6 and kind == _IPV6_PKTINFO:
            # in6_pktinfo: address, interface; nothing can be sent from a group
            if data[0] == 0xFF:
                asked = AskedOfMany(level, kind, bytes(16) + data[16:20])
            else:
                asked = (level, kind, data[:20])
        elif level == socket.SOL_SOCKET and kind == _SO_RXQ_OVFL:
            (lost,) = struct.unpack_from("=I", data)
        elif level == socket.SOL_SOCKET and kind == socket.SCM_CREDENTIALS:
            pid, uid, _ = struct.unpack_from("=iII", data)
        elif level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            _close_all(data)
    return Beside(asked, pid, uid, lost)


@lru_cache(sockaddr.KEPT)
def read_bytes(control: bytes) -> Beside:
    """The same of control messages as they are in memory."""
    return read(sockaddr.read_ancillary(control))


def tell(messages: Iterable[Ancillary], wants: Wanted) -> Told:
    """What the protocol wants."""
    time_ns = interface = destination = None
    for level, kind, data in messages:
        if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS:
            seconds, nanoseconds = _TIMESPEC.unpack_from(data)
            time_ns = seconds * 1_000_000_000 + nanoseconds
        elif Wanted.INTERFACE not in wants:
            continue
        elif level == socket.IPPROTO_IP and kind == _IP_PKTINFO:
            interface, _, address = _IN_PKTINFO.unpack_from(data)
            destination = socket.inet_ntop(socket.AF_INET, address)
        elif level == socket.IPPROTO_IPV6 and kind == _IPV6_PKTINFO:
            (interface,) = struct.unpack_from("=I", data, 16)
            destination = socket.inet_ntop(socket.AF_INET6, data[:16])
    return Told(time_ns, interface, destination)


def stamps(control: memoryview, count: int, step: int, lengths: Sequence[int]) -> list[int] | None:
    """`Told.time_ns` of each of `count` datagrams, whose control messages are `step` bytes apart.

    None where it is not the first thing that is told of each. All others are left out, so that it
    takes a tenth of the time that `tell` does.
    """
    if min(lengths) < _STAMP_LENGTH:
        return None
    fields = _stamp_rows(count, step).unpack_from(control)
    if fields[::3].count(_STAMP_HEADER) != count:
        return None
    both = zip(fields[1::3], fields[2::3], strict=True)
    return [seconds * 1_000_000_000 + nanoseconds for seconds, nanoseconds in both]


_STAMP_LENGTH = socket.CMSG_LEN(_TIMESPEC.size)
_STAMP_HEADER = struct.pack("@Nii", _STAMP_LENGTH, socket.SOL_SOCKET, _SO_TIMESTAMPNS)


@cache
def _stamp_rows(count: int, step: int) -> struct.Struct:
    size = len(_STAMP_HEADER)
    return struct.Struct(f"@{f'{size}s2l{step - size - _TIMESPEC.size}x' * count}")


def _close_all(sent: bytes) -> None:
    """Close descriptors that came with a datagram: kept, they would use up the daemon's own."""
    for (descriptor,) in struct.iter_unpack("=i", sent):
        with suppress(OSError):  # closed all the same
            os.close(descriptor)
