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

from sockd.formats.chat.events import MAX_TEXT
from sockd.formats.text import escape

Group = IPv4Address | IPv6Address

_CHANNEL = re.compile(rb"(\S+) (\d{1,9}) ([^\n]+)")
_GROUPED = re.compile(rb"(\S+) (\d{1,9}) ([0-9a-fA-F.:]{1,45})(?: ([^\n]*))?")
_SAID = re.compile(rb"(\S+) (\S+) ([^\n]*)")
_WHISPERED = re.compile(rb"(\S+) ([^\n]*)")
_COMING = re.compile(rb"(\S+) (\S+)")
_USER = re.compile(rb"(\S+) (\d{1,12}) ([^\n]+)")
_PORT = re.compile(rb"\d{1,5}")
_MORE = b"..."
"""Stands for the channels of a user that found no room."""


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
        group = b"" if self.group is None else b" %s" % str(self.group).encode()
        return b"%s %d%s %s" % (self.title, self.count, group, self.description)

    @classmethod
    def read(cls, text: bytes, has_group: bool) -> ChannelText | None:
        """`has_group`: whether the server is one that tells a group. An old server's PART_ACK may
        have the title alone, and then no count."""
        if not has_group:
            if not (found := _CHANNEL.match(text)):
                return cls._title_alone(text)
            return cls(found[1], int(found[2]), found[3])
        if not (found := _GROUPED.match(text)):
            return None
        try:
            group = ip_address(found[3].decode())
        except ValueError:
            return None
        return cls(found[1], int(found[2]), found[4] or b"", group) if group.is_multicast else None

    @classmethod
    def _title_alone(cls, text: bytes) -> ChannelText | None:
        words = text.partition(b"\n")[0].split()
        if not words:
            return None
        count = int(words[1]) if len(words) > 1 and words[1].isdigit() else 0
        return cls(words[0], count, b"")


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


def harmless(text: bytes) -> bytes:
    """What somebody has written, with nothing in it that would end it or act on a terminal.

    A text that is harmless stays as it is; of another, all that is not plain is escaped.
    """
    shown = text.decode("utf-8", "surrogateescape")
    return text if shown.isprintable() else escape(text).encode()


def read_port(text: bytes) -> int | None:
    """SET_MCAST_PORT: where groups are heard; None where it is no port."""
    found = _PORT.match(text)
    port = int(found[0]) if found else 0
    return port if 0 < port < 65_536 else None
