"""A network in memory: a server's rooms and clients' conversations, and between them a wire that
loses, doubles and reorders by a seed, under a clock that only events move."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from heapq import heappop, heappush
from ipaddress import IPv4Address
from itertools import count
from typing import Any, TypeVar

from attrs import define, field

from sockd.chat import heartbeat
from sockd.chat.desk import Desk
from sockd.chat.effects import Effect, Entered, Gone, Left, Listing, ToChannel, ToPlace, ToUser
from sockd.chat.members import Channel, Gate, Moment, Place, User
from sockd.chat.moderation import Moderation
from sockd.chat.rooms import Rooms
from sockd.chat.secret import Secret
from sockd.chat.settings import ChannelSettings, Settings
from sockd.client.chat.conversation import Conversation, Phase
from sockd.client.chat.told import (
    Done,
    Joined,
    JoinGroup,
    LeaveGroup,
    Listen,
    LoggedIn,
    Lost,
    Message,
    NotSent,
    Send,
)
from sockd.formats.chat.events import Code
from sockd.formats.chat.texts import Group, Said
from sockd.formats.chat.trailer import SERVER_BYTES
from tests.client.chat.old import OldServer

Kind = TypeVar("Kind")
HEARTBEATS = IPv4Address("225.1.0.4")
TITLES = ("Weather", "Pets", "Gardening")


@define
class Wire:
    """What happens to datagrams on their way, as shares of them."""

    loss: float = 0.0
    doubles: float = 0.0
    late: float = 0.0
    delay: float = 0.02
    """Seconds at most, of those that are not late."""
    lateness: float = 0.3

    def fates(self, chance: random.Random) -> list[float]:
        """The delay of each copy that arrives."""
        copies = 2 if chance.random() < self.doubles else 1
        return [
            chance.random() * self.delay
            + (chance.random() * self.lateness if chance.random() < self.late else 0)
            for _ in range(copies)
            if chance.random() >= self.loss
        ]


BAD = Wire(loss=0.05, doubles=0.02, late=0.10)
"""What a conversation has to bear."""


@define(eq=False)
class Client:
    """One user, and all that was shown."""

    conversation: Conversation
    place: Place
    shown: list[Done] = field(factory=list)
    groups: set[Group] = field(factory=set)
    """Those that it hears, once it is told a port."""
    port: int | None = None
    begins: dict[str, int] = field(factory=dict)
    """How many messages had been said anywhere when it came into a channel, by title."""

    def of(self, kind: type[Kind]) -> list[Kind]:
        """What was shown of a kind."""
        return [one for one in self.shown if isinstance(one, kind)]

    def texts(self) -> list[str]:
        """What was said, as it was shown."""
        return [one.text for one in self.of(Message)]

    def not_sent(self) -> set[str]:
        """What was told as not sent."""
        return {one.text for one in self.of(NotSent)}

    def lost(self, channel: str) -> int:
        """How many messages and notices of a channel were told as lost."""
        return sum(one.count for one in self.of(Lost) if one.channel == channel)

    @property
    def has_missed(self) -> bool:
        """Whether it has met a server that had started anew."""
        return any(one.has_missed for one in self.of(LoggedIn))

    @property
    def phase(self) -> Phase:
        """Where it stands."""
        return self.conversation.phase


class Network:
    """A server and its clients."""

    def __init__(
        self,
        seed: int,
        wire: Wire | None = None,
        group_port: int | None = None,
        old: OldServer | None = None,
    ) -> None:
        """`old`: it is one as the tutorial has it."""
        self.chance = random.Random(seed)
        self.wire = wire or Wire()
        self.now = 1000.0
        self.old = old
        self.gate = Gate("udp", group_port)
        self.clients: dict[str, Client] = {}
        self.groups_work = True
        self.is_mute = False
        """Whether nothing goes to channels, by whatever way."""
        self.loses: Counter[int] = Counter()
        """How many of those that the server sends next to one client are lost, by code."""
        self.is_up = True
        self.to_server: Counter[int] = Counter()
        """Datagrams that were sent to the server, by code."""
        self.opened: list[float] = []
        """When somebody asked to be let in."""
        self.spoken: list[tuple[int, str, str]] = []
        """What the server has handed on in channels: the epoch, the channel, the text."""
        self.gone: list[str] = []
        """Whom it has logged off."""
        self._secret = Secret(b"s" * 32)
        self._epoch = 0
        self._order = count()
        self._events: list[tuple[float, int, Callable[..., None], Sequence[object]]] = []
        self._here: dict[Channel, dict[User, None]] = {}
        self.boot()
        self._tick_server()

    # the server

    def boot(self, *, keeps_secret: bool = True) -> None:
        """Start it, as one that knows nobody."""
        if self.old is not None:
            self.old.forget()
        desk: Desk | None = getattr(self, "desk", None)
        held = set(desk.names) if desk is not None and keeps_secret else set()
        self._epoch += 1
        if not keeps_secret:
            self._secret = Secret(self.chance.randbytes(32))
        channels = [
            ChannelSettings(title, "talk", IPv4Address(f"225.1.0.{number}"))
            for number, title in enumerate(TITLES, 1)
        ]
        rooms = Rooms(Settings(channels=channels, heartbeat=HEARTBEATS), self._secret, self._epoch)
        self.desk = Desk(rooms, "server")
        self.desk.threshold.held, self.desk.began = held, self.now
        self._here = {}
        self.is_up = True

    def kick(self, nickname: str) -> None:
        """Log somebody off."""
        self._carry_out(Moderation(self.desk).kick(nickname, self.moment, "be gone"))

    @property
    def moment(self) -> Moment:
        """Now."""
        return Moment(self.now, int(self.now * 1000))

    def members(self, title: str) -> set[str]:
        """Who is in a channel, as the server has it."""
        if self.old is not None:
            return self.old.members(title)
        channel = self.desk.rooms.channels[title.casefold().encode()]
        return {user.nickname.decode() for user in channel.members}

    def _serve(self, place: Any, data: bytes) -> None:
        if not self.is_up:
            return
        if int.from_bytes(data[:2], "big") == Code.OPEN:
            self.opened.append(self.now)
        if self.old is None:
            self._carry_out(self.desk.received(place, data, self.moment))
            return
        sent = self.old.received(place, data, self.now)
        for data in dict.fromkeys(data for _, data in sent):  # one to all in a channel is one
            self._note(data)
        for to, data in sent:
            self._send(self._hear, to, data)

    def _tick_server(self) -> None:
        if self.old is not None:
            self.gone += [name.decode() for name in self.old.tick(self.now)]
        elif self.is_up:
            self._carry_out(self.desk.tick(self.moment))
            if int(self.now) % heartbeat.SECONDS == 0:
                self._send_to_group(HEARTBEATS, self.desk.rooms.heartbeat.beat(self.moment))
        self._at(self.now + 1.0, self._tick_server)

    def _carry_out(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            match effect:
                case ToPlace(place, data):
                    self._tell(place, data)
                case ToUser(user, data):
                    self._tell(user.place, data)
                case Gone(user):
                    self.gone.append(user.nickname.decode())
                case ToChannel(_, data) if self.is_mute:
                    pass
                case ToChannel(channel, data):
                    self._note(data)
                    self._send_to_group(self.gate.group(channel.settings), data)
                    for user in self._here.get(channel, ()):
                        if self.gate.group_port is None or user.by_unicast:
                            self._send(self._hear, user.place, data)
                case Entered(channel, user):
                    self._here.setdefault(channel, {})[user] = None
                case Left(channel, user):
                    self._here[channel].pop(user, None)
                case Listing(user, events):
                    for data in events:
                        self._send(self._hear, user.place, data)
                    self.desk.rooms.listed(user)

    def _tell(self, place: Place, data: bytes) -> None:
        code = int.from_bytes(data[:2], "big")
        if self.loses[code]:
            self.loses[code] -= 1
        else:
            self._send(self._hear, place, data)

    def _send_to_group(self, group: Group | None, data: bytes) -> None:
        for client in self.clients.values():
            if self.groups_work and group in client.groups and client.port is not None:
                self._send(self._hear_group, client.place, data)

    @property
    def epoch(self) -> int:
        """How often it was started."""
        return self._epoch

    def _note(self, data: bytes) -> None:
        said = Said.read(data[2:] if self.old is not None else data[2:-SERVER_BYTES])
        if int.from_bytes(data[:2], "big") == Code.PUBLIC_MSG and said is not None:
            self.spoken.append((self._epoch, said.title.decode(), said.text.decode()))

    # the clients

    def join(self, nickname: str, *titles: str, family: int | None = None) -> Client:
        """One more client, which begins to log in and wants to be in channels."""
        place = Place(self.gate, "10.0.0.1", len(self.clients))
        talk = Conversation(nickname, self.chance.randbytes, self.chance.random)
        client = self.clients[nickname] = Client(talk, place)
        self.do(client, talk.start(self.now, family))
        for title in titles:
            self.do(client, talk.join(title, self.now))
        return client

    def do(self, client: Client, dones: Sequence[Done]) -> None:
        """Carry out what a conversation wants done."""
        for done in dones:
            if isinstance(done, Send):
                self.to_server[int.from_bytes(done.data[:2], "big")] += 1
                self._send(self._serve, client.place, done.data)
                continue
            match done:
                case Listen(port):
                    client.port = port
                case JoinGroup(group):
                    assert group not in client.groups
                    client.groups.add(group)
                case LeaveGroup(group):
                    client.groups.remove(group)
                case Joined(channel, _, True):
                    client.begins[channel] = len(self.spoken)
            client.shown.append(done)
        if (at := client.conversation.next_at) is not None:
            self._at(max(at, self.now + 0.001), self._tick_client, client)

    def say(self, client: Client, text: str) -> None:
        """Something for the current channel."""
        self.do(client, client.conversation.say(text, self.now))

    def hear(self, client: Client, data: bytes) -> None:
        """Something comes to a client at once, from wherever."""
        self.do(client, client.conversation.received(data, self.now))

    def _hear(self, place: Any, data: bytes) -> None:
        for client in self.clients.values():
            if client.place == place:
                self.hear(client, data)

    def _hear_group(self, place: Any, data: bytes) -> None:
        for client in self.clients.values():
            if client.place == place:
                talk = client.conversation
                self.do(client, talk.heard(data, self.now, is_servers=True))

    def _tick_client(self, client: Client) -> None:
        at = client.conversation.next_at
        if at is not None and self.now >= at:
            self.do(client, client.conversation.tick(self.now))

    # time

    def run(self, seconds: float) -> None:
        """Let time pass."""
        until = self.now + seconds
        while self._events and self._events[0][0] <= until:
            at, _, what, arguments = heappop(self._events)
            self.now = max(self.now, at)
            what(*arguments)
        self.now = until

    def _send(self, what: Callable[[Any, bytes], None], place: Hashable, data: bytes) -> None:
        for delay in self.wire.fates(self.chance):
            self._at(self.now + delay, what, place, data)

    def _at(self, when: float, what: Callable[..., None], *arguments: object) -> None:
        heappush(self._events, (when, next(self._order), what, arguments))


def two(group_port: int | None = None) -> tuple[Network, Client, Client]:
    """Two who are in a channel."""
    network = Network(1, group_port=group_port)
    anna, bert = network.join("anna", "weather"), network.join("bert", "weather")
    network.run(2.0)
    return network, anna, bert
