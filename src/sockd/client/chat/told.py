"""What a conversation wants done: sent, shown, joined. Told in order."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from attrs import frozen

from sockd.formats.chat.texts import Group


@frozen
class Send:
    """An event to the server."""

    data: bytes


@frozen
class Listen:
    """Hear groups at this port from now on."""

    port: int


@frozen
class JoinGroup:
    """Hear this one."""

    group: Group


@frozen
class LeaveGroup:
    """Hear it no more."""

    group: Group


class Level(Enum):
    """How much a notice matters."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@frozen
class Notice:
    """Something about the conversation itself."""

    text: str
    level: Level = Level.INFO


@frozen
class Message:
    """What somebody has said."""

    user: str
    text: str
    channel: str = ""
    """Empty for what was said to us alone."""
    time_ms: int | None = None
    """When the server had it, since 1970; None where it does not tell."""
    is_own: bool = False
    to: str = ""
    """Whom we have said it to alone."""


@frozen
class Presence:
    """Somebody has come to a channel, or gone."""

    channel: str
    user: str
    is_here: bool


@frozen
class Joined:
    """We are in a channel, which is the current one now."""

    channel: str
    count: int
    is_new: bool
    """Whether we were not in it before."""


@frozen
class Parted:
    """We are in a channel no more."""

    channel: str


@frozen
class ChannelRow:
    """A channel of a list."""

    channel: str
    count: int
    description: str


@frozen
class UserRow:
    """A user of a list."""

    user: str
    seconds: int
    channels: Sequence[str]


@frozen
class Lost:
    """Messages of a channel never came."""

    channel: str
    """Empty for what was sent to us alone."""
    count: int


@frozen
class NotSent:
    """What we have said and the server never confirmed."""

    text: str


@frozen
class LoggedIn:
    """We are logged in."""

    nickname: str
    server: str
    """Its name, where it tells it."""
    is_again: bool
    """Whether the server had started anew, or we were away."""
    has_missed: bool = False
    """Whether the server knows nothing of what was before: what was said last may be lost."""


@frozen
class Refused:
    """A log-in was refused: another nickname is needed."""

    why: str


@frozen
class Ended:
    """The conversation is over; a reason where it is not our own wish."""

    why: str = ""


Shown = (
    Notice
    | Message
    | Presence
    | Joined
    | Parted
    | ChannelRow
    | UserRow
    | Lost
    | NotSent
    | LoggedIn
    | Refused
    | Ended
)
Done = Send | Listen | JoinGroup | LeaveGroup | Shown


def shown(data: bytes) -> str:
    """What came, as it may be shown to nobody yet: whoever shows it escapes it."""
    return data.decode("utf-8", "surrogateescape")
