"""Trailers: one reading of each datagram, and a MAC over all that stands before it."""

from __future__ import annotations

import re
from hashlib import blake2b

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockd.formats.chat.events import MAX_EVENT, MAX_TEXT, Code, pack
from sockd.formats.chat.texts import Coming, Said, harmless
from sockd.formats.chat.trailer import (
    CLIENT_BYTES,
    LAST_MS,
    SERVER_BYTES,
    WITH_KEY_BYTES,
    Signed,
    Stamp,
    is_genuine,
    sign,
    signed,
    stamp,
    stamped,
)
from tests.formats.chat.strategies import HOSTILE_BYTES, KEYS, SESSIONS, TEXTS, UINT32, WORDS

KEY = bytes.fromhex("000102030405060708090a0b0c0d0e0f")
SESSION = bytes.fromhex("1122334455667788")
EVENTS = st.builds(pack, st.integers(0, 0xFFFF), st.binary(max_size=60))
TIMES = st.integers(0, LAST_MS)
STAMPS = st.builds(Stamp, UINT32, UINT32, TIMES, UINT32, UINT32) | st.builds(
    Stamp, UINT32, UINT32, TIMES, UINT32, UINT32, KEYS, UINT32
)
NUMBERS = st.integers(1, 0xFFFFFFFF)


def keyed(data: str) -> bytes:
    """The MAC, by the book and not by the code."""
    return blake2b(bytes.fromhex(data), digest_size=8, key=KEY).digest()


def test_a_clients_trailer_is_a_newline_a_session_a_number_the_letter_c_and_a_mac() -> None:
    data = "00c8 0a 1122334455667788 00000005 43"
    made = sign(pack(Code.STILL_HERE), SESSION, 5, KEY)
    assert made == bytes.fromhex(data) + keyed(data)
    assert made[-8:].hex() == "81038708f22177f2"
    assert signed(made) == Signed(SESSION, 5)


def test_a_servers_trailer_has_epoch_sequence_time_label_number_the_letter_s_and_a_mac() -> None:
    data = "0064 5065747320722068 0a 0000002a 00000007 0000019ac9d2ef00 deadbeef 00000005 53"
    facts = Stamp(42, 7, 0x019AC9D2EF00, 0xDEADBEEF, 5)
    made = stamp(b"\0\x64Pets r h", facts, KEY)
    assert made == bytes.fromhex(data) + keyed(data)
    assert stamped(made) == (b"\0\x64Pets r h", facts)


def test_one_with_a_channels_key_has_it_and_the_channels_last_number_before_the_letter_k() -> None:
    data = (
        "003c 50657473203120 78 0a 0000002a 00000007 0000019ac9d2ef00 00000000 00000005"
        "101112131415161718191a1b1c1d1e1f 00000009 4b"
    )
    facts = Stamp(42, 7, 0x019AC9D2EF00, 0, 5, bytes(range(16, 32)), 9)
    made = stamp(b"\0\x3cPets 1 x", facts, KEY)
    assert made == bytes.fromhex(data) + keyed(data)
    assert stamped(made) == (b"\0\x3cPets 1 x", facts)


@given(EVENTS, SESSIONS, NUMBERS, KEYS)
def test_what_a_client_signs_is_read_and_is_genuine_and_none_of_a_servers(
    event: bytes, session: bytes, number: int, key: bytes
) -> None:
    data = sign(event, session, number, key)
    assert data[:-CLIENT_BYTES] == event
    assert signed(data) == Signed(session, number)
    assert is_genuine(data, key)
    assert stamped(data) is None


@given(EVENTS, STAMPS, KEYS)
def test_what_a_server_stamps_is_read_and_is_genuine_and_none_of_a_clients(
    event: bytes, facts: Stamp, key: bytes
) -> None:
    data = stamp(event, facts, key)
    assert len(data) == len(event) + (WITH_KEY_BYTES if facts.key else SERVER_BYTES)
    assert stamped(data) == (event, facts)
    assert is_genuine(data, key)
    assert signed(data) is None


@pytest.mark.parametrize("place", range(64))
def test_no_time_key_or_text_makes_one_kind_look_like_another(place: int) -> None:
    """A newline and a letter may stand anywhere before the end."""
    for letter in (b"\nS", b"\nC", b"\nK", b"S", b"C", b"K"):
        text = (b"." * place + letter).ljust(80, b".")
        assert stamped(sign(pack(90, text), SESSION, 1, KEY)) is None
        for key in (b"", (b"." * (place % 16) + letter).ljust(16, b".")[:16]):
            time_ms = int.from_bytes(letter.ljust(2, b"."), "big") << (place % 24)
            facts = Stamp(1, 0x0A530A43, time_ms, 0x0A4B0A53, 0x0A430A4B, key)
            made = stamp(pack(60, text), facts, KEY)
            assert stamped(made) == (pack(60, text), facts)
            assert signed(made) is None


@given(EVENTS, SESSIONS, NUMBERS, KEYS, st.data())
def test_whatever_bit_is_turned_it_is_genuine_no_more(
    event: bytes, session: bytes, number: int, key: bytes, chance: st.DataObject
) -> None:
    data = sign(event, session, number, key)
    place = chance.draw(st.integers(0, len(data) * 8 - 1))
    turned = bytearray(data)
    turned[place // 8] ^= 1 << place % 8
    assert not is_genuine(bytes(turned), key)


@given(EVENTS, KEYS, KEYS)
def test_with_another_key_it_is_not_genuine(event: bytes, key: bytes, other: bytes) -> None:
    assert is_genuine(stamp(event, Stamp(1, 1, 1), key), other) == (key == other)


def test_nothing_is_genuine_by_no_key_or_one_of_another_length() -> None:
    for key in (b"", KEY[:15], KEY + b"x"):
        assert not is_genuine(stamp(b"\0\x64x", Stamp(1, 1, 1), key), key)


@given(HOSTILE_BYTES | st.binary(max_size=1100))
def test_hostile_trailers_raise_nothing_and_leave_an_event(data: bytes) -> None:
    assert not is_genuine(data, KEY)
    stamped(data)
    assert signed(data) is None or len(data) >= 2 + CLIENT_BYTES


@pytest.mark.parametrize("length", [0, 1])
def test_a_trailer_without_a_whole_code_before_it_is_none_or_shows_that(length: int) -> None:
    short = bytes(length)
    assert signed(sign(short, SESSION, 1, KEY)) is None
    for key in (b"", KEY):
        facts = Stamp(1, 1, 1, key=key)
        assert stamped(stamp(short, facts, KEY)) == (short, facts)
        assert stamped(stamp(short, facts, KEY)[length + 1 :]) is None


def test_a_trailer_that_does_not_begin_with_a_newline_is_none() -> None:
    for made in (
        sign(b"\0\x5ahi", SESSION, 1, KEY),
        stamp(b"\0\x64hi", Stamp(1, 1, 1), KEY),
        stamp(b"\0\x64hi", Stamp(1, 1, 1, key=KEY), KEY),
    ):
        without = made.replace(b"hi\n", b"hi ")
        assert (signed(without), stamped(without)) == (None, None)


@pytest.mark.parametrize("number", [0, -1, 1 << 32])
def test_a_session_whose_numbers_are_used_up_signs_no_more(number: int) -> None:
    with pytest.raises(ValueError, match="a session has numbers from 1 to 4294967295"):
        sign(b"\0\x5a", SESSION, number, KEY)


def test_sequence_numbers_go_round() -> None:
    found = stamped(stamp(b"\0\x64", Stamp(1, (1 << 32) + 5, 1), KEY))
    assert found is not None
    assert found[1].sequence == 5


def test_a_time_outside_of_the_calendar_is_moved_into_it_by_both_ends() -> None:
    made = stamp(b"\0\x64", Stamp(1, 1, -5), KEY)
    assert stamped(made) == (b"\0\x64", Stamp(1, 1, 0))
    made = stamp(b"\0\x64", Stamp(1, 1, 1 << 80), KEY)
    assert stamped(made) == (b"\0\x64", Stamp(1, 1, LAST_MS))
    hostile = bytearray(made)
    hostile[11:19] = b"\xff" * 8
    assert stamped(bytes(hostile)) == (b"\0\x64", Stamp(1, 1, LAST_MS))


OLD_PUBLIC = re.compile(rb"^(\S+) (\S+) (.*)")
OLD_PRIVATE = re.compile(rb"^(\S+) (.*)")
OLD_PRESENCE = re.compile(rb"^(\S+) (\S+)")
"""The tutorial's patterns, as its programs have them: neither /s nor /m."""


@given(WORDS, WORDS, TEXTS, STAMPS, KEYS)
def test_the_tutorials_patterns_stop_before_the_trailer(
    title: bytes, user: bytes, text: bytes, facts: Stamp, key: bytes
) -> None:
    said = stamp(pack(100, Said(title, user, harmless(text)).write()), facts, key)
    found = OLD_PUBLIC.search(said[2:])
    assert found is not None
    assert found.groups() == (title, user, harmless(text))
    whispered = OLD_PRIVATE.search(said[2:])
    assert whispered is not None
    assert whispered[2] == user + b" " + harmless(text)
    coming = stamp(pack(140, Coming(title, user).write()), facts, key)
    presence = OLD_PRESENCE.search(coming[2:])
    assert presence is not None
    assert presence.groups() == (title, user)


def test_the_longest_text_and_the_longest_trailer_are_an_event_that_old_programs_read_whole() -> (
    None
):
    event = pack(Code.JOIN_ACK, bytes(MAX_TEXT))
    assert len(stamp(event, Stamp(1, 1, 1, key=KEY), KEY)) <= MAX_EVENT
