"""Hello and welcome: an answer that is no longer than its question, and versions to come."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockd.formats.chat.events import Code, unpack
from sockd.formats.chat.hello import HELLO_BYTES, MAX_FEATURES, MAX_NAME, Hello, Welcome
from tests.formats.chat.strategies import HOSTILE_BYTES, SESSIONS, UINT32

NONCE, SERVER = bytes.fromhex("0123456789abcdef"), bytes.fromhex("fedcba9876543210")
COOKIE = bytes.fromhex("00112233445566778899aabbccddeeff")
ASKED = b"\0\0HELLO 1 0123456789abcdef "
WELCOME = (
    b"\x03\xe81 0123456789abcdef fedcba9876543210 0000002a 00112233445566778899aabbccddeeff"
    b" ack,session,stamp mail"
)
FEATURES = st.sets(st.from_regex(r"[a-z0-9][a-z0-9-]{0,19}", fullmatch=True))


def welcome_of(text: bytes) -> Welcome | None:
    """What is read from a text."""
    return Welcome.read(text)


def test_a_hello_is_code_0_with_a_text_that_dots_fill_up() -> None:
    assert Hello(NONCE).write() == ASKED + b"." * (200 - len(ASKED))


def test_a_welcome_has_the_nonce_the_server_its_epoch_a_cookie_features_and_a_name() -> None:
    welcome = Welcome(NONCE, SERVER, 42, COOKIE, {"stamp", "session", "ack"}, "mail")
    assert welcome.write() == WELCOME
    assert Welcome.read(WELCOME[2:]) == welcome


@given(SESSIONS)
def test_a_hello_that_is_written_is_read(nonce: bytes) -> None:
    event = unpack(Hello(nonce).write())
    assert event is not None
    assert event.code == Code.NOTHING
    assert Hello.read(event.text) == Hello(nonce)
    assert len(event.text) + 2 == HELLO_BYTES


@given(
    SESSIONS,
    SESSIONS,
    UINT32,
    st.binary(min_size=16, max_size=16),
    FEATURES,
    st.text(st.characters(), max_size=100),
)
def test_whatever_a_server_is_called_a_welcome_is_no_longer_than_a_hello_and_is_read(
    nonce: bytes, server: bytes, epoch: int, cookie: bytes, features: set[str], name: str
) -> None:
    data = Welcome(nonce, server, epoch, cookie, features, name).write()
    assert len(data) <= len(Hello(nonce).write())
    found = Welcome.read(data[2:])
    assert found is not None
    assert (found.nonce, found.server) == (nonce, server)
    assert (found.epoch, found.cookie) == (epoch, cookie)
    assert set(found.features) <= features
    assert len(",".join(found.features)) <= MAX_FEATURES
    assert features == set(found.features) or len(",".join(features)) > MAX_FEATURES
    assert found.name.isprintable()
    assert " " not in found.name
    if name.isprintable() and " " not in name and len(name.encode()) <= MAX_NAME:
        assert found.name == name


def test_the_longest_welcome_has_193_bytes() -> None:
    features = {f"{number:012}" for number in range(20)}
    data = Welcome(NONCE, SERVER, 2**32 - 1, COOKIE, features, "é" * 100).write()
    assert len(data) == 193
    found = Welcome.read(data[2:])
    assert found is not None
    assert found.name == "é" * 24
    assert set(found.features) == {f"{number:012}" for number in range(5)}


def test_features_and_a_name_may_be_missing() -> None:
    data = Welcome(NONCE, SERVER, 0, COOKIE, ()).write()
    assert data.endswith(COOKIE.hex().encode() + b" -")
    found = Welcome.read(data[2:])
    assert found is not None
    assert (set(found.features), found.name) == (set(), "")


@pytest.mark.parametrize("length", [0, 2, 24, 197])
def test_who_asks_with_less_than_the_answer_takes_has_not_said_hello(length: int) -> None:
    assert Hello.read(Hello(NONCE).write()[2 : 2 + length]) is None


@pytest.mark.parametrize("version", [b"1", b"2", b"17", b"999"])
def test_a_hello_of_any_version_is_answered_as_one_of_ours(version: bytes) -> None:
    text = b"HELLO %s 0123456789abcdef and what version 2 has here" % version
    assert Hello.read(text.ljust(198, b".")) == Hello(NONCE)


@pytest.mark.parametrize(
    "text",
    [
        b"HELLO 0 0123456789abcdef ",
        b"HELLO 01 0123456789abcdef ",
        b"HELLO 1000 0123456789abcdef ",
        b"HELLO 1 0123456789ABCDEF ",
        b"HELLO 1 0123456789abcdef0 ",
        b"HELLO 1 0123456789abcde ",
        b"hello 1 0123456789abcdef ",
        b" HELLO 1 0123456789abcdef ",
        b"",
    ],
)
def test_what_is_like_a_hello_is_none(text: bytes) -> None:
    assert Hello.read(text.ljust(198, b".")) is None


def test_a_welcome_of_a_version_that_we_do_not_speak_is_none() -> None:
    text = WELCOME[2:]
    assert welcome_of(text) is not None
    assert welcome_of(b"2" + text[1:]) is None
    assert welcome_of(b"0" + text[1:]) is None
    assert welcome_of(b"999" + text[1:]) is None


def test_what_a_later_server_puts_behind_the_name_is_not_looked_at() -> None:
    found = welcome_of(WELCOME[2:] + b" more\nand more")
    assert found is not None
    assert found.name == "mail"


def test_a_name_that_is_too_long_is_cut_by_who_reads_it_and_no_feature_is() -> None:
    found = welcome_of(WELCOME[2:] + b"x" * 900)
    assert found is not None
    assert found.name == ("mail" + "x" * 900)[:MAX_NAME]
    features = b"a" * 30 + b"," + b"b" * 70
    found = welcome_of(WELCOME[2:].replace(b"ack,session,stamp", features))
    assert found is not None
    assert set(found.features) == {"a" * 30, "b" * 70}


def test_a_welcome_in_which_a_part_is_cut_or_of_other_letters_is_none() -> None:
    whole = WELCOME[2 : -len(b" ack,session,stamp mail")]
    for length in range(len(whole) + 1):
        assert welcome_of(whole[:length]) is None
    assert welcome_of(whole + b" Ack") is None
    assert welcome_of(whole + b" ack;stamp") is None
    assert welcome_of(whole.replace(b"fedc", b"FEDC") + b" ack") is None


@given(HOSTILE_BYTES)
def test_hostile_hellos_and_welcomes_raise_nothing(text: bytes) -> None:
    Hello.read(text.ljust(198, b"."))
    Welcome.read(text)
    found = Welcome.read(WELCOME[2:].removesuffix(b"mail") + text)
    assert found is None or len(found.name) <= MAX_NAME
