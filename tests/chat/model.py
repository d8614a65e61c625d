"""A model of the chat that is plain: who is here, who is in which channel, who hears what."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from attrs import define, field
from hypothesis.stateful import RuleBasedStateMachine

from sockd.formats.chat.events import Code
from tests.chat.world import (
    CHANNELS,
    MULTICAST,
    QUICK,
    STREAM,
    UNICAST,
    Client,
    New,
    Old,
    World,
)

KINDS: list[tuple[type[Old] | type[New], bytes, object]] = [
    (Old, b"ada", UNICAST),
    (New, b"Ada", STREAM),
    (New, b"ada", MULTICAST),
    (New, b"bob", UNICAST),
    (Old, b"BOB", MULTICAST),
    (Old, b"cyd", STREAM),
    (New, b"cyd", MULTICAST),
    (New, b"dan", UNICAST),
]
TITLES = [one.title for one in CHANNELS[:3]]
PATIENCE, LONG_PATIENCE = 120.0, 1800.0
INFINITY = float("inf")
Heard = tuple[int, bytes]


@define(eq=False)
class Person:
    """What the model knows of a client."""

    client: Client
    is_here: bool = False
    heard: float = 0.0
    suspect: float = INFINITY
    """Since when the network says that nobody is there."""
    has_signs: bool = False
    quiet_until: float = 0.0
    channels: list[str] = field(factory=list)
    """The current one first."""
    sent: list[tuple[bytes, list[Heard]]] = field(factory=list)
    """What it has sent, signed, and what it is told where that comes again."""
    first: int = 0
    """The number with which it came: what is before that may have been done already."""
    late: list[tuple[int, bytes]] = field(factory=list)
    """What it has said that is still on its way, with its number."""

    @property
    def is_new(self) -> bool:
        return isinstance(self.client, New)

    @property
    def folded(self) -> bytes:
        return self.client.name.lower()


class Model(RuleBasedStateMachine):
    """The world, and what is to be heard in it."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(**QUICK, old_bytes=10**9, max_channels=2)
        self.people = [
            Person(kind(self.world, name, self.world.place(gate)))  # type: ignore[arg-type]
            for kind, name, gate in KINDS
        ]
        self.held: set[bytes] = set()
        self.began = self.world.now
        self.expected: dict[Person, list[Heard]] = {}

    # the model

    def someone(self, number: int) -> Person:
        """Who does something."""
        here = [one for one in self.people if one.is_here]
        return here[number % len(here)] if here and number < 8 else self.people[number % 8]

    def alive(self, person: Person) -> None:
        """Something came from somebody."""
        person.heard, person.suspect = self.world.now, INFINITY

    def named(self, folded: bytes) -> Person | None:
        """Who has a nickname."""
        here = [one for one in self.people if one.is_here and one.folded == folded]
        return here[0] if here else None

    def members(self, title: str) -> list[Person]:
        """Who is in a channel."""
        return [one for one in self.people if title in one.channels]

    def tell(self, person: Person, code: int, text: bytes = b"") -> None:
        """Somebody is going to hear something."""
        self.expected.setdefault(person, []).append((code, text))

    def tell_all(self, title: str, code: int, *words: bytes) -> None:
        """So are all in a channel."""
        for person in self.members(title):
            self.tell(person, code, b" ".join([title.encode(), *words]))

    def tell_channel(self, person: Person, code: int, title: str) -> None:
        """Somebody is going to hear of a channel."""
        group = b""
        if person.client.place.gate is MULTICAST:
            group = b" 225.1.0.%d" % (TITLES.index(title) + 1)
        about = (title.encode(), len(self.members(title)), group, title.encode())
        self.tell(person, code, b"%s %d%s All about %s" % about)

    def forget(self, person: Person) -> None:
        """Somebody goes; those who remain hear of it."""
        titles, person.channels, person.is_here = person.channels, [], False
        for title in titles:
            self.tell_all(title, Code.USER_PARTS, person.client.name)

    def asks(
        self, person: Person, code: int, text: bytes, then: Callable[[], bytes | None]
    ) -> None:
        """Somebody sends an event. `then`: what it does in the model, and the error, if any."""
        client = person.client
        if not person.is_here:
            if isinstance(client, Old) or client.session:
                if isinstance(client, New) or code != Code.LOGOFF:  # a log-in may come behind it
                    self.tell(person, Code.ERROR, b"please log in")
                client.send(code, text)
            return
        self.alive(person)
        if why := then():
            self.tell(person, Code.ERROR, why)
        data = client.send(code, text)
        if data is not None:
            person.sent.append((data, [(Code.ERROR, why)] if why else [(Code.ACK, b"")]))

    def acknowledge(self, person: Person) -> None:
        """A new client hears that what it has sent has come."""
        if person.is_new:
            self.tell(person, Code.ACK)

    def settle(self, is_ordered: bool = True) -> None:
        """What was heard is what was expected, by everybody."""
        for number, person in enumerate(self.people):
            got = [(event.code, event.text) for event in person.client.heard()]
            got = [(code, b"" if code == Code.OPENED else text) for code, text in got]
            wanted = self.expected.get(person, [])
            if not is_ordered:
                got.sort(), wanted.sort()
            assert got == wanted, (number, got, wanted)
        assert self.world.boxes == {}
        sent = self.world.group_sent
        assert not any(one == other for one, other in pairwise(sent))
        sent.clear()
        self.expected = {}
