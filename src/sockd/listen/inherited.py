"""Sockets that were there before this process: the service manager's, and the last daemon's.

The service manager's stay its own: they are taken as often as they are asked for, and nobody shuts
them down. The last daemon's, kept by the manager or handed on by the daemon itself, are taken once,
by who listens at their address now; those that nobody wants end.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Sequence
from contextlib import suppress

from attrs import Factory, define

from sockd.listen.address import Address, Binding
from sockd.listen.kept_names import Kept, kept
from sockd.listen.listen import Listen
from sockd.listen.socket_files import file_identity, put_back, remove_own, set_aside
from sockd.listen.sockets import handed_over
from sockd.reactor.sockaddr import bound_to

_BINDINGS: dict[tuple[bool, int], Binding] = {
    (False, socket.SOCK_STREAM): "tcp",
    (False, socket.SOCK_DGRAM): "udp",
    (True, socket.SOCK_STREAM): "unix",
    (True, socket.SOCK_DGRAM): "unixgram",
}


@define(eq=False)
class Inherited:
    """One of them."""

    name: str
    sock: socket.socket
    address: Address
    """Where it is bound."""
    kept: Kept | None = None
    """Whose it was; None for the service manager's."""
    _aside: str = ""
    """Where its socket file is instead, while another socket has its name."""

    @property
    def file(self) -> tuple[int, int] | None:
        """Its socket file, if a daemon has made it."""
        return None if self.kept is None else self.kept.file

    @property
    def path(self) -> str:
        """The socket file's, where it has one."""
        return self.address.path

    def step_aside(self) -> None:
        """Leave the name of its socket file to another socket, if that can be."""
        if self.file is not None:
            with suppress(OSError):  # who is to have the name says that it is taken
                self._aside = set_aside(self.path, self.file)

    def step_back(self) -> None:
        """Take the name again: the other does not come."""
        if self._aside:
            with suppress(OSError):
                put_back(self._aside, self.path)
                self._aside = ""

    def end(self) -> None:
        """Have it end, and its file: nobody wants it."""
        with suppress(OSError):
            remove_own(self._aside or self.path, self.file)
        with suppress(OSError):  # it has no peer, which is no matter
            self.sock.shutdown(socket.SHUT_RDWR)

    def fits(self, instance: str, nth: int, listen: Listen) -> bool:
        """Whether an address of an instance is this one."""
        wanted = listen.address
        if wanted.systemd or wanted.interface or wanted.binding != self.address.binding:
            return False  # what a group is sent from is nothing that anybody comes to
        if wanted.is_taken_alone:
            return wanted == self.address and self._has_its_file()
        return (
            self.kept is not None
            and (self.kept.instance, self.kept.role, self.kept.nth) == (instance, listen.role, nth)
            and wanted.host == self.address.host
        )

    def _has_its_file(self) -> bool:
        """A socket without its file is reached by nobody."""
        if not self.address.path or self.kept is None:
            return True
        with suppress(OSError):
            return file_identity(self.address.path) == self.file
        return False


@define(eq=False)
class Inheritance:
    """All of them, in the order in which they were handed over."""

    sockets: list[Inherited] = Factory(list)
    names: dict[tuple[int, int], str] = Factory(dict)
    """How the last daemon's were called, by device and inode: who keeps them knows them so."""

    def find(self, instance: str, nth: int, listen: Listen) -> Inherited | None:
        """The one at an address of an instance."""
        fitting = (one for one in self.sockets if one.fits(instance, nth, listen))
        return next(fitting, None)

    def end_rest(self, taken: Iterable[Inherited]) -> list[str]:
        """Let go of the last daemon's, which are taken or wanted by nobody; names of the latter."""
        wanted = list(taken)
        ended = []
        for one in self.lasts:
            if one not in wanted:
                ended.append(one.name)
                one.end()
            one.sock.close()
        self.sockets = self.managers
        return ended

    @property
    def lasts(self) -> list[Inherited]:
        """The last daemon's."""
        return [one for one in self.sockets if one.kept is not None]

    @property
    def managers(self) -> list[Inherited]:
        """The service manager's."""
        return [one for one in self.sockets if one.kept is None]


def inheritance(given: Sequence[tuple[str, int]] | None = None) -> Inheritance:
    """What this process was given: names and descriptors."""
    found = []
    for name, descriptor in handed_over() if given is None else given:
        with suppress(OSError):  # no socket, or nothing at all
            os.set_inheritable(descriptor, False)  # programs are not to have it
            sock = socket.socket(fileno=descriptor)
            if (address := _address(sock)) is not None:
                found.append(Inherited(name, sock, address, kept(name)))
            else:
                sock.detach()  # it may be asked for by its name
    names = {inode(one.sock): one.name for one in found if one.kept is not None}
    return Inheritance(found, names)


def inode(sock: socket.socket) -> tuple[int, int]:
    """Which socket it is, whichever descriptor it has."""
    found = os.fstat(sock.fileno())
    return found.st_dev, found.st_ino


def _address(sock: socket.socket) -> Address | None:
    """Where it is bound; None for one that nobody asks for by an address."""
    is_local = sock.family == socket.AF_UNIX
    binding = _BINDINGS.get((is_local, sock.type))
    if binding is None or not (is_local or sock.family in (socket.AF_INET, socket.AF_INET6)):
        return None
    try:
        if is_local:
            return Address(binding, path=os.fsdecode(sock.getsockname()))
        return Address(binding, *bound_to(sock))
    except (OSError, ValueError):  # such as a name that is no file's
        return None
