"""What the network says when a datagram could not be delivered, and who said it (Linux).

The kernel keeps such errors in a queue of their own beside the socket, with the datagram that they
are about. The socket counts as failed while any is there: it must be read to its end.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterable
from enum import Enum

from attrs import frozen

from sockd.client.errors import Unreachable
from sockd.client.net.interfaces import named
from sockd.reactor import sockaddr
from sockd.reactor.sockaddr import Address, Ancillary

MOST_ERRORS = 64
"""Errors that are read in one go: a flood of them must not keep all else from its turn."""
_PAYLOAD = 65_535
"""Bytes of the datagram that an error is about: routers send back its beginning at least."""
_CONTROL = 512
"""Room for what the kernel says beside it."""

# linux/in.h, linux/in6.h, linux/errqueue.h
_IP_RECVERR = 11
_IPV6_RECVERR = 25
_MSG_ERRQUEUE = 0x2000
_EXTENDED = struct.Struct("=IBBBBII")
"""errno, origin, type, code, padding, info, data: a `sock_extended_err`."""


class Origin(Enum):
    """Where an error comes from: numbers of linux/errqueue.h."""

    LOCAL = 1
    ICMP = 2
    ICMP6 = 3


_NAMES: dict[tuple[Origin, int, int], str] = {
    (Origin.ICMP, 3, 0): "network unreachable",
    (Origin.ICMP, 3, 1): "host unreachable",
    (Origin.ICMP, 3, 2): "protocol unreachable",
    (Origin.ICMP, 3, 3): "port unreachable",
    (Origin.ICMP, 3, 4): "too long to be sent on in one piece",
    (Origin.ICMP, 3, 5): "source route failed",
    (Origin.ICMP, 3, 6): "network unknown",
    (Origin.ICMP, 3, 7): "host unknown",
    (Origin.ICMP, 3, 8): "source host isolated",
    (Origin.ICMP, 3, 9): "network prohibited",
    (Origin.ICMP, 3, 10): "host prohibited",
    (Origin.ICMP, 3, 11): "network unreachable for this type of service",
    (Origin.ICMP, 3, 12): "host unreachable for this type of service",
    (Origin.ICMP, 3, 13): "prohibited by a filter",
    (Origin.ICMP, 11, 0): "too many hops",
    (Origin.ICMP, 11, 1): "a fragment was lost on the way",
    (Origin.ICMP6, 1, 0): "no route there",
    (Origin.ICMP6, 1, 1): "prohibited by a filter",
    (Origin.ICMP6, 1, 2): "beyond the scope of our address",
    (Origin.ICMP6, 1, 3): "address unreachable",
    (Origin.ICMP6, 1, 4): "port unreachable",
    (Origin.ICMP6, 1, 5): "prohibited for our address",
    (Origin.ICMP6, 1, 6): "route refused",
    (Origin.ICMP6, 2, 0): "too long to be sent on in one piece",
    (Origin.ICMP6, 3, 0): "too many hops",
    (Origin.ICMP6, 3, 1): "a fragment was lost on the way",
}
"""RFC 792, RFC 1812 and RFC 4443, in words of ours."""
_TOO_LONG = "too long to be sent on in one piece"
_UNDELIVERED = {(Origin.ICMP, 3), (Origin.ICMP, 11), (Origin.ICMP6, 1), (Origin.ICMP6, 3)}


@frozen(kw_only=True)
class NetworkError:
    """One datagram of ours that was not delivered."""

    errno: int
    """As the kernel maps it."""
    origin: Origin
    type: int = 0
    code: int = 0
    info: int = 0
    """Of what was too long: the bytes that the next network takes."""
    sender: str | None = None
    """Who says so; None: our own kernel."""
    destination: Address | None = None
    """Where the datagram went."""
    payload: bytes = b""
    """Its beginning, as it was sent back: often all of it, it may be nothing."""

    @property
    def text(self) -> str:
        """What is wrong, in a few words."""
        name = _NAMES.get((self.origin, self.type, self.code))
        if name is None:
            if self.origin is Origin.LOCAL:
                return os.strerror(self.errno).lower()
            return f"{os.strerror(self.errno).lower()} (ICMP {self.type}/{self.code})"
        if name is _TOO_LONG and self.info:
            return f"{name}: {self.info} bytes are most there"
        return name

    @property
    def means_undelivered(self) -> bool:
        """Whether no answer can come to that datagram, and a second one would fare no better."""
        is_size = _NAMES.get((self.origin, self.type, self.code)) is _TOO_LONG
        return (self.origin, self.type) in _UNDELIVERED and not is_size

    @property
    def host(self) -> str:
        """Where the datagram went, without the port; nothing where that is not known."""
        return self.destination[0] if self.destination else ""

    def is_about(self, data: bytes) -> bool:
        """Whether it is about this datagram, as far as it was sent back."""
        return data.startswith(self.payload) or self.payload.startswith(data)

    def __str__(self) -> str:
        return f"{self.text}, said by {named(self.sender) if self.sender else 'our own kernel'}"


class NotDelivered(Unreachable):
    """The network says that a datagram could not be delivered: `error` has all that it says."""

    def __init__(self, message: str, error: NetworkError) -> None:
        super().__init__(message)
        self.error = error


def listen(sock: socket.socket) -> None:
    """Have the kernel keep errors of the network for `read`, on a socket that sends to several."""
    if sock.family == socket.AF_INET:
        sock.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)
    elif sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVERR, 1)


def parse(
    payload: bytes, messages: Iterable[Ancillary], destination: Address | None
) -> NetworkError | None:
    """An error as it lies in the queue; None where it is none of those that are known."""
    for level, kind, data in messages:
        if (level, kind) not in _KINDS or len(data) < _EXTENDED.size:
            continue
        errno, origin, type_, code, _, info, _ = _EXTENDED.unpack_from(data)
        if origin not in _ORIGINS:
            continue
        return NetworkError(
            errno=errno,
            origin=Origin(origin),
            type=type_,
            code=code,
            info=info,
            sender=_sender(data[_EXTENDED.size :]),
            destination=destination,
            payload=payload,
        )
    return None


_KINDS = {(socket.IPPROTO_IP, _IP_RECVERR), (socket.IPPROTO_IPV6, _IPV6_RECVERR)}
_ORIGINS = {origin.value for origin in Origin}


def _sender(raw: bytes) -> str | None:
    """The `sockaddr` of who sent an error; its family is 0 where nobody did."""
    if len(raw) < 2:
        return None
    (family,) = struct.unpack_from("=H", raw)
    size = sockaddr.SIZE.get(family)
    if size is None or len(raw) < size:
        return None
    host, _ = sockaddr.READ[family](raw[:size])
    return host


def read(sock: socket.socket) -> list[NetworkError]:
    """Take what is in the queue of errors: at most `MOST_ERRORS`, so call it again. Never waits."""
    found = []
    for _ in range(MOST_ERRORS):
        try:
            payload, messages, _, name = sock.recvmsg(
                _PAYLOAD, _CONTROL, _MSG_ERRQUEUE | socket.MSG_DONTWAIT
            )
        except OSError:  # it is empty
            break
        error = parse(payload, messages, _destination(name))
        if error is not None:
            found.append(error)
    return found


def _destination(name: object) -> Address | None:
    match name:
        case (str(host), int(port)):
            return host, port
        case (str(host), int(port), int(), int(scope)):
            return sockaddr.scoped(host.partition("%")[0], scope), port
    return None
