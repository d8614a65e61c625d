"""Texts of events: what is written is read, what old or hostile peers send is read or None."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address
from unicodedata import category

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockd.formats.chat.events import MAX_EVENT, MAX_TEXT
from sockd.formats.chat.texts import (
    ChannelText,
    Coming,
    Group,
    HeartbeatText,
    Said,
    UserText,
    Whispered,
    harmless,
    read_port,
)
from tests.formats.chat.strategies import HOSTILE_BYTES, LINES, TEXTS, WORDS

GROUPS = st.integers(0xE0000000, 0xEFFFFFFF).map(IPv4Address) | st.integers(
    0xFF << 120, (1 << 128) - 1
).map(IPv6Address)
COUNTS = st.integers(0, 999_999_999)
BEHIND = st.just(b"") | st.binary(max_size=60).map(lambda rest: b"\n" + rest)
"""A trailer, or something like it."""


@given(WORDS, COUNTS, LINES.filter(bool), st.none() | GROUPS, BEHIND)
def test_a_channel_is_read_as_written(
    title: bytes, count: int, description: bytes, group: Group | None, behind: bytes
) -> None:
    channel = ChannelText(title, count, description, group)
    assert ChannelText.read(channel.write() + behind, group is not None) == channel


@given(WORDS, WORDS, LINES, BEHIND)
def test_what_is_said_is_read_as_written(
    title: bytes, user: bytes, text: bytes, behind: bytes
) -> None:
    said, whispered = Said(title, user, text), Whispered(user, text)
    assert Said.read(said.write() + behind) == said
    assert Whispered.read(whispered.write() + behind) == whispered


@given(WORDS, WORDS, BEHIND)
def test_who_comes_and_goes_is_read_as_written(title: bytes, user: bytes, behind: bytes) -> None:
    assert Coming.read(Coming(title, user).write() + behind) == Coming(title, user)


@given(GROUPS, st.integers(1, 9999), BEHIND)
def test_where_heartbeats_are_is_read_as_written(group: Group, seconds: int, behind: bytes) -> None:
    heartbeats = HeartbeatText(group, seconds)
    assert HeartbeatText.read(heartbeats.write() + behind) == heartbeats


@given(WORDS, st.integers(0, 10**12 - 1), st.lists(WORDS, min_size=1, max_size=40), BEHIND)
def test_a_user_is_read_as_written(
    user: bytes, seconds: int, titles: list[bytes], behind: bytes
) -> None:
    found = UserText.read(UserText(user, seconds, titles).write() + behind)
    assert found == UserText(user, seconds, tuple(titles))


@given(st.lists(st.integers(1, 32).map(lambda size: b"x" * size), min_size=1, max_size=60))
def test_channels_of_a_user_that_find_no_room_are_dots(titles: list[bytes]) -> None:
    text = UserText(b"u" * 32, 10**9, titles).write()
    assert len(text) <= MAX_TEXT
    found = UserText.read(text)
    assert found is not None
    whole = len(b" ".join([b"u" * 32, b"1000000000", *titles]))
    if whole <= MAX_TEXT:
        assert found.channels == tuple(titles)
    else:
        *shown, dots = found.channels
        assert dots == b"..."
        assert shown == titles[: len(shown)]
        assert len(text) + len(titles[len(shown)]) + 1 > MAX_TEXT


@given(HOSTILE_BYTES, st.booleans())
def test_hostile_texts_raise_nothing_and_what_is_read_of_them_is_of_one_line(
    text: bytes, has_group: bool
) -> None:
    for beginning in (b"", b"Pets ", b"Pets 7 ", b"Pets rufus "):
        hostile = beginning + text
        channel = ChannelText.read(hostile, has_group)
        if channel is not None:
            assert b"\n" not in channel.title + channel.description
            assert 0 <= channel.count < 10**9
            assert channel.group is None or channel.group.is_multicast
        said, whispered = Said.read(hostile), Whispered.read(hostile)
        coming = Coming.read(hostile)
        assert said is None or b"\n" not in said.title + said.user + said.text
        assert whispered is None or b"\n" not in whispered.user + whispered.text
        assert coming is None or b"\n" not in coming.title + coming.user
        user = UserText.read(hostile)
        assert user is None or (b"\n" not in b"".join(user.channels) and user.seconds < 10**12)
        heartbeats = HeartbeatText.read(text)
        assert heartbeats is None or heartbeats.group.is_multicast
        port = read_port(text)
        assert port is None or 0 < port < 65_536


def group(text: str) -> Group:
    """An address."""
    return ip_address(text)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (b"Pets 3 225.1.0.5 Animals", ChannelText(b"Pets", 3, b"Animals", group("225.1.0.5"))),
        (b"Pets 3 225.1.0.5", ChannelText(b"Pets", 3, b"", group("225.1.0.5"))),
        (b"Pets 3 225.1.0.5\nK", ChannelText(b"Pets", 3, b"", group("225.1.0.5"))),
        (b"Pets 3 ff12::5:5 Cats", ChannelText(b"Pets", 3, b"Cats", group("ff12::5:5"))),
        (b"Pets 3 225.1.0.5x Animals", None),
        (b"Pets 3 10.0.0.5 Animals", None),
        (b"Pets 3 255.255.255.255", None),
        (b"Pets 3 Bad animals", None),
        (b"Pets 3 225.1.0.999 x", None),
        (b"Pets 1234567890 225.1.0.5 x", None),
        (b"Pets", None),
        (b"", None),
    ],
)
def test_a_channel_of_a_server_that_has_groups(text: bytes, found: ChannelText | None) -> None:
    assert ChannelText.read(text, has_group=True) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (b"Pets 3 Animals", ChannelText(b"Pets", 3, b"Animals")),
        (b"Pets", ChannelText(b"Pets", 0, b"")),
        (b"Pets 3", ChannelText(b"Pets", 3, b"")),
        (b"Pets\nK 3", ChannelText(b"Pets", 0, b"")),
        (b"Pets 1234567890 x", ChannelText(b"Pets", 0, b"1234567890 x")),
        (b"Pets -3 x", ChannelText(b"Pets", 0, b"-3 x")),
        (b"Pets " + b"1" * 5000, ChannelText(b"Pets", 0, b"1" * 5000)),
        (b"", None),
        (b" Pets 3 x", None),
        (b"\nPets 3 x", None),
    ],
)
def test_a_channel_of_a_server_that_has_none(text: bytes, found: ChannelText | None) -> None:
    assert ChannelText.read(text, has_group=False) == found


def test_without_groups_a_group_is_the_first_word_of_the_description() -> None:
    found = ChannelText.read(b"Pets 3 225.1.0.5 Animals", has_group=False)
    assert found == ChannelText(b"Pets", 3, b"225.1.0.5 Animals")


def test_the_zone_of_a_group_is_nobody_elses_business() -> None:
    text = ChannelText(b"Pets", 3, b"Cats", IPv6Address("ff12::5:5%eth0")).write()
    assert text == b"Pets 3 ff12::5:5 Cats"
    assert HeartbeatText(IPv6Address("ff12::5:6%eth0"), 10).write() == b"ff12::5:6 10"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (b"225.1.0.6 10", HeartbeatText(group("225.1.0.6"), 10)),
        (b"ff12::5:6 10 and more", HeartbeatText(group("ff12::5:6"), 10)),
        (b"225.1.0.6 0", None),
        (b"225.1.0.6 12345", None),
        (b"225.1.0.6 -1", None),
        (b"225.1.0.6 10x", None),
        (b"225.1.0.6", None),
        (b"10.0.0.6 10", None),
        (b"ff12::5:6%eth0 10", None),
        ("225.1.0.6 ١٠".encode(), None),
        (b"", None),
    ],
)
def test_where_heartbeats_are_is_a_group_and_seconds(
    text: bytes, found: HeartbeatText | None
) -> None:
    assert HeartbeatText.read(text) == found


@pytest.mark.parametrize(
    ("text", "port"),
    [
        (b"2028", 2028),
        (b"2028\n", 2028),
        (b"2028 and more", 2028),
        (b"1", 1),
        (b"65535", 65535),
        (b"65536", None),
        (b"0", None),
        (b"202812", None),
        (b"2028x", None),
        (b"-5", None),
        (b" 2028", None),
        (b"", None),
        ("٢٠٢٨".encode(), None),
    ],
)
def test_a_port_is_a_number_of_its_own_from_1_to_65535(text: bytes, port: int | None) -> None:
    assert read_port(text) == port


# what users write


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (b"hello", b"hello"),
        (b"", b""),
        ("zażółć 日本".encode(), "zażółć 日本".encode()),
        (rb"C:\Windows \x41", rb"C:\Windows \x41"),
        (b"a\nb\r\n", rb"a\x0ab\x0d\x0a"),
        (b"a\tb", b"a\tb"),
        (b"C:\\Windows\tx", b"C:\\Windows\tx"),
        (b"\\x41\n", rb"\\x41\x0a"),
        (b"\x1b[31m", rb"\x1b[31m"),
        (b"\0", rb"\x00"),
        (b"\xff\xfe", rb"\xff\xfe"),
        (b"\xc2\x9b31m", rb"\u009b31m"),
        ("\u202eevil\u2028".encode(), rb"\u202eevil\u2028"),
        (b"\xed\xa0\x80", rb"\xed\xa0\x80"),
    ],
)
def test_what_is_not_plain_is_escaped_and_what_is_stays(text: bytes, shown: bytes) -> None:
    assert harmless(text) == shown


@given(TEXTS | HOSTILE_BYTES, st.none() | st.integers(0, 200))
def test_no_newline_or_control_of_a_user_is_left_and_it_is_utf8(
    text: bytes, limit: int | None
) -> None:
    shown = harmless(text, limit).decode()
    assert all(one in "\t " or one.isprintable() or category(one) == "Zs" for one in shown)


@given(TEXTS | HOSTILE_BYTES)
def test_escaping_makes_no_text_shorter_and_none_more_than_four_times_as_long(
    text: bytes,
) -> None:
    assert len(text) <= len(harmless(text)) <= 4 * len(text)


def test_four_times_as_long_is_what_control_characters_become() -> None:
    assert len(harmless(bytes(239))) == 956 <= MAX_TEXT
    assert len(harmless(bytes(240))) == 960 > MAX_TEXT


@given(TEXTS | HOSTILE_BYTES, st.integers(0, 200))
def test_a_limit_cuts_between_characters_and_escapes_and_says_so(text: bytes, limit: int) -> None:
    shown = harmless(text, limit)
    assert len(shown) <= limit
    if len(harmless(text)) <= limit:
        assert shown == harmless(text)
    elif limit >= 3:
        assert shown.endswith(b"...")
        shown.decode()


@pytest.mark.parametrize(
    ("limit", "shown"),
    [
        (14, r"a\x0aé\xff\b"),
        (13, r"a\x0aé\xff\b"),
        (12, r"a\x0aé..."),
        (9, r"a\x0a..."),
        (7, "a..."),
        (4, "a..."),
        (3, "..."),
        (2, ".."),
        (0, ""),
    ],
)
def test_a_long_text_is_cut(limit: int, shown: str) -> None:
    assert harmless("a\né".encode() + b"\xff\\b", limit).decode() == shown


def test_what_is_longer_than_any_event_is_not_looked_at_but_its_length_is_kept() -> None:
    text = bytes(65_507)
    assert harmless(text) == rb"\x00" * MAX_EVENT + b"." * (65_507 - MAX_EVENT)
    assert len(harmless(b"x" * 5000)) == 5000
