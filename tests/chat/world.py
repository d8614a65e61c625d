"""A chat server without sockets, and people who talk to it: for tests of the rules.

`World` carries out what the desk wants done, in order, as the doors do, but into boxes: each place
has one. Its clock stands until a test moves it. `Old` and `New` are clients of either kind.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from ipaddress import IPv4Address
from typing import Any

from attrs import define, field, frozen

from sockd.access.bans import Bans, make_ban
from sockd.access.prefixes import matches
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
from sockd.chat.rooms import Rooms
from sockd.chat.secret import SECRET_BYTES, Secret
from sockd.chat.settings import ChannelSettings, Settings
from sockd.formats.chat import trailer
from sockd.formats.chat.events import Code, Event, pack, unpack
from sockd.formats.chat.hello import Hello, Welcome
from sockd.formats.chat.names import fold
from sockd.formats.chat.session import Open, Opened
from sockd.formats.chat.texts import Group

UNICAST = Gate("unicast")
MULTICAST = Gate("multicast", 2028)
STREAM = Gate("stream")
GATES = (UNICAST, MULTICAST, STREAM)
TITLES = ("CurrentEvents", "Weather", "Gardening", "Hobbies", "Pets")
CHANNELS = tuple(
    ChannelSettings(title, f"All about {title}", IPv4Address(f"225.1.0.{number}"))
    for number, title in enumerate(TITLES, 1)
)
ETH0 = 2
"""The number of the interface that all come by unless a test says otherwise."""
SECRET = Secret(bytes(range(SECRET_BYTES)))
WALL_MS = 1_700_000_000_000


def settings(**changes: Any) -> Settings:
    """The five channels and the limits that the server has by itself, but for these changes."""
    return Settings(**{"channels": CHANNELS, **changes})


QUICK: Mapping[str, Any] = {
    "burst": 10_000,
    "rate": 10_000.0,
    "old_sessions": 10_000,
    "users_per_address": 10_000,
}
"""For tests of what a user does more than five times."""


@frozen
class Sent:
    """One datagram to a group."""

    gate: Gate
    group: Group
    data: bytes


class World:
    """A server; see above."""

    def __init__(self, settings_: Settings | None = None, **changes: Any) -> None:
        self.settings = settings_ or settings(**changes)
        self.now = 1000.0
        self.epoch = 7
        self.boxes: dict[Place, list[bytes]] = {}
        self.group_sent: list[Sent] = []
        self.refused = 0
        """Datagrams that an address had no budget for."""
        self.gone: list[tuple[bytes, str]] = []
        """Nicknames of those who have gone, and why."""
        self._ports = itertools.count(40_000)
        self.bans = Bans()
        self._begin(frozenset())

    def _begin(self, held: frozenset[bytes]) -> None:
        self.desk = Desk(Rooms(self.settings, SECRET, self.epoch), "here")
        self.desk.threshold.held = set(held)
        self.desk.began = self.now
        self.moderation = Moderation(self.desk, self.bans, "chat")
        self.audience: dict[Channel, dict[User, Place]] = {}
        self.listings: dict[User, Iterator[bytes]] = {}

    @property
    def rooms(self) -> Rooms:
        """The rules."""
        return self.desk.rooms

    def ban(self, prefix: str) -> None:
        """Nobody comes from there, and who is there goes."""
        self.bans.add(self.now, made := make_ban(prefix, self.now, scope="chat"))
        there = self.moderation.those(lambda host: matches((made.prefix,), host))
        self.carry_out(self.moderation.expel(there, self.moment))

    @property
    def moment(self) -> Moment:
        """Now."""
        return Moment(self.now, WALL_MS + int(self.now * 1000))

    def place(
        self, gate: Gate = UNICAST, host: str = "192.0.2.1", port: int | None = None
    ) -> Place:
        """A place that nobody is at, unless a port is given."""
        return Place(gate, host, (host, next(self._ports) if port is None else port))

    def channel(self, title: str) -> Channel:
        """By title."""
        return self.rooms.channels[fold(title.encode())]

    # what happens to the server

    def send(
        self, place: Place, data: bytes, is_on_link: bool = True, interface: int = ETH0
    ) -> None:
        """A datagram comes."""
        self.carry_out(self.desk.received(place, data, self.moment, is_on_link, interface))

    def pass_(self, seconds: float) -> None:
        """Time passes, and then the timer fires."""
        self.now += seconds
        self.carry_out(self.desk.tick(self.moment))

    def disconnect(self, place: Place) -> None:
        """A connection ends."""
        self.carry_out(self.desk.left(place, self.moment))

    def apply(self, settings_: Settings) -> None:
        """The configuration has changed."""
        self.settings = settings_
        self.carry_out(self.desk.apply(settings_, self.moment))

    def restart(self) -> None:
        """The server is killed and started: it knows its secret, and names that can come back."""
        names = frozenset(self.desk.names)
        self.epoch += 1
        self._begin(names)

    def list_on(self) -> None:
        """All lists that are on their way arrive."""
        for user, events in tuple(self.listings.items()):
            for data in events:
                self._send(user, data)
            del self.listings[user]
            self.rooms.listed(user)

    # what it does

    def carry_out(self, effects: Sequence[Effect]) -> None:
        """Do what is to be done, in order."""
        for effect in effects:
            match effect:
                case ToPlace(place, data):
                    self._put(place, data)
                case ToUser(user, data):
                    assert self.rooms.at.get(user.place) is user or user.nickname in self._going(
                        effects
                    )
                    self._send(user, data)
                case ToChannel(channel, data):
                    self._broadcast(channel, data)
                case Entered(channel, user):
                    self.audience.setdefault(channel, {})[user] = user.place
                case Left(channel, user):
                    del self.audience[channel][user]
                case Moved(user, before):
                    for here in self.audience.values():
                        if user in here:
                            assert here[user] == before
                            here[user] = user.place
                case Listing(user, events):
                    assert user not in self.listings
                    self.listings[user] = events
                case Arrived(user):
                    assert not any(user in here for here in self.audience.values())
                case Gone(user, reason):
                    assert not any(user in here for here in self.audience.values())
                    self.listings.pop(user, None)
                    self.gone.append((user.nickname, str(reason)))

    def _going(self, effects: Sequence[Effect]) -> set[bytes]:
        return {effect.user.nickname for effect in effects if isinstance(effect, Gone)}

    def _broadcast(self, channel: Channel, data: bytes) -> None:
        here = self.audience.get(channel, {})
        for gate in dict.fromkeys(place.gate for place in here.values()):
            if (group := gate.group(channel.settings)) is not None:
                self.group_sent.append(Sent(gate, group, data))
        for user, place in here.items():
            if place.gate.group(channel.settings) is not None:
                self._put(place, data)  # it hears the group
            else:
                self._send(user, data)

    def _send(self, user: User, data: bytes) -> None:
        if self.desk.may_send(user, len(data), self.now):
            self._put(user.place, data)
        else:
            self.refused += 1

    def _put(self, place: Place, data: bytes) -> None:
        assert len(data) <= 1024
        self.boxes.setdefault(place, []).append(data)

    def take(self, place: Place) -> list[bytes]:
        """What has come to a place since it was last asked."""
        return self.boxes.pop(place, [])


def plain(data: bytes) -> Event:
    """An event as a program of the tutorial reads it: its patterns stop at a newline."""
    event = unpack(data)
    assert event is not None
    return Event(event.code, event.text.partition(b"\n")[0])


@define(eq=False)
class Old:
    """A client as the tutorial has it: what it sends is an event and nothing else."""

    world: World
    name: bytes
    place: Place
    interface: int = ETH0

    def send(self, code: int, text: bytes = b"") -> None:
        """Send an event."""
        self.world.send(self.place, pack(code, text), interface=self.interface)

    def ask(self, code: int, text: bytes = b"") -> list[Event]:
        """Send an event and see what comes."""
        self.send(code, text)
        return self.heard()

    def heard(self) -> list[Event]:
        """What has come since it was last asked."""
        return [plain(data) for data in self.world.take(self.place)]

    def log_in(self) -> list[Event]:
        """Log in."""
        return self.ask(Code.LOGIN_REQ, self.name)

    def log_off(self) -> None:
        """Log off."""
        self.send(Code.LOGOFF, self.name)


@define(eq=False)
class New:
    """A client of ours: it says hello, signs what it sends and checks what it hears."""

    world: World
    name: bytes
    place: Place
    session: bytes = b""
    key: bytes = b""
    number: int = 0
    keys: dict[bytes, bytes] = field(factory=dict)
    """Of channels, by title."""
    hellos: int = 0

    def hello(self, nonce: bytes = b"12345678") -> Welcome:
        """Say hello; the answer."""
        self.world.take(self.place)
        self.world.send(self.place, Hello(nonce).write())
        [data] = self.world.take(self.place)
        welcome = Welcome.read(plain(data).text)
        assert welcome is not None
        assert welcome.nonce == nonce
        return welcome

    def open(self) -> bytes:
        """What it logs in with: signed where it has a session."""
        self.hellos += 1
        nonce = b"%08d" % self.hellos
        event = Open(self.name, self.hello(nonce).cookie, nonce).write()
        return self.signed(event) if self.session else event

    def log_in(self) -> list[Event]:
        """Log in, or take up the session that it had."""
        self.world.send(self.place, self.open())
        heard = self.heard()
        if heard and heard[0].code == Code.OPENED:
            opened = Opened.read(heard[0].text)
            assert opened is not None
            self.session, self.key = opened.session, opened.key or self.key
        return heard

    def signed(self, event: bytes) -> bytes:
        """The event as it sends it next."""
        self.number += 1
        return trailer.sign(event, self.session, self.number, self.key)

    def send(self, code: int, text: bytes = b"") -> bytes:
        """Send an event; what was sent."""
        data = self.signed(pack(code, text))
        self.world.send(self.place, data)
        return data

    def ask(self, code: int, text: bytes = b"") -> list[Event]:
        """Send an event and see what comes."""
        self.send(code, text)
        return self.heard()

    def heard(self) -> list[Event]:
        """What has come since it was last asked; what is signed is checked."""
        return [self._check(data) for data in self.world.take(self.place)]

    def stamps(self) -> list[tuple[Event, trailer.Stamp]]:
        """The same, with the trailers of those that have one."""
        datas = self.world.take(self.place)
        found = [(self._check(data), trailer.stamped(data)) for data in datas]
        return [(event, stamped[1]) for event, stamped in found if stamped]

    def _check(self, data: bytes) -> Event:
        event, found = plain(data), trailer.stamped(data)
        if found is None:
            return event
        title = event.text.split()[0] if event.text else b""
        if event.code in (Code.PUBLIC_MSG, Code.USER_JOINS, Code.USER_PARTS):
            assert trailer.is_genuine(data, self.keys[title])
        elif self.key:
            assert trailer.is_genuine(data, self.key)
        if found[1].key:
            self.keys[title] = found[1].key
        return event

    def log_off(self) -> None:
        """Log off."""
        self.send(Code.LOGOFF, self.name)


Client = Old | New
Maker = Callable[[World, str], Client]


def old(world: World, name: str, gate: Gate = UNICAST, host: str = "192.0.2.1") -> Old:
    """Somebody with a program of the tutorial, logged in."""
    client = Old(world, name.encode(), world.place(gate, host))
    assert client.log_in()[0] == (Code.LOGIN_ACK, client.name)
    return client


def new(world: World, name: str, gate: Gate = UNICAST, host: str = "192.0.2.1") -> New:
    """Somebody with our program, logged in."""
    client = New(world, name.encode(), world.place(gate, host))
    assert client.log_in()[0].code == Code.OPENED
    return client


def joined(client: Client, title: str) -> Client:
    """The same client, in a channel, having heard what there was to hear."""
    assert client.ask(Code.JOIN_REQ, title.encode())[-1].code == Code.JOIN_ACK
    return client


def hush(*clients: Client) -> None:
    """What has come to them is of no interest."""
    for client in clients:
        client.heard()
