"""Listening on a bound Unix stream socket, with the mode and the queue that it has.

A reactor's `adoptStreamPort` makes the file writable by everybody, sets the queue to 50, and
removes whatever lies at the path when it stops.
"""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet import unix
from twisted.internet.interfaces import IProtocolFactory

_NO_FILE: Any = b"\0"
"""A name outside the file system: a port by that name changes no mode and removes nothing."""


def adopt_local_port(
    reactor: Any, sock: socket.socket, factory: IProtocolFactory, backlog: int
) -> Any:
    """A listening port on a duplicate of the socket; its file is the caller's."""
    kind: type[unix.Port] = getattr(reactor, "local_port", unix.Port)
    port = kind(_NO_FILE, factory, backlog, reactor=reactor)
    port._preexistingSocket = socket.fromfd(sock.fileno(), sock.family, sock.type)
    port._preexistingSocket.setblocking(False)  # else a Twisted port would wait in `accept`
    port._shouldShutdown = False  # other duplicates of the socket go on listening
    port.startListening()
    return port
