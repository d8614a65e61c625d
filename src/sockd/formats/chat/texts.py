"""What stands in the texts of events: words with one space between them, and a last part of any
words. Each class writes it and reads it, so both ends agree.

Reading takes what an old or hostile peer sends: what does not fit is None. It stops at a newline,
as the tutorial's patterns do: behind one stands a trailer.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address

from attrs import frozen

from sockd.formats.chat.events import MAX_EVENT, MAX_TEXT
from sockd.formats.chat.names import MORE
from sockd.formats.text import escape, readable

Group = IPv4Address | IPv6Address

_CHANNEL = re.compile(rb"(\S+)(?: (\d{1,9})(?!\S))?(?: ([^\n]*))?")
_GROUPED = re.compile(rb"(\S+) (\d{1,9}) ([0-9a-fA-F.:]{1,45})(?!\S)(?: ([^\n]*))?")
_SAID = re.compile(rb"(\S+) (\S+) ([^\n]*)")
_WHISPERED = re.compile(rb"(\S+) ([^\n]*)")
_COMING = re.compile(rb"(\S+) (\S+)")
_USER = re.compile(rb"(\S+) (\d{1,12}) ([^\n]+)")
_HEARTBEATS = re.compile(rb"([0-9a-fA-F.:]{1,45}) (\d{1,4})(?!\S)")
_PORT = re.compile(rb"(\d{1,5})(?!\S)")
_MORE = MORE.encode()


@frozen
class ChannelText:
    """JOIN_ACK, PART_ACK, CHANNEL_ITEM: a channel, how many are in it, what it is about."""

    title: bytes
    count: int
    description: bytes
    group: Group | None = None
    """Where what is said in it goes, by multicast."""

    def write(self) -> bytes:
        """The text."""
        group = b"" if self.group is None else b" " + _written(self.group)
        return b"%s %d%s %s" % (self.title, self.count, group, self.description)

    @classmethod
    def read(cls, text: bytes, has_group: bool) -> ChannelText | None:
        """`has_group`: whether the server is one that tells a group; then what has none is None.
        Without groups an old server's PART_ACK may have the title alone: then the count is 0."""
        if has_group:
            if not (found := _GROUPED.match(text)) or not (group := _group(found[3])):
                return None
            return cls(found[1], int(found[2]), found[4] or b"", group)
        if not (found := _CHANNEL.match(text)):
            return None
        return cls(found[1], int(found[2] or 0), found[3] or b"")


@frozen
class Said:
    """PUBLIC_MSG: what somebody has said in a channel."""

    title: bytes
    user: bytes
    text: bytes

    def write(self) -> bytes:
        """The text."""
        return b"%s %s %s" % (self.title, self.user, self.text)

    @classmethod
    def read(cls, text: bytes) -> Said | None:
        """None where it is none."""
        return cls(*found.groups()) if (found := _SAID.match(text)) else None


@frozen
class Whispered:
    """SEND_PRIVATE: whom a text is for. PRIVATE_MSG: whom it is from."""

    user: bytes
    text: bytes

    def write(self) -> bytes:
        """The text."""
        return b"%s %s" % (self.user, self.text)

    @classmethod
    def read(cls, text: bytes) -> Whispered | None:
        """None where it is none."""
        return cls(*found.groups()) if (found := _WHISPERED.match(text)) else None


@frozen
class Coming:
    """USER_JOINS, USER_PARTS: who has come to a channel, or gone."""

    title: bytes
    user: bytes

    def write(self) -> bytes:
        """The text."""
        return b"%s %s" % (self.title, self.user)

    @classmethod
    def read(cls, text: bytes) -> Coming | None:
        """None where it is none."""
        return cls(*found.groups()) if (found := _COMING.match(text)) else None


@frozen
class UserText:
    """USER_ITEM: a user, the seconds since the log-in, and the channels; the current one first."""

    user: bytes
    seconds: int
    channels: Sequence[bytes]

    def write(self) -> bytes:
        """The text. Where not all channels have room, it ends in "..."."""
        text = b"%s %d" % (self.user, self.seconds)
        room = MAX_TEXT - len(_MORE) - 1
        for number, title in enumerate(self.channels):
            is_last = number == len(self.channels) - 1
            if len(text) + 1 + len(title) > (MAX_TEXT if is_last else room):
                return text + b" " + _MORE
            text += b" " + title
        return text

    @classmethod
    def read(cls, text: bytes) -> UserText | None:
        """None where it is none."""
        if not (found := _USER.match(text)):
            return None
        return cls(found[1], int(found[2]), tuple(found[3].split()))


def harmless(text: bytes, limit: int | None = None) -> bytes:
    """What somebody has written, with nothing in it that would end it or act on a terminal.

    A text that is harmless stays as it is; of another, all that is not plain is escaped, which
    makes at most four bytes of one. Longer than `limit` bytes, it ends in "...", and no character
    and no escape is cut in two.

    Without a limit nothing is cut: whoever sends it on has to look how long it is. Of what is
    longer than any event each byte counts, but dots stand for the rest: it is not sent anyway, and
    to escape all of a long datagram would take longer than others can wait.
    """
    if limit is not None:
        return _cut(text[: limit + 1], limit)
    rest = len(text) - MAX_EVENT
    if rest > 0:
        return harmless(text[:MAX_EVENT]) + b"." * rest
    shown = text.decode("utf-8", "surrogateescape")
    return text if shown.isprintable() else readable(text).encode()


def _cut(text: bytes, limit: int) -> bytes:
    """It is harmless, and no longer. `text` has one byte more than the limit at most."""
    shown = harmless(text)
    if len(shown) <= limit:  # escaping makes nothing shorter: so the text is whole
        return shown
    room, kept = limit - len(_MORE), b""
    for character in text.decode("utf-8", "surrogateescape"):
        piece = character if character.isprintable() else _escaped(character)
        if len(kept) + len(piece.encode()) > room:
            break
        kept += piece.encode()
    return (kept + _MORE)[: max(limit, 0)]


def _escaped(character: str) -> str:
    return escape(character.encode("utf-8", "surrogateescape"))


def _written(group: Group) -> bytes:
    """The zone of an address is an interface of ours, and nobody else's."""
    return str(group).partition("%")[0].encode()


def _group(text: bytes) -> Group | None:
    try:
        group = ip_address(text.decode())
    except ValueError:
        return None
    return group if group.is_multicast else None


def read_port(text: bytes) -> int | None:
    """SET_MCAST_PORT: where groups are heard; None where it is no port."""
    found = _PORT.match(text)
    port = int(found[1]) if found else 0
    return port if 0 < port < 65_536 else None


@frozen
class HeartbeatText:
    """HEARTBEAT_AT: a group, and the seconds between two heartbeats."""

    group: Group
    seconds: int

    def write(self) -> bytes:
        """The text."""
        return b"%s %d" % (_written(self.group), self.seconds)

    @classmethod
    def read(cls, text: bytes) -> HeartbeatText | None:
        """None where it is none."""
        if not (found := _HEARTBEATS.match(text)) or not (group := _group(found[1])):
            return None
        return cls(group, seconds) if (seconds := int(found[2])) else None
