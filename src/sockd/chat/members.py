"""Users and channels: who is in which, and what of it goes over the wire."""

from __future__ import annotations

from collections.abc import Hashable
from enum import IntEnum
from typing import NamedTuple

from attrs import define, field, frozen

from sockd.chat.settings import ChannelSettings
from sockd.formats.chat.events import Code, pack
from sockd.formats.chat.names import fold
from sockd.formats.chat.texts import ChannelText, Group
from sockd.formats.chat.trailer import Stamp, stamp
from sockd.formats.chat.window import WINDOW, Window


class Patience(IntEnum):
    """How long a user may be silent."""

    LONG = 0
    """One that never sent a sign of life for its own sake."""
    SHORT = 1
    """One that has."""
    SUSPECT = 2
    """One whose address the network says nobody is at."""


class Moment(NamedTuple):
    """Now: seconds of a clock that only goes forward, and milliseconds since 1970."""

    seconds: float
    wall_ms: int


@frozen(eq=False)
class Gate:
    """A way in: what is different for who comes by it."""

    name: str
    group_port: int | None = None
    """Where groups are heard; None where each member is sent its own."""
    version: int = 4
    """Of the groups' addresses."""

    def group(self, channel: ChannelSettings) -> Group | None:
        """The group of a channel, for who comes by this gate."""
        if self.group_port is None:
            return None
        return channel.group if self.version == 4 else channel.group6


class Place(NamedTuple):
    """Where a peer is."""

    gate: Gate
    host: str
    """What rules name; empty for a Unix socket."""
    address: Hashable
    """What the gate sends to."""

    @property
    def name(self) -> str:
        """Tells it from every other place."""
        return f"{self.gate.name} {self.address}"


@define(eq=False)
class Session:
    """What a new client has."""

    id: bytes
    key: bytes
    label: int
    window: Window = field(factory=Window)
    sent: int = 0
    """The number of the last event that was sent to it alone."""
    first: int = 0
    """Of what came before this number it is not known whether it was done: before a start."""
    refused: dict[int, bytes] = field(factory=dict)
    """Why what came with these numbers was not done: it is told again to who asks again."""

    def refuse(self, number: int, why: bytes) -> None:
        """What came with this number is not done. What the window has left is forgotten."""
        if number:
            self.refused[number] = why
            while (oldest := next(iter(self.refused))) <= number - WINDOW:
                del self.refused[oldest]


@define(eq=False)
class User:
    """Somebody who is logged in."""

    nickname: bytes
    place: Place
    since: float
    heard: float
    """Since when it is silent, as far as its patience goes: when anything came from it last, or
    when it became suspect."""
    session: Session | None = None
    patience: Patience = Patience.LONG
    has_signs: bool = False
    """It has sent STILL_HERE, so it will again."""
    channels: list[Channel] = field(factory=list)
    """Those that it is in, the current one first."""
    is_on_link: bool = True
    interface: int = 0
    """The number of the interface that an old client has logged in by: it is bound to it."""
    typed: bytes = b""
    """What an old client has logged in as, with the number that was asked: it logs off so."""
    guesses: int = 0
    """Wrong numbers that came in the name of an old client."""
    by_unicast: bool = False
    """Whether groups do not reach it: it is sent its own, whatever its gate."""
    is_listing: bool = False
    """A list is on its way to it."""
    quiet_until: float = 0.0
    """It resumes: until then nobody is told that it comes back."""
    tokens: float = 0.0
    """Events that it may send now."""
    tokens_at: float = 0.0

    @property
    def label(self) -> int:
        """Stands for it in trailers; 0 for an old client."""
        return self.session.label if self.session else 0


@define(eq=False)
class Channel:
    """A channel and who is in it."""

    settings: ChannelSettings
    key: bytes
    epoch: int
    members: dict[User, None] = field(factory=dict)
    sequence: int = 0
    is_closed: bool = False
    """Nobody new may come in."""
    title: bytes = field(init=False)
    folded: bytes = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.use(self.settings)

    def use(self, settings: ChannelSettings) -> None:
        """Have other settings, with a title that is the same but for case."""
        self.settings = settings
        self.title = settings.title.encode()
        self.folded = fold(self.title)

    def text(self, gate: Gate) -> bytes:
        """The text of JOIN_ACK, PART_ACK and CHANNEL_ITEM for who came by this gate."""
        description = self.settings.description.encode()
        group = gate.group(self.settings)
        return ChannelText(self.title, len(self.members), description, group).write()

    def stamped(self, code: Code, text: bytes, moment: Moment, by: User, number: int = 0) -> bytes:
        """An event for all in it. It is the next of the channel."""
        self.sequence += 1
        facts = Stamp(self.epoch, self.sequence, moment.wall_ms, by.label, number)
        return stamp(pack(code, text), facts, self.key)
