"""What comes out of a conversation: what is to be done, in order."""

from __future__ import annotations

from enum import Enum, auto

from attrs import frozen

from sockd.client.errors import ClientError


class Patience(Enum):
    """How long what is waited for may take."""

    ANY = auto()
    """Nothing is due."""
    ANSWER = auto()
    """As long as an answer."""
    MARK = auto()
    """As long as a server takes to notice an urgent byte."""


@frozen
class Send:
    """Bytes for the server."""

    data: bytes


@frozen
class Urge:
    """An urgent byte for it."""


@frozen
class Wait:
    """From now on, so long: then it is `late`."""

    patience: Patience


@frozen
class Text:
    """A part of what was generated, its lines ended by LF, and else as the server sent it."""

    data: bytes


@frozen
class Outcome:
    """What came of a command."""

    words: int | None = None
    """Unique words, after an upload."""
    refusal: str = ""
    """The server's line, where it does not do it, or not all of it."""
    is_stopped: bool = False
    discarded: int = 0
    """Bytes of a text that came after it was stopped."""


@frozen
class Done:
    """A command has ended; another one may come."""

    outcome: Outcome


@frozen
class Broken:
    """Nothing more can be said to this server."""

    error: ClientError


Effect = Send | Urge | Wait | Text | Done | Broken
