"""Whose turn it is: an epoll of its own for transports, a bounded number of them at a time."""

from __future__ import annotations

from contextlib import suppress
from errno import EBADF
from select import EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT, epoll
from time import monotonic
from typing import Any

from twisted.python import context

MOST_EVENTS = 64
"""Connections that have their turn, one read and one write each, before the others of the loop."""
PASS_SECONDS = 0.004
"""After so long the others of the loop have their turn, and those that are left come first in the
next pass: a handshake takes as long as a hundred short answers."""
_GONE = EPOLLHUP | EPOLLERR
"""The kernel tells it unasked; the read or the write that follows says what it is."""
_READABLE, _WRITABLE = EPOLLIN | _GONE, EPOLLOUT | _GONE


class Poller:
    """Watches connections with an epoll of its own, whose descriptor any loop can watch."""

    def __init__(self) -> None:
        self._epoll = epoll()
        self._watched: dict[int, Any] = {}
        self._left: list[tuple[int, int]] = []
        self._room: Any = None

    def fileno(self) -> int:
        """Readable while something has happened."""
        return self._epoll.fileno()

    def watch(self, connection: Any, wanted: int) -> None:
        """Watch a connection for other events than before; for 0, not at all.

        Raises OSError where the kernel cannot watch one more, or its socket was closed by others.
        """
        descriptor = connection.watched_at
        if wanted and descriptor >= 0:
            self._epoll.modify(descriptor, wanted)
        elif wanted:
            descriptor = connection.fileno()
            if descriptor < 0:
                raise OSError(EBADF, "Bad file descriptor")
            self._epoll.register(descriptor, wanted)
            self._watched[descriptor] = connection
            connection.watched_at = descriptor
        elif descriptor >= 0:
            connection.watched_at = -1
            if self._watched.get(descriptor) is connection:
                del self._watched[descriptor]
                with suppress(OSError):
                    self._epoll.unregister(descriptor)

    @property
    def room(self) -> Any:
        """Where TLS decrypts a record to, for a moment: one for all connections."""
        if self._room is None:
            from sockd.reactor.openssl import new_room

            self._room = new_room()
        return self._room

    def watched(self, event: int) -> list[Any]:
        """The connections that are watched for it."""
        return [connection for connection in self._watched.values() if connection.wanted & event]

    def remove_all(self) -> list[Any]:
        """Watch nothing any more; returns what was watched."""
        watched = [*self._watched.values()]
        for connection in watched:
            connection.stopReading()
            connection.stopWriting()
        return watched

    def poll(self) -> None:
        """Let connections to which something has happened have their turn."""
        watched, now = self._watched, monotonic
        # what is left of the last pass may be stale: a read or a write that finds nothing is none
        events, self._left = self._left or self._epoll.poll(0, MOST_EVENTS), []
        until = now() + PASS_SECONDS
        # the stack of the thread that runs, to which Twisted's log looks for whose line it is
        contexts: list[Any] = context.theContextTracker.currentContext().contexts
        for place, (descriptor, event) in enumerate(events, 1):
            connection = watched.get(descriptor)
            if connection is None:
                continue  # serving another one has ended it
            contexts.append(connection)
            try:
                if (
                    event & _READABLE
                    and connection.watched_for & EPOLLIN
                    and (why := connection.doRead())
                ):
                    connection.ends(why, True)
                elif (
                    event & _WRITABLE
                    and connection.watched_for & EPOLLOUT
                    and (why := connection.doWrite())
                ):
                    connection.ends(why, False)
            except BaseException as error:  # noqa: BLE001 - as Twisted: it ends that connection
                connection.fails(error)
            finally:
                contexts.pop()
            if now() > until:
                self._left = events[place:]
                return
