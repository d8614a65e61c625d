"""Listening on a bound Unix stream socket, with the mode and the queue that it has.

A reactor's `adoptStreamPort` makes the file writable by everybody, sets the queue to 50, and
removes whatever lies at the path when it stops.
"""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet import unix
from twisted.internet.interfaces import IProtocolFactory


def adopt_local_port(
    reactor: Any, sock: socket.socket, factory: IProtocolFactory, mode: int, backlog: int
) -> Any:
    """A listening port on a duplicate of the socket; its file is the caller's to remove."""
    kind: type[unix.Port] = getattr(reactor, "local_port", unix.Port)
    port = kind._fromListeningDescriptor(reactor, sock.fileno(), factory)
    port.mode = mode
    port.backlog = backlog
    port._shouldShutdown = False  # other duplicates of the socket go on listening
    port.startListening()
    port._bindPath = "\0"  # a name outside the file system: nothing to remove
    return port
