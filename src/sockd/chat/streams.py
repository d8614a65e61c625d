"""The door of all connections of an instance."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Protocol

from sockd.access.counts import Traffic
from sockd.access.entrance import Entrance
from sockd.access.peer import Peer
from sockd.chat.members import Channel, Gate, Place, User
from sockd.formats.frames import frame


class Connection(Protocol):
    """What the door needs of one."""

    number: int
    peer: Peer
    entrance: Entrance
    traffic: Traffic

    def tell(self, framed: bytes) -> None:
        """Send an event that is in its frame."""


class Streams:
    """All of them, by their numbers."""

    def __init__(self) -> None:
        self.gate = Gate("stream")
        self._open: dict[Hashable, Connection] = {}
        self._here: dict[Channel, dict[Hashable, Connection]] = {}

    def open(self, connection: Connection) -> None:
        """One more."""
        self._open[connection.number] = connection

    def close(self, connection: Connection) -> None:
        """One fewer; who came by it has been logged off."""
        self._open.pop(connection.number, None)

    def whence(self, place: Place) -> tuple[Peer, Entrance | None]:
        """Who is at a place, and where it came in."""
        connection = self._open.get(place.address)
        if connection is None:
            return Peer(place.host, 0), None
        return connection.peer, connection.entrance

    def tell(self, place: Place, data: bytes) -> None:
        """One event to one place."""
        if (connection := self._open.get(place.address)) is not None:
            connection.tell(frame(data))

    def arrived(self, user: User) -> None:
        """One user more has logged in by a connection."""
        self._count(user.place, 1)

    def gone(self, user: User, place: Place) -> None:
        """One fewer."""
        self._count(place, -1)

    def _count(self, place: Place, change: int) -> None:
        if (connection := self._open.get(place.address)) is not None:
            connection.traffic.users += change

    def entered(self, channel: Channel, user: User) -> None:
        """What goes to the channel goes to this user too."""
        address = user.place.address
        if (connection := self._open.get(address)) is not None:
            self._here.setdefault(channel, {})[address] = connection

    def left(self, channel: Channel, user: User, place: Place) -> None:
        """It does not any more."""
        here = self._here.get(channel, {})
        here.pop(place.address, None)
        if not here:
            self._here.pop(channel, None)

    def broadcast(self, channel: Channel, data: bytes) -> None:
        """One event to all who are in the channel."""
        if here := self._here.get(channel):
            framed = frame(data)
            for connection in tuple(here.values()):
                connection.tell(framed)

    def beat(self, data: bytes) -> None:
        """Connections have no groups."""
