"""What the daemon that is started next gets of this one: its sockets, by names."""

from __future__ import annotations

import socket
from collections.abc import Container, Iterator

from sockd.daemon.daemon import Daemon
from sockd.daemon.plan import Identity
from sockd.listen.inherited import inode
from sockd.listen.kept_names import Kept
from sockd.net.listener import Listener


class Keeping:
    """The sockets of a daemon that another one can go on with, each by one name while it lives.

    Not the service manager's, which it hands over itself, and not those that only send.
    """

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._names = daemon.world.inherited.names

    def sockets(self) -> dict[str, socket.socket]:
        """Those that are bound now."""
        names = {}
        found = {}
        for identity, listener, sock in self._bound():
            which = inode(sock)
            name = self._names.get(which) or _name(identity, listener)
            names[which] = name
            found[name] = sock
        self._names = names
        return found

    def leave(self, names: Container[str]) -> None:
        """Have the files of these stay when the daemon stops: somebody has the sockets."""
        for identity, listener, sock in self._bound():
            if (self._names.get(inode(sock)) or _name(identity, listener)) in names:
                listener.leave()

    def has_gone(self, port: int) -> None:
        """Who has the socket of a UDP port was told to close it, as it is not bound any more."""
        world = self._daemon.world
        world.state.leave_udp_port(port, world.reactor.seconds())

    def _bound(self) -> Iterator[tuple[Identity, Listener, socket.socket]]:
        for _, running in self._daemon.instances:
            for identity, listener in running.by_identity.items():
                sock = listener.bound_socket
                is_ours = identity.address.binding != "multicast" and not listener.is_managers
                # a socket without its file is reached by nobody
                is_whole = not listener.listen.path or listener.file is not None
                if sock is not None and is_ours and is_whole:
                    yield identity, listener, sock


def _name(identity: Identity, listener: Listener) -> str:
    nth = None if identity.address.is_taken_alone else identity.nth
    binding = identity.address.binding
    kept = Kept(binding, identity.instance, identity.role, nth, listener.file)
    return kept.name(listener.address)
