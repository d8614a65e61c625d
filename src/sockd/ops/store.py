"""Sockets that the service manager holds while no daemon runs: who comes meanwhile waits there."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from attrs import frozen
from twisted.internet.interfaces import IDelayedCall

from sockd.daemon.keeping import Keeping
from sockd.listen.inherited import inode
from sockd.ops.notify import Notifier
from sockd.reactor.sockaddr import bound_to

LOOK_SECONDS = 5.0
"""How often it is looked for addresses that have come or gone without a reload, such as one that
could not be had at the start."""


def room(environment: Mapping[str, str]) -> int:
    """How many sockets the manager holds; 0 where it holds none.

    systemd says it from version 254 on, and before that our unit does.
    """
    with suppress(ValueError):
        return max(0, int(environment.get("FDSTORE", "0")))
    return 0


def udp_port(sock: socket.socket) -> int:
    """The port of a socket for UDP; 0 for others."""
    is_udp = sock.family != socket.AF_UNIX and sock.type == socket.SOCK_DGRAM
    return bound_to(sock)[1] if is_udp else 0


@frozen
class _Held:
    """A socket in the store."""

    which: tuple[int, int]
    udp_port: int


class Store:
    """What of a daemon is in the manager's store. Without room there it does nothing."""

    def __init__(self, reactor: Any, notifier: Notifier, keeping: Keeping, room: int) -> None:
        self._reactor = reactor
        self._notifier = notifier
        self._keeping = keeping
        self._room = room if notifier.is_told else 0
        self._held: dict[str, _Held] = {}
        self._next: IDelayedCall | None = None

    @property
    def has_room(self) -> bool:
        """Whether anything is held."""
        return self._room > 0

    def begin(self) -> None:
        """Keep what there is now, and what comes."""
        if self._room:
            self._look()

    def update(self) -> None:
        """Have the store hold what is bound now, and nothing else."""
        if not self._room:
            return
        sockets = self._keeping.sockets()
        bound = {name: inode(sock) for name, sock in sockets.items()}
        for name, held in tuple(self._held.items()):
            if bound.get(name) != held.which:
                self.forget(name)
        for name, sock in sockets.items():
            is_new = name not in self._held and len(self._held) < self._room
            if is_new and self._notifier.keep(name, sock):
                self._held[name] = _Held(bound[name], udp_port(sock))

    def forget(self, name: str) -> None:
        """Have it not be there any more."""
        held = self._held.pop(name, None)
        if self._room:
            self._notifier.forget(name)
        if held is not None and held.udp_port:
            # it is another process, which closes it a moment later; until then it holds the port
            self._keeping.has_gone(held.udp_port)

    def end(self) -> None:
        """The daemon stops: the files of what is held stay, for whoever comes meanwhile."""
        if self._next is not None:
            self._next.cancel()
            self._next = None
        if self._room:
            self._keeping.leave(self._held)

    def _look(self) -> None:
        self.update()
        self._next = self._reactor.callLater(LOOK_SECONDS, self._look)
