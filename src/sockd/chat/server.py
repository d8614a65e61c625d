"""The chat as an instance runs it: what the rooms want done is done by the doors.

All doors of an instance lead here. It holds what a reload keeps: who is logged in.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.threads import deferToThreadPool
from twisted.python.failure import Failure

from sockd import events
from sockd.access.reasons import because
from sockd.chat import heartbeat, memory
from sockd.chat.desk import Desk
from sockd.chat.effects import (
    Arrived,
    Effect,
    Entered,
    Gone,
    Left,
    Listing,
    Moved,
    ToChannel,
    ToPlace,
    ToUser,
)
from sockd.chat.members import Channel, Gate, Moment, Place, User
from sockd.chat.moderation import Moderation
from sockd.chat.onlink import Links
from sockd.chat.settings import Settings
from sockd.formats.frames import frame

TICK_SECONDS = 1.0
"""How often it is looked who has been silent for too long."""
LIST_SECONDS = 0.1
"""Between two parts of a list."""
LIST_PART = 20
"""Events of a list at once: what a slow reader's socket holds."""


class Door(Protocol):
    """What sends by one gate."""

    gate: Gate

    def tell(self, place: Place, data: bytes) -> None:
        """One event to one place."""

    def arrived(self, user: User) -> None:
        """Somebody has logged in by it, or moved to it."""

    def gone(self, user: User, place: Place) -> None:
        """Somebody at this place is not here any more."""

    def entered(self, channel: Channel, user: User) -> None:
        """What goes to the channel goes to this user too."""

    def left(self, channel: Channel, user: User) -> None:
        """It does not any more."""

    def broadcast(self, channel: Channel, data: bytes) -> None:
        """One event to all who came by this gate and are in the channel."""

    def beat(self, data: bytes) -> None:
        """A heartbeat, where it has groups."""


class Connection(Protocol):
    """What a door of connections needs of one."""

    number: int

    def tell(self, framed: bytes) -> None:
        """Send an event that is in its frame."""


class Streams:
    """The door of all connections of an instance."""

    def __init__(self) -> None:
        self.gate = Gate("stream")
        self._open: dict[Hashable, Connection] = {}
        self._here: dict[Channel, dict[Connection, None]] = {}

    def open(self, connection: Connection) -> None:
        """One more."""
        self._open[connection.number] = connection

    def close(self, connection: Connection) -> None:
        """One fewer; who came by it has been logged off."""
        del self._open[connection.number]

    def tell(self, place: Place, data: bytes) -> None:
        """One event to one place."""
        if (connection := self._open.get(place.address)) is not None:
            connection.tell(frame(data))

    def arrived(self, user: User) -> None:
        """Nothing is to be kept of it."""

    def gone(self, user: User, place: Place) -> None:
        """Nothing was kept."""

    def entered(self, channel: Channel, user: User) -> None:
        """What goes to the channel goes to this user too."""
        self._here.setdefault(channel, {})[self._open[user.place.address]] = None

    def left(self, channel: Channel, user: User) -> None:
        """It does not any more."""
        self._here[channel].pop(self._open[user.place.address], None)

    def broadcast(self, channel: Channel, data: bytes) -> None:
        """One event to all who are in the channel."""
        if here := self._here.get(channel):
            framed = frame(data)
            for connection in tuple(here):
                connection.tell(framed)

    def beat(self, data: bytes) -> None:
        """Connections have no groups."""


class ChatServer:
    """What the doors of an instance share."""

    def __init__(
        self, context: Any, desk: Desk, state: Path, settings: Callable[[Any], Settings]
    ) -> None:
        self.context = context
        self._settings = settings
        self.desk = desk
        self.moderation = Moderation(desk)
        self.links = Links(context.clock.seconds)
        desk.began = context.clock.seconds()
        desk.allowances.trusts = context.guard.trusts
        self._state = state
        self._is_remembered = True
        self._is_writing = False
        self._ticks = 0
        self.streams = Streams()
        self.doors: dict[Gate, Door] = {self.streams.gate: self.streams}
        self._listings: dict[User, Iterator[bytes]] = {}
        self._list_call: IDelayedCall | None = None
        self._tick_call: IDelayedCall | None = context.clock.callLater(TICK_SECONDS, self._tick)

    @property
    def moment(self) -> Moment:
        """Now."""
        world = self.context.world
        return Moment(self.context.clock.seconds(), int(world.wall() * 1000))

    def open(self, door: Door) -> None:
        """One more door."""
        self.doors[door.gate] = door

    def close(self, door: Door) -> None:
        """A door is closed: who came by it is gone."""
        for user in [user for user in self.desk.rooms.at.values() if user.place.gate is door.gate]:
            self.carry_out(self.desk.log_off(user, self.moment, "the door is closed"))
        del self.doors[door.gate]

    def received(
        self, place: Place, data: bytes, is_on_link: bool = True, interface: int = 0
    ) -> None:
        """An event has come by a door."""
        self.carry_out(self.desk.received(place, data, self.moment, is_on_link, interface))

    def disconnected(self, place: Place) -> None:
        """A connection has ended."""
        self.carry_out(self.desk.left(place, self.moment))

    def use(self, context: Any) -> None:
        """Have other options; who is logged in stays."""
        self.context = context
        self.carry_out(self.desk.apply(self._settings(context.options), self.moment))

    def stop(self) -> Deferred[None] | None:
        """Let go of everything."""
        for call in (self._tick_call, self._list_call):
            if call is not None:
                call.cancel()
        self._tick_call = self._list_call = None
        self._listings.clear()
        return None

    def carry_out(self, effects: Sequence[Effect]) -> None:
        """Do what the rooms want done, in order."""
        for effect in effects:
            match effect:
                case ToUser(user, data):
                    self._send(user, data)
                case ToChannel(channel, data):
                    for door in self.doors.values():
                        door.broadcast(channel, data)
                case ToPlace(place, data):
                    if (to := self.doors.get(place.gate)) is not None:
                        to.tell(place, data)
                case Entered(channel, user):
                    self._door(user).entered(channel, user)
                case Left(channel, user):
                    self._door(user).left(channel, user)
                case Arrived(user):
                    self._is_remembered &= user.session is None
                    self._door(user).arrived(user)
                case Moved(user, before):
                    self._move(user, before)
                case Listing(user, events):
                    self._listings[user] = events
                    self._list_some(user)
                    self._plan_list()
                case Gone(user):
                    self._is_remembered &= user.session is None
                    self._listings.pop(user, None)
                    self._door(user).gone(user, user.place)

    def _door(self, user: User) -> Door:
        return self.doors[user.place.gate]

    def _send(self, user: User, data: bytes) -> None:
        if self.desk.may_send(user, len(data), self.context.clock.seconds()):
            self._door(user).tell(user.place, data)

    def _move(self, user: User, before: Place) -> None:
        old, new = self.doors[before.gate], self._door(user)
        for channel in user.channels:
            old.left(channel, user)
        old.gone(user, before)
        new.arrived(user)
        for channel in user.channels:
            new.entered(channel, user)

    def _list(self) -> None:
        """A part of each list that is on its way."""
        self._list_call = None
        for user in tuple(self._listings):
            self._list_some(user)
        self._plan_list()

    def _list_some(self, user: User) -> None:
        listed = self._listings[user]
        for _ in range(LIST_PART):
            event = next(listed, None)
            if event is None:
                del self._listings[user]
                self.desk.rooms.listed(user)
                break
            self._send(user, event)

    def _plan_list(self) -> None:
        if self._listings and self._list_call is None:
            self._list_call = self.context.clock.callLater(LIST_SECONDS, self._list)

    def _tick(self) -> None:
        self._tick_call = self.context.clock.callLater(TICK_SECONDS, self._tick)
        self.carry_out(self.desk.tick(self.moment))
        if not (self._is_remembered or self._is_writing):
            self._remember()
        self._ticks += 1
        if self._ticks % heartbeat.SECONDS == 0:
            beat = self.desk.rooms.heartbeat.beat(self.moment)
            for door in self.doors.values():
                door.beat(beat)

    def _remember(self) -> None:
        """Write, in a thread, who can come back after a start."""
        self._is_remembered = self._is_writing = True
        secret, names = self.desk.rooms.secret.value, self.desk.names
        reactor = self.context.world.reactor
        written = deferToThreadPool(
            reactor, reactor.getThreadPool(), memory.write, self._state, secret, names
        )

        def done(result: Any) -> None:
            self._is_writing = False
            if isinstance(result, Failure):
                why = because("state_unwritten", detail=result.getErrorMessage())
                events.warn("warning", service=self.context.name, reason=why)

        written.addBoth(done)
