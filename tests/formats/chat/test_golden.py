"""Every event in both directions, byte for byte, as old and as new peers have it."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address
from typing import Any

import pytest

from sockd.formats.chat.events import Code, pack, unpack
from sockd.formats.chat.hello import Hello, Welcome
from sockd.formats.chat.session import Open, Opened
from sockd.formats.chat.texts import (
    ChannelText,
    Coming,
    HeartbeatText,
    Said,
    UserText,
    Whispered,
    read_port,
)
from sockd.formats.chat.trailer import Stamp, is_genuine, sign, signed, stamp, stamped

Read = Callable[[bytes], Any]
Row = tuple[Code, Any, str, Read, Any]
"""An event, what is written, the bytes, what reads it, and what is found."""


def nothing(text: bytes) -> bytes:
    """The text is all that there is to know."""
    return text


def unicast(text: bytes) -> ChannelText | None:
    """A channel of a server without groups."""
    return ChannelText.read(text, has_group=False)


def multicast(text: bytes) -> ChannelText | None:
    """A channel of a server that tells groups."""
    return ChannelText.read(text, has_group=True)


WEATHER = ChannelText(b"Weather", 2, b"Rain and sun")
IN_GROUP = ChannelText(b"Weather", 2, b"Rain and sun", IPv4Address("225.1.0.2"))
IN_GROUP6 = ChannelText(b"Weather", 2, b"Rain and sun", IPv6Address("ff12::5:2"))

FROM_CLIENTS: list[Row] = [
    (Code.NOTHING, b"", "0000", nothing, b""),
    (Code.LOGIN_REQ, b"rufus", "0014 7275667573", nothing, b"rufus"),
    (Code.LOGOFF, b"rufus", "0028 7275667573", nothing, b"rufus"),
    (Code.JOIN_REQ, b"Weather", "0032 57656174686572", nothing, b"Weather"),
    (Code.PART_REQ, b"Weather", "0046 57656174686572", nothing, b"Weather"),
    (Code.PART_REQ, b"", "0046", nothing, b""),
    (Code.SEND_PUBLIC, b"hello", "005a 68656c6c6f", nothing, b"hello"),
    (
        Code.SEND_PRIVATE,
        Whispered(b"ada", b"hello"),
        "0078 616461 20 68656c6c6f",
        Whispered.read,
        Whispered(b"ada", b"hello"),
    ),
    (Code.LIST_CHANNELS, b"", "00a0", nothing, b""),
    (Code.LIST_USERS, b"", "00b4", nothing, b""),
    (Code.STILL_HERE, b"", "00c8", nothing, b""),
    (Code.UNICAST, b"", "0424", nothing, b""),
]
_2_RAIN = "20 32 20 5261696e20616e642073756e"
_2_GROUP = "20 32 20 3232352e312e302e32 20 5261696e20616e642073756e"
_2_GROUP6 = "20 32 20 666631323a3a353a32 20 5261696e20616e642073756e"
SAID = Said(b"Weather", b"rufus", b"hello")
WHISPERED = Whispered(b"rufus", b"hello")
COMING = Coming(b"Weather", b"rufus")
HEARTBEATS = HeartbeatText(IPv4Address("225.1.0.6"), 10)
HEARTBEATS6 = HeartbeatText(IPv6Address("ff12::5:6"), 9999)
RUFUS = UserText(b"rufus", 61, (b"Weather", b"Pets"))
FROM_SERVERS: list[Row] = [
    (Code.ERROR, b"please log in", "000a 706c65617365206c6f6720696e", nothing, b"please log in"),
    (Code.LOGIN_ACK, b"rufus", "001e 7275667573", nothing, b"rufus"),
    (Code.JOIN_ACK, WEATHER, f"003c 57656174686572 {_2_RAIN}", unicast, WEATHER),
    (Code.JOIN_ACK, IN_GROUP, f"003c 57656174686572 {_2_GROUP}", multicast, IN_GROUP),
    (Code.JOIN_ACK, IN_GROUP6, f"003c 57656174686572 {_2_GROUP6}", multicast, IN_GROUP6),
    (Code.PART_ACK, WEATHER, f"0050 57656174686572 {_2_RAIN}", unicast, WEATHER),
    (Code.PART_ACK, IN_GROUP, f"0050 57656174686572 {_2_GROUP}", multicast, IN_GROUP),
    (Code.PART_ACK, b"Weather", "0050 57656174686572", unicast, ChannelText(b"Weather", 0, b"")),
    (Code.PUBLIC_MSG, SAID, "0064 57656174686572 20 7275667573 20 68656c6c6f", Said.read, SAID),
    (Code.PRIVATE_MSG, WHISPERED, "0082 7275667573 20 68656c6c6f", Whispered.read, WHISPERED),
    (Code.USER_JOINS, COMING, "008c 57656174686572 20 7275667573", Coming.read, COMING),
    (Code.USER_PARTS, COMING, "0096 57656174686572 20 7275667573", Coming.read, COMING),
    (Code.CHANNEL_ITEM, WEATHER, f"00aa 57656174686572 {_2_RAIN}", unicast, WEATHER),
    (Code.CHANNEL_ITEM, IN_GROUP, f"00aa 57656174686572 {_2_GROUP}", multicast, IN_GROUP),
    (
        Code.USER_ITEM,
        RUFUS,
        "00be 7275667573 20 3631 20 57656174686572 20 50657473",
        UserText.read,
        RUFUS,
    ),
    (Code.SET_MCAST_PORT, b"2028", "00d2 32303238", read_port, 2028),
    (Code.ACK, b"", "0406", nothing, b""),
    (
        Code.HEARTBEAT_AT,
        HEARTBEATS,
        "0410 3232352e312e302e36 20 3130",
        HeartbeatText.read,
        HEARTBEATS,
    ),
    (
        Code.HEARTBEAT_AT,
        HEARTBEATS6,
        "0410 666631323a3a353a36 20 39393939",
        HeartbeatText.read,
        HEARTBEATS6,
    ),
    (Code.HEARTBEAT, b"", "041a", nothing, b""),
]
SESSION, KEY = bytes(range(8)), bytes(range(16))


def text_of(what: Any) -> bytes:
    """As it is written."""
    return what if isinstance(what, bytes) else what.write()


@pytest.mark.parametrize(("code", "what", "golden", "read", "found"), FROM_CLIENTS + FROM_SERVERS)
def test_an_event_is_written_and_read_byte_for_byte(
    code: Code, what: Any, golden: str, read: Read, found: Any
) -> None:
    data = pack(code, text_of(what))
    assert data.hex() == golden.replace(" ", "")
    event = unpack(data)
    assert event is not None
    assert event.code == code
    assert read(event.text) == found


@pytest.mark.parametrize(("code", "what", "golden", "read", "found"), FROM_CLIENTS)
def test_with_a_clients_trailer_the_same_bytes_come_first(
    code: Code, what: Any, golden: str, read: Read, found: Any
) -> None:
    data = sign(pack(code, text_of(what)), SESSION, 0x01020304, KEY)
    assert (
        data[:-8].hex() == golden.replace(" ", "") + "0a" + "0001020304050607" + "01020304" + "43"
    )
    seen = signed(data)
    assert seen is not None
    assert (seen.session, seen.number, is_genuine(data, KEY)) == (SESSION, 0x01020304, True)


@pytest.mark.parametrize("channel_key", [b"", bytes(range(16, 32))])
@pytest.mark.parametrize(("code", "what", "golden", "read", "found"), FROM_SERVERS)
def test_with_a_servers_trailer_they_do_too_and_read_the_same_with_it_or_without(
    code: Code, what: Any, golden: str, read: Read, found: Any, channel_key: bytes
) -> None:
    last = 0x0E0F1011 if channel_key else 0
    facts = Stamp(0x0A0B0C0D, 2, 0x019ACCE8CC00, 0xDEADBEEF, 5, channel_key, last)
    data = stamp(pack(code, text_of(what)), facts, KEY)
    fields = "0a0b0c0d 00000002 0000019acce8cc00 deadbeef 00000005".replace(" ", "")
    letter = "0e0f10114b" if channel_key else "53"
    assert data[:-8].hex() == (golden.replace(" ", "") + "0a" + fields + channel_key.hex() + letter)
    seen = stamped(data)
    assert seen is not None
    assert (seen[1], is_genuine(data, KEY)) == (facts, True)
    assert read(seen[0][2:]) == found
    if read is not nothing:
        assert read(data[2:]) == found


def test_every_event_is_among_them() -> None:
    there = {code for code, *_ in FROM_CLIENTS + FROM_SERVERS}
    elsewhere = {Code.WELCOME, Code.OPEN, Code.OPENED}  # test_hello, test_session, and here below
    assert there | elsewhere == set(Code)


def test_what_is_said_before_there_is_a_session_is_byte_for_byte() -> None:
    nonce, cookie = bytes.fromhex("0123456789abcdef"), bytes(range(16))
    hello = "0000 48454c4c4f 20 31 20 30313233343536373839616263646566 20" + " 2e" * 173
    assert Hello(nonce).write() == bytes.fromhex(hello)
    welcome = (
        "03e8 31 20 30313233343536373839616263646566 20 30303031303230333034303530363037 20"
        "3030303030303261 20 3030303130323033303430353036303730383039306130623063306430653066 20"
        "61636b 20 6d61696c"
    )
    assert Welcome(nonce, SESSION, 42, cookie, ["ack"], "mail").write() == bytes.fromhex(welcome)
    opening = (
        "03f2 7275667573 20 3030303130323033303430353036303730383039306130623063306430653066 20"
        "30313233343536373839616263646566"
    )
    assert Open(b"rufus", cookie, nonce).write() == bytes.fromhex(opening)
    opened = (
        "03fc 7275667573 20 30303031303230333034303530363037 20"
        "3030303130323033303430353036303730383039306130623063306430653066 20 3030303030303037 20"
        "30313233343536373839616263646566 20 3030303030303062"
    )
    assert Opened(b"rufus", SESSION, KEY, 7, nonce, 11).write() == bytes.fromhex(opened)
