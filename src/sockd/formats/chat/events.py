"""Events of the chat: a code, 16 bits, big-endian, and a text; at most 1024 bytes together.

Codes below 1000 are those of the tutorial's chat, and mean there what they mean here. Codes from
1000 on are ours, and go only to a peer that has said hello (`sockd.formats.chat.hello`).
"""

from __future__ import annotations

from enum import IntEnum
from struct import Struct
from typing import NamedTuple

MAX_EVENT = 1024
"""Bytes of the longest event: the tutorial's programs read no more of one."""
RESERVED = 64
"""Bytes of it that stay free for a trailer."""
_CODE = Struct("!H")
CODE_BYTES = _CODE.size
MAX_TEXT = MAX_EVENT - RESERVED - CODE_BYTES
"""Bytes of the longest text of an event that is sent."""


class Code(IntEnum):
    """What an event means."""

    NOTHING = 0
    """Not an event: whoever looks for servers sends it and takes the ERROR for the answer."""
    ERROR = 10
    LOGIN_REQ = 20
    LOGIN_ACK = 30
    LOGOFF = 40
    JOIN_REQ = 50
    JOIN_ACK = 60
    PART_REQ = 70
    PART_ACK = 80
    SEND_PUBLIC = 90
    PUBLIC_MSG = 100
    SEND_PRIVATE = 120
    PRIVATE_MSG = 130
    USER_JOINS = 140
    USER_PARTS = 150
    LIST_CHANNELS = 160
    CHANNEL_ITEM = 170
    LIST_USERS = 180
    USER_ITEM = 190
    STILL_HERE = 200
    SET_MCAST_PORT = 210
    WELCOME = 1000
    """The answer of a new server to a hello."""
    OPEN = 1010
    """A new client logs in, with the cookie of the answer to its hello."""
    OPENED = 1020
    """It is logged in: its session, and the session's key."""
    ACK = 1030
    """The server has had what the client has numbered so."""
    HEARTBEAT_AT = 1040
    """To a new client that hears groups: another group, and how often something comes there."""
    HEARTBEAT = 1050
    """What comes there: where it stops, groups do not reach that client any more."""
    UNICAST = 1060
    """From such a client: what goes to groups is to be sent to it by itself."""


class Event(NamedTuple):
    """A code, which need not be one of `Code`, and its text."""

    code: int
    text: bytes


def pack(code: int, text: bytes = b"") -> bytes:
    """An event as it is sent. Raises ValueError where it would be too long."""
    if len(text) > MAX_EVENT - CODE_BYTES:
        raise ValueError(f"an event has {MAX_EVENT} bytes, not {len(text) + CODE_BYTES}")
    return _CODE.pack(code) + text


def unpack(data: bytes) -> Event | None:
    """What came; None where it is too short to have a code. It may be longer than what is sent."""
    if len(data) < CODE_BYTES:
        return None
    return Event(int.from_bytes(data[:CODE_BYTES], "big"), data[CODE_BYTES:])
