"""What the server's secret makes, and knows again."""

from __future__ import annotations

from hashlib import blake2b

from hypothesis import given
from hypothesis import strategies as st

from sockd.chat.secret import SECRET_BYTES, SLOT_SECONDS, STRICT_NUMBERS, Secret

SECRET = Secret(bytes(range(SECRET_BYTES)))
NONCE = bytes(8)


def test_a_cookie_is_good_in_its_slot_and_the_next_for_its_place_and_nonce_alone() -> None:
    cookie = SECRET.cookie("udp 1", NONCE, 1, SLOT_SECONDS)
    for now in (SLOT_SECONDS, 3 * SLOT_SECONDS - 0.1):
        assert SECRET.is_cookie(cookie, "udp 1", NONCE, 1, now)
    for now in (SLOT_SECONDS - 0.1, 3 * SLOT_SECONDS):
        assert not SECRET.is_cookie(cookie, "udp 1", NONCE, 1, now)
    assert not SECRET.is_cookie(cookie, "udp 1", NONCE, 2, SLOT_SECONDS)  # after a start
    assert not SECRET.is_cookie(cookie, "udp 2", NONCE, 1, SLOT_SECONDS)
    assert not SECRET.is_cookie(cookie, "udp 1", b"12345678", 1, SLOT_SECONDS)
    other = Secret(bytes(SECRET_BYTES))
    assert not other.is_cookie(cookie, "udp 1", NONCE, 1, SLOT_SECONDS)


@given(st.text(max_size=8), st.text(max_size=8), st.binary(max_size=8), st.binary(max_size=8))
def test_no_two_questions_run_into_each_other(a: str, b: str, x: bytes, y: bytes) -> None:
    if (a, x) != (b, y):
        assert SECRET.session(a, x, b"n") != SECRET.session(b, y, b"n")


def test_names_of_any_case_have_the_same_key_and_number() -> None:
    session = bytes(8)
    assert SECRET.session_key(session, b"Ada") == SECRET.session_key(session, b"aDA")
    assert SECRET.number("p", b"Ada") == SECRET.number("p", b"aDA") < STRICT_NUMBERS
    assert SECRET.channel_key(b"Pets", 1) == SECRET.channel_key(b"PETS", 1)
    assert SECRET.channel_key(b"Pets", 1) != SECRET.channel_key(b"Pets", 2)


def test_a_key_is_made_as_it_is_written_down() -> None:
    parts = b"\0\x08" + bytes(8) + b"\0\x03ada"
    made = blake2b(parts, digest_size=16, key=SECRET.value, person=b"session").digest()
    assert SECRET.session_key(bytes(8), b"Ada") == made


def test_the_secret_is_not_shown() -> None:
    assert repr(SECRET) == "Secret()"
