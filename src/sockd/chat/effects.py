"""What is to be done, in order: whom the rooms want to be sent what."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import frozen

from sockd.access.reasons import Reason
from sockd.chat.members import Channel, Place, User


@frozen
class ToPlace:
    """Send an event to who is not logged in."""

    place: Place
    data: bytes


@frozen
class ToUser:
    """Send an event to one user."""

    user: User
    data: bytes


@frozen
class ToChannel:
    """Send an event to all who are in a channel now, each once."""

    channel: Channel
    data: bytes


@frozen
class Entered:
    """From here on a user is sent what goes to the channel."""

    channel: Channel
    user: User


@frozen
class Left:
    """From here on it is not."""

    channel: Channel
    user: User


@frozen
class Listing:
    """Send these one by one, not faster than the user can read; then `Rooms.listed`."""

    user: User
    events: Iterator[bytes]


@frozen
class Arrived:
    """Somebody is logged in."""

    user: User


@frozen
class Moved:
    """A user is somewhere else now: what is sent to it goes there."""

    user: User
    before: Place


@frozen
class Gone:
    """Somebody is not logged in any more, and why."""

    user: User
    reason: Reason


@frozen
class Refused:
    """Somebody was turned away: for those who look after the server."""

    place: Place
    reason: Reason


Effect = ToPlace | ToUser | ToChannel | Entered | Left | Listing | Arrived | Moved | Gone | Refused
