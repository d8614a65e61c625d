"""Whom the network says that it does not reach (Linux): what is sent is not connected to anybody,
so errors of earlier datagrams are told only to who asks for them.

Anybody who can guess an address and two ports can have the network say so.
"""

from __future__ import annotations

import errno
import select
import socket
import struct

from sockd.reactor import sockaddr
from sockd.reactor.sockaddr import Address

MOST_AT_ONCE = 64
"""Errors that are read in one go: a flood of them must not keep all else from its turn."""

# linux/in.h, linux/in6.h, linux/errqueue.h
_ASK = {socket.AF_INET: (socket.IPPROTO_IP, 11), socket.AF_INET6: (socket.IPPROTO_IPV6, 25)}
"""IP_RECVERR, IPV6_RECVERR."""
_MSG_ERRQUEUE = 0x2000
_ERROR = struct.Struct("=IB")
"""errno and origin: the beginning of a `sock_extended_err`."""
_ICMP = (2, 3)
_NOBODY = {errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN}


def ask(sock: socket.socket) -> bool:
    """Have the kernel keep such errors for `read`. Whether it does."""
    if sock.family not in _ASK:
        return False
    try:
        sock.setsockopt(*_ASK[sock.family], 1)
    except OSError:  # another system
        return False
    return True


def watch(sock: socket.socket) -> select.epoll | None:
    """Ask; then something to wait for, which is readable while anything happens at the socket.
    None where the kernel tells nothing.

    Several reactors take an error at a descriptor for its end: they would close the socket, or
    never look at it again.
    """
    if not ask(sock):
        return None
    found = select.epoll()
    found.register(sock.fileno(), select.EPOLLIN)
    return found


def read(sock: socket.socket) -> list[Address]:
    """Whom errors were about that wait: at most `MOST_AT_ONCE`. Never waits."""
    found: list[Address] = []
    for _ in range(MOST_AT_ONCE):
        try:
            _, messages, _, name = sock.recvmsg(1, 512, _MSG_ERRQUEUE | socket.MSG_DONTWAIT)
        except OSError:  # there are no more
            break
        for level, kind, data in messages:
            if (level, kind) in _ASK.values() and len(data) >= _ERROR.size:
                number, origin = _ERROR.unpack_from(data)
                if origin in _ICMP and number in _NOBODY and isinstance(name, tuple):
                    host, port, *more = name
                    found.append((sockaddr.scoped(host, more[1]) if more else host, port))
    return found
