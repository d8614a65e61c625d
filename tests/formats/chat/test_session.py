"""A new client logs in: OPEN and OPENED."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockd.formats.chat import trailer
from sockd.formats.chat.session import Open, Opened
from tests.formats.chat.strategies import HOSTILE_BYTES, KEYS, SESSIONS

NICKNAMES = st.from_regex(rb"[A-Za-z0-9_-]{1,32}", fullmatch=True)
NONCE, SESSION = bytes.fromhex("0123456789abcdef"), bytes.fromhex("1122334455667788")
COOKIE = bytes.fromhex("00112233445566778899aabbccddeeff")
KEY = bytes.fromhex("0f0e0d0c0b0a09080706050403020100")
OPEN = b"\x03\xf2rufus 00112233445566778899aabbccddeeff 0123456789abcdef"
OPENED = b"\x03\xfcrufus 1122334455667788 0f0e0d0c0b0a09080706050403020100 00000007"


def test_a_log_in_has_a_nickname_and_the_cookie_and_the_nonce_of_a_hello() -> None:
    opening = Open(b"rufus", COOKIE, NONCE)
    assert opening.write() == OPEN
    assert Open.read(OPEN[2:]) == opening


def test_its_answer_has_nickname_session_key_label_nonce_and_last_number() -> None:
    opened = Opened(b"rufus", SESSION, KEY, 7, NONCE, 11)
    assert opened.write() == OPENED + b" 0123456789abcdef 0000000b"
    assert Opened.read(opened.write()[2:]) == opened
    assert Opened.read(OPENED[2:]) == Opened(b"rufus", SESSION, KEY, 7)


def test_who_has_the_key_already_is_not_given_it_again() -> None:
    opened = Opened(b"rufus", SESSION, b"", 7, NONCE)
    assert opened.write() == b"\x03\xfcrufus 1122334455667788 - 00000007 0123456789abcdef 00000000"
    assert Opened.read(opened.write()[2:]) == opened


@given(NICKNAMES, KEYS, SESSIONS)
def test_a_log_in_is_read_as_written_with_a_trailer_behind_it_too(
    nickname: bytes, cookie: bytes, nonce: bytes
) -> None:
    opening = Open(nickname, cookie, nonce)
    assert Open.read(opening.write()[2:]) == opening
    assert Open.read(trailer.sign(opening.write(), SESSION, 5, KEY)[2:]) == opening


@given(
    NICKNAMES,
    SESSIONS,
    KEYS | st.just(b""),
    st.integers(1, 0xFFFFFFFF),
    SESSIONS,
    st.integers(0, 0xFFFFFFFF),
)
def test_its_answer_is_read_as_written(
    nickname: bytes, session: bytes, key: bytes, label: int, nonce: bytes, last: int
) -> None:
    opened = Opened(nickname, session, key, label, nonce, last)
    assert Opened.read(opened.write()[2:]) == opened


@pytest.mark.parametrize(
    "text",
    [
        b"",
        OPEN[2:-1],
        OPEN[2:] + b"0",
        OPEN[2:].replace(b"rufus", b""),
        OPEN[2:].replace(b"rufus", b"x" * 65),
        OPEN[2:].replace(b"rufus ", b"rufus  "),
        OPEN[2:].replace(b"aabb", b"AABB"),
    ],
)
def test_what_is_like_a_log_in_is_none(text: bytes) -> None:
    assert Open.read(text) is None


@pytest.mark.parametrize(
    "text",
    [
        b"",
        OPENED[2:-1],
        OPENED[2:] + b"0",
        OPENED[2:].replace(b"00000007", b"00000000"),
        OPENED[2:].replace(b"0f0e", b"f0e"),
        OPENED[2:].replace(b"rufus", b"x" * 65),
    ],
)
def test_what_is_like_its_answer_is_none(text: bytes) -> None:
    assert Opened.read(text) is None


@given(HOSTILE_BYTES, st.integers(0, 80))
def test_hostile_log_ins_and_answers_raise_nothing(text: bytes, length: int) -> None:
    for beginning in (b"", OPEN[2 : 2 + length], OPENED[2 : 2 + length]):
        opening, opened = Open.read(beginning + text), Opened.read(beginning + text)
        assert opening is None or len(opening.nickname) <= 64
        assert opened is None or len(opened.key) in (0, 16)
