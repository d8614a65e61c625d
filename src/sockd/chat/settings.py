"""What the rooms are told at the start: channels, and how much anybody may have of them."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address

from attrs import frozen

from sockd.chat.legacy import Legacy


@frozen
class ChannelSettings:
    """A channel as the configuration has it."""

    title: str
    description: str
    """Never empty: the tutorial's clients show nothing of a channel that has none."""
    group: IPv4Address | None = None
    group6: IPv6Address | None = None


@frozen(kw_only=True)
class Settings:
    """The limits of the rooms; times in seconds of the clock that tells them the time."""

    channels: Sequence[ChannelSettings]
    heartbeat: IPv4Address | None = None
    heartbeat6: IPv6Address | None = None
    """Where new clients hear that groups reach them."""
    legacy: Legacy = Legacy.ON_LINK
    is_strict: bool = False
    """Whether old clients have to put a number behind their names."""
    max_users: int = 25_000
    """Each costs up to 3 kB."""
    users_per_address: int = 100
    """A host that proves itself may have many, and not all of them."""
    max_nickname: int = 32
    """Characters."""
    max_channels: int = 32
    """Channels that a user is in: each costs a place in its list."""
    quiet_above: int = 200
    """Members above which a channel tells nobody who comes and goes: most of its traffic."""
    patience: float = 120.0
    """Without a sign of life, for who has ever sent STILL_HERE."""
    long_patience: float = 1800.0
    """The same for others: three of the tutorial's four clients never send it."""
    suspect_patience: float = 45.0
    """The same once the network has said that nobody is there; a forger can have it say that, so
    the next sign of life, 30 s behind the last, has to be in time, though it is late or sent again.
    """
    burst: int = 5
    """Events of one user at once."""
    rate: float = 2.0
    """Events of one user a second, after that; STILL_HERE is not counted."""
    held: float = 60.0
    """Since the start, while names that the server had before are kept for their owners."""
    old_sessions: int = 8
    """Old clients at one address."""
    old_bytes: int = 64_000
    """Bytes a second that one address has of what old clients at it are sent."""
