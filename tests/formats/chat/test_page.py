"""docs/chat.md tells the wire as it is: its tables and the hex of its examples."""

from __future__ import annotations

import re
from hashlib import blake2b
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from sockd.chat.desk import FEATURES
from sockd.chat.secret import SLOT_SECONDS
from sockd.chat.settings import Settings
from sockd.chat.threshold import MOST_ERROR
from sockd.client.chat.sending import RETRIES
from sockd.formats.chat import trailer
from sockd.formats.chat.events import MAX_EVENT, MAX_TEXT, Code, pack
from sockd.formats.chat.hello import HELLO_BYTES, MAX_FEATURES, MAX_NAME, Hello, Welcome
from sockd.formats.chat.names import MAX_NICKNAME, MAX_TITLE
from sockd.formats.chat.session import Open, Opened
from sockd.formats.chat.texts import ChannelText, HeartbeatText, Said
from sockd.formats.chat.trailer import Stamp, sign, stamp
from sockd.formats.chat.window import WINDOW

PAGE = (Path(__file__).parents[3] / "docs" / "chat.md").read_text("utf-8")
NONCE, SERVER = bytes.fromhex("0123456789abcdef"), bytes.fromhex("fedcba9876543210")
COOKIE = bytes.fromhex("00112233445566778899aabbccddeeff")
SESSION = bytes.fromhex("1122334455667788")
KEY, CHANNEL_KEY, BEAT_KEY = bytes(range(16)), bytes(range(16, 32)), bytes(range(32, 48))
EPOCH, TIME, LABEL = 1764370800, 1764374400000, 0x5EA15EA1

OPENING = Open(b"rufus", COOKIE, NONCE).write()
JOINED = pack(Code.JOIN_ACK, ChannelText(b"Weather", 2, b"Rain and sun").write())
SAID = pack(Code.PUBLIC_MSG, Said(b"Weather", b"rufus", b"hello").write())
HEARTBEATS = pack(Code.HEARTBEAT_AT, HeartbeatText(IPv4Address("225.1.0.6"), 10).write())
KEYS = {"said": CHANNEL_KEY, "heartbeat": BEAT_KEY}
"""Of what is not signed by the session's."""
SIGNED = ("join", "joined", "say", "said", "alive", "ack", "resume", "heartbeats", "heartbeat")
EXAMPLES = {
    "hello": Hello(NONCE).write(),
    "welcome": Welcome(NONCE, SERVER, EPOCH, COOKIE, FEATURES, "mail").write(),
    "open": OPENING,
    "opened": Opened(b"rufus", SESSION, KEY, LABEL, NONCE).write(),
    "join": sign(pack(Code.JOIN_REQ, b"weather"), SESSION, 1, KEY),
    "joined": stamp(JOINED, Stamp(EPOCH, 1, TIME, 0, 1, CHANNEL_KEY, 6), KEY),
    "say": sign(pack(Code.SEND_PUBLIC, b"hello"), SESSION, 2, KEY),
    "said": stamp(SAID, Stamp(EPOCH, 7, TIME, LABEL, 2), CHANNEL_KEY),
    "alive": sign(pack(Code.STILL_HERE), SESSION, 3, KEY),
    "ack": stamp(pack(Code.ACK), Stamp(EPOCH, 2, TIME, 0, 3), KEY),
    "heartbeats": stamp(HEARTBEATS, Stamp(EPOCH, 3, TIME, key=BEAT_KEY), KEY),
    "heartbeat": stamp(pack(Code.HEARTBEAT), Stamp(EPOCH, 9, TIME), BEAT_KEY),
    "unicast": sign(pack(Code.UNICAST), SESSION, 5, KEY),
    "resume": sign(OPENING, SESSION, 4, KEY),
    "resumed": Opened(b"rufus", SESSION, b"", LABEL, NONCE, 3).write(),
}


def bytes_of(block: str) -> bytes:
    """What the hex of a block is, which stands before two spaces; `*N` is N times."""
    found = b""
    for line in block.splitlines():
        digits, _, times = line.split("  ")[0].strip().partition("*")
        found += bytes.fromhex(digits) * int(times or 1)
    return found


SHOWN = {
    name: bytes_of(block)
    for name, block in re.findall(r"^<!-- hex: (\w+) -->\n```text\n(.*?)^```$", PAGE, re.M | re.S)
}


def rows(name: str) -> list[list[str]]:
    """The cells of the rows of a table."""
    [table] = re.findall(rf"^<!-- {name}: .*?-->\n(.*?)^<!-- end of {name} -->$", PAGE, re.M | re.S)
    _, _, *lines = str(table).splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_every_example_is_there_and_no_other() -> None:
    assert SHOWN.keys() == EXAMPLES.keys()


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_hex_of_an_example_is_what_the_code_makes(name: str) -> None:
    assert SHOWN[name].hex(" ") == EXAMPLES[name].hex(" ")


@pytest.mark.parametrize("name", [*SIGNED, "unicast"])
def test_the_mac_of_an_example_is_what_the_page_says_that_it_is(name: str) -> None:
    key = KEYS.get(name, KEY)
    data, mac = SHOWN[name][:-8], SHOWN[name][-8:]
    assert "`hashlib.blake2b(data, digest_size=8, key=key)`" in PAGE
    assert blake2b(data, digest_size=8, key=key).digest() == mac


def test_the_table_of_codes_is_the_code() -> None:
    there = {(int(row[0]), row[1], row[2]) for row in rows("codes")}
    assert there == {(int(code), f"`{code:04x}`", code.name) for code in Code}
    assert len(rows("codes")) == len(Code)


def test_the_numbers_are_the_codes() -> None:
    assert dict(rows("numbers")) == {
        "longest event": f"{MAX_EVENT} bytes",
        "longest text that is sent": f"{MAX_TEXT} bytes",
        "hello": f"{HELLO_BYTES} bytes",
        "longest list of features": f"{MAX_FEATURES} bytes",
        "longest name of a server": f"{MAX_NAME} bytes",
        "longest nickname": f"{MAX_NICKNAME} bytes",
        "longest title": f"{MAX_TITLE} bytes",
        "window": f"{WINDOW} numbers",
    }
    server = f"**{trailer.SERVER_BYTES}, {trailer.WITH_KEY_BYTES}**"
    row = f"| **together** | **{trailer.CLIENT_BYTES}** | | **together, `S` and `K`** | {server} |"
    assert row in PAGE


def test_what_the_text_says_of_times_and_limits_is_so() -> None:
    text = " ".join(PAGE.split())
    default = Settings(channels=())
    first, second, third = RETRIES
    for sentence in (
        f"{first:g} s, {second:g} s and {third:g} s after the first try",
        f"{SLOT_SECONDS:g} to {2 * SLOT_SECONDS:g} s",
        f"an ERROR of at most {MOST_ERROR} bytes",
        f"silent for {default.patience:g} s is logged off",
        f"others after {default.long_patience / 60:g} min",
        f"at most {default.old_sessions} at one address",
        f"at most {default.old_bytes // 1000} kB/s",
        f"takes {default.burst} events at once, then {default.rate:g}/s",
        f"A channel above {default.quiet_above} members",
        f"kept for their owners for {default.held:g} s after a start",
    ):
        assert sentence in text, sentence
    for feature in FEATURES:
        assert f"`{feature}`, " in text
