"""Addresses that one datagram goes to, again and again: a channel's members.

They stay as the kernel wants them, so to send to all costs the kernel's work and little else. To
add one or to take one away costs the same however many there are; what that does to the order is
nobody's business: each is sent the datagram once.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator

from sockd.reactor import mmsg, sockaddr
from sockd.reactor.crowd import Crowd
from sockd.reactor.sockaddr import Address, Ancillary


class Audience:
    """The addresses of one socket's family. Where the system has no `sendmmsg`, a plain list."""

    def __init__(self, family: int, in_batches: bool = True) -> None:
        self._family = family
        self._entries: list[tuple[Address, Ancillary | None]] = []
        self._numbers: dict[Address, int] = {}
        is_fast = in_batches and family in sockaddr.SIZE and mmsg.is_available()
        self.crowd = Crowd() if is_fast else None

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[tuple[Address, Ancillary | None]]:
        return iter(self._entries)

    def __contains__(self, address: Address) -> bool:
        return address in self._numbers

    def add(self, address: Address, source: Ancillary | None = None) -> None:
        """One more, or the same from now on with another source. `source`: an `asked` of the port,
        the address that datagrams to it leave from. Raises OSError where it is no address."""
        number = self._numbers.get(address, len(self._entries))
        self._put(number, address, source)
        self._numbers[address] = number

    def discard(self, address: Address) -> None:
        """One fewer, if it is here."""
        number = self._numbers.pop(address, None)
        if number is None:
            return
        last = self._entries.pop()
        if number < len(self._entries):
            self._numbers[last[0]] = number
            self._put(number, *last)
        if self.crowd is not None:
            self.crowd.cut(len(self._entries))

    def _put(self, number: int, address: Address, source: Ancillary | None) -> None:
        if self.crowd is not None:
            control = sockaddr.write_ancillary(*source) if source is not None else b""
            self.crowd.put(number, sockaddr.WRITE[self._family](address), control)
        if number < len(self._entries):
            self._entries[number] = address, source
        else:
            self._entries.append((address, source))


def audience_of(sock: socket.socket, in_batches: bool = True) -> Audience:
    """An empty one for a socket."""
    return Audience(sock.family, in_batches)
