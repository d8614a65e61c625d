"""The chat as an instance runs it: what the rooms want done is done by the doors.

All doors of an instance lead here. It holds what a reload keeps: who is logged in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.threads import deferToThreadPool
from twisted.python.failure import Failure

from sockd import events
from sockd.access.buckets import Buckets
from sockd.access.entrance import Entrance
from sockd.access.peer import Peer
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
    Refused,
    ToChannel,
    ToPlace,
    ToUser,
)
from sockd.chat.members import Channel, Gate, Moment, Place, User
from sockd.chat.moderation import Moderation, Seen
from sockd.chat.onlink import Links
from sockd.chat.settings import Settings
from sockd.chat.streams import Streams
from sockd.formats.chat.names import fold

TICK_SECONDS = 1.0
"""How often it is looked who has been silent for too long."""
LIST_SECONDS = 0.1
"""Between two parts of a list."""
LIST_PART = 20
"""Events of a list at once: what a slow reader's socket holds."""
LISTS_AT_ONCE = 50
"""Lists that go on in a pass of the loop, about 5 ms; the others have their turn after them."""
REPORTS_PER_SECOND = 10
REPORTS_AT_ONCE = 100
"""Users that come or go of whom the log tells; the rest are counted. After a start all come."""
_DOOR_CLOSED = because("door_closed")


class Door(Protocol):
    """What sends by one gate."""

    gate: Gate

    def whence(self, place: Place) -> tuple[Peer, Entrance | None]:
        """Who is at a place, and where it came in."""

    def tell(self, place: Place, data: bytes) -> None:
        """One event to one place."""

    def arrived(self, user: User) -> None:
        """Somebody has logged in by it, or moved to it."""

    def gone(self, user: User, place: Place) -> None:
        """Somebody at this place is not here any more."""

    def entered(self, channel: Channel, user: User) -> None:
        """What goes to the channel goes to this user too."""

    def left(self, channel: Channel, user: User, place: Place) -> None:
        """Who was at this place does not any more."""

    def broadcast(self, channel: Channel, data: bytes) -> None:
        """One event to all who came by this gate and are in the channel."""

    def beat(self, data: bytes) -> None:
        """A heartbeat, where it has groups."""


class ChatServer:
    """What the doors of an instance share."""

    def __init__(
        self, context: Any, desk: Desk, state: Path, settings: Callable[[Any], Settings]
    ) -> None:
        self.context = context
        self._settings = settings
        self.desk = desk
        self.moderation = Moderation(desk, context.world.state.bans, context.name)
        """What an administrator may do that has nothing sent: mute, close."""
        self.links = Links(context.clock.seconds)
        desk.began = context.clock.seconds()
        desk.threshold.allowances.trusts = context.guard.trusts
        self._state = state
        self._is_remembered = True
        self._is_writing = False
        self._why_unwritten = ""
        self._cut_off: dict[bytes, float] = {}
        """Folded nicknames of those whose door has closed, and since when: they may come back."""
        self._partings: list[Effect] = []
        self._parting_call: IDelayedCall | None = None
        self._reports = Buckets(REPORTS_PER_SECOND, REPORTS_AT_ONCE, 1)
        self._unreported = 0
        self._ticks = 0
        self.streams = Streams()
        self.doors: dict[Gate, Door] = {self.streams.gate: self.streams}
        self._listings: dict[User, Iterator[bytes]] = {}
        self._held_up: dict[User, bytes] = {}
        """The next event of a list, where it could not be sent yet."""
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
        for user in self.users_at(door.gate):
            self._cut(user)
            effects = self.desk.log_off(user, self.moment, _DOOR_CLOSED)
            self.carry_out(_untold(effects))
            self._partings += [effect for effect in effects if isinstance(effect, ToChannel)]
        del self.doors[door.gate]
        if self._partings and self._parting_call is None:
            self._parting_call = self.context.clock.callLater(0, self._tell_partings)

    def users_at(self, gate: Gate) -> list[User]:
        """Who has come by a gate."""
        return [user for user in self.desk.rooms.at.values() if user.place.gate is gate]

    def move(self, user: User, gate: Gate) -> None:
        """A user goes on by another gate, and is where it was."""
        self.carry_out(self.desk.rooms.move(user, user.place._replace(gate=gate)))

    def _tell_partings(self) -> None:
        """Who came by a door that was closed has left; where all doors were, it is the stop, after
        which they come back: nobody is told then."""
        self._parting_call = None
        partings, self._partings = self._partings, []
        if len(self.doors) > 1:  # besides the streams
            self.carry_out(partings)

    def received(
        self, place: Place, data: bytes, is_on_link: bool = True, interface: int = 0
    ) -> None:
        """An event has come by a door."""
        self.carry_out(self.desk.received(place, data, self.moment, is_on_link, interface))

    def disconnected(self, place: Place, *, by_us: bool = False) -> None:
        """A connection has ended. `by_us`: its user did not want it to."""
        if by_us and (user := self.desk.rooms.at.get(place)) is not None:
            self._cut(user)
        effects = self.desk.left(place, self.moment)
        self.carry_out(_untold(effects) if by_us else effects)

    def unreached(self, place: Place) -> None:
        """The network says that nobody is at a place."""
        self.desk.rooms.suspect(place, self.context.clock.seconds())

    def kick(self, nickname: str, why: str = "") -> None:
        """Log a user off; see `Moderation.kick`."""
        self.carry_out(self.moderation.kick(nickname, self.moment, why))

    def expel(self, users: Iterable[User]) -> int:
        """Users whose address was banned go; see `Moderation.expel`. Returns how many did."""
        effects = self.moderation.expel(users, self.moment)
        self.carry_out(effects)
        return sum(isinstance(effect, Gone) for effect in effects)

    def users(self) -> list[Seen]:
        """All who are here."""
        return self.moderation.users(self.moment)

    def use(self, context: Any) -> None:
        """Have other options; who is logged in stays."""
        self.context = context
        self.carry_out(self.desk.apply(self._settings(context.options), self.moment))

    def stop(self) -> Deferred[None] | None:
        """Let go of everything."""
        for call in (self._tick_call, self._list_call, self._parting_call):
            if call is not None:
                call.cancel()
        self._tick_call = self._list_call = self._parting_call = None
        self._listings.clear()
        return None

    def carry_out(self, effects: Sequence[Effect]) -> None:
        """Do what the rooms want done, in order."""
        for effect in effects:
            match effect:
                case ToUser(user, data):
                    if not self._send(user, data):
                        self.context.guard.counts.dropped["over_budget"] += 1
                case ToChannel(channel, data):
                    for door in self.doors.values():
                        door.broadcast(channel, data)
                case ToPlace(place, data):
                    if (to := self.doors.get(place.gate)) is not None:
                        to.tell(place, data)
                case Entered(channel, user):
                    self._door(user).entered(channel, user)
                case Left(channel, user):
                    self._door(user).left(channel, user, user.place)
                case Arrived(user):
                    self._is_remembered &= user.session is None
                    self._door(user).arrived(user)
                    self._report("logged-in", user)
                case Moved(user, before):
                    self._move(user, before)
                case Listing(user, events):
                    self._listings[user] = events
                    self._list_some(user)
                    self._plan_list()
                case Gone(user, reason):
                    self._is_remembered &= user.session is None
                    self._listings.pop(user, None)
                    self._held_up.pop(user, None)
                    duration = self.context.clock.seconds() - user.since
                    self._report("logged-off", user, reason=reason, duration=duration)
                    self._door(user).gone(user, user.place)
                case Refused(place, reason):
                    if (at := self.doors.get(place.gate)) is not None:
                        peer, local = at.whence(place)
                        self.context.guard.refuse(peer, reason, local)

    def _report(self, event: str, user: User, **fields: Any) -> None:
        if not self.context.limits.log_connections:
            return
        if not self._reports.take("", self.context.clock.seconds()):
            self._unreported += 1
            return
        untold, self._unreported = events.Untold(self._unreported), 0
        peer, local = self._door(user).whence(user.place)
        name, nickname = self.context.name, user.nickname.decode()
        fields |= {} if local is None else {"local": local}
        events.emit(event, service=name, user=nickname, peer=peer, suppressed=untold, **fields)

    def _cut(self, user: User) -> None:
        if user.session is not None:
            self._cut_off[fold(user.nickname)] = self.context.clock.seconds()

    def _door(self, user: User) -> Door:
        return self.doors[user.place.gate]

    def _send(self, user: User, data: bytes) -> bool:
        """Whether it may be sent now."""
        if not self.desk.may_send(user, len(data), self.context.clock.seconds()):
            return False
        self._door(user).tell(user.place, data)
        return True

    def _move(self, user: User, before: Place) -> None:
        old, new = self.doors[before.gate], self._door(user)
        for channel in user.channels:
            old.left(channel, user, before)
        old.gone(user, before)
        new.arrived(user)
        for channel in user.channels:
            new.entered(channel, user)

    def _list(self) -> None:
        """A part of each list that is on its way."""
        self._list_call = None
        for user in tuple(islice(self._listings, LISTS_AT_ONCE)):
            self._listings[user] = self._listings.pop(user)  # to the end of the line
            self._list_some(user)
        self._plan_list()

    def _list_some(self, user: User) -> None:
        listed = self._listings[user]
        for _ in range(LIST_PART):
            event = self._held_up.pop(user, None) or next(listed, None)
            if event is None:
                del self._listings[user]
                self.desk.rooms.listed(user)
                break
            if not self._send(user, event):
                self._held_up[user] = event
                break

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
        now, rooms = self.context.clock.seconds(), self.desk.rooms
        held = rooms.settings.held
        self._cut_off = {one: at for one, at in self._cut_off.items() if now < at + held}
        secret, names = rooms.secret.value, {*self.desk.names, *self._cut_off}
        reactor = self.context.world.reactor
        written = deferToThreadPool(
            reactor, reactor.getThreadPool(), memory.write, self._state, secret, names
        )

        def done(result: Any) -> None:
            self._is_writing = False
            why = result.getErrorMessage() if isinstance(result, Failure) else ""
            if why:
                self._is_remembered = False  # and so it is tried again
            if why and why != self._why_unwritten:
                reason = because("state_unwritten", detail=why)
                events.warn("warning", service=self.context.name, reason=reason)
            self._why_unwritten = why

        written.addBoth(done)


def _untold(effects: Sequence[Effect]) -> list[Effect]:
    """What is to be done without telling channels."""
    return [effect for effect in effects if not isinstance(effect, ToChannel)]
