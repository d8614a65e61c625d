"""Sockets that are let go of: nobody new comes to them, and what waits there stays.

Where another socket of ours listens on the port too, as where a wildcard takes the place of one
address, whoever comes from then on finds that one: there is no moment in which neither is there.
"""

from __future__ import annotations

import select
import socket

_SO_BINDTOIFINDEX = 62
"""Linux 5.1: bind a socket to an interface by its number. Since 5.7 anybody may, once."""
_NO_INTERFACE = 2**31 - 1
"""The number of none. The kernel asks for no proof that there is one."""


def turn_away(sock: socket.socket) -> bool:
    """Have nobody new come to an internet socket; whether that is so now.

    Of connections the ones that wait to be accepted stay, and handshakes that have begun end there.
    Of datagrams those that wait; answers can leave by the socket. A Unix socket is found by its
    file, and is let go of by removing that.
    """
    if sock.family == socket.AF_UNIX:
        return False
    try:
        if sock.type == socket.SOCK_STREAM:
            # the kernel looks for a listener among those of the interface that a packet came in
            # by; a handshake that has begun has an interface of its own
            sock.setsockopt(socket.SOL_SOCKET, _SO_BINDTOIFINDEX, _NO_INTERFACE)
        else:
            sock.connect(_itself(sock))
            # whoever has a duplicate of it, and is yet to close that, keeps none of ours from the
            # port (`sharing_ports`)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    except OSError:
        return False
    return True


def _itself(sock: socket.socket) -> tuple[str | int, ...]:
    """The only one a datagram socket hears from when it is connected to it: itself.

    To be bound to an interface would keep its answers from leaving.
    """
    host, port, *rest = sock.getsockname()
    loopback = {"0.0.0.0": "127.0.0.1", "::": "::1"}
    return (loopback.get(host, host), port, *rest)


def has_waiting(sock: socket.socket) -> bool:
    """Whether a connection or a datagram waits at a socket."""
    waiting = select.poll()
    waiting.register(sock.fileno(), select.POLLIN)
    return any(events & select.POLLIN for _, events in waiting.poll(0))
