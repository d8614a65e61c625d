"""What strangers are told, and what servers say to each other never."""

from __future__ import annotations

from sockd.formats.chat.events import Code

PLEASE_LOG_IN = b"please log in"
HELLO_FIRST = b"say hello first"
BANNED = b"your address is banned"
TAKEN = b"that nickname is taken"
HELD = b"that nickname is kept for its owner"
"""For a minute after a start."""
FULL = b"the server is full"
CROWDED = b"your address has enough users"
NEWER = b"this server needs a newer client"
OFF_LINK = b"not on this link: use a newer client"
ANSWERS = frozenset(
    {
        Code.ERROR,
        Code.LOGIN_ACK,
        Code.JOIN_ACK,
        Code.PART_ACK,
        Code.PUBLIC_MSG,
        Code.PRIVATE_MSG,
        Code.USER_JOINS,
        Code.USER_PARTS,
        Code.CHANNEL_ITEM,
        Code.USER_ITEM,
        Code.SET_MCAST_PORT,
        Code.WELCOME,
        Code.OPENED,
        Code.ACK,
        Code.HEARTBEAT_AT,
        Code.HEARTBEAT,
    }
)
"""What servers send. One that answered it could be made to talk with another for ever."""
