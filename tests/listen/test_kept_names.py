"""Names of sockets that wait for the next daemon."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockd.listen.kept_names import PREFIX, Kept, kept

_WORDS = st.from_regex(r"\A[A-Za-z0-9_-]{1,32}\Z")
_NUMBERS = st.integers(0, 2**64 - 1)
EVERY = st.builds(
    Kept,
    st.sampled_from(["tcp", "udp", "unix", "unixgram"]),
    _WORDS,
    st.just("") | _WORDS.filter(lambda word: word != "-"),
    st.none() | st.integers(0, 65535),
    st.none() | st.tuples(_NUMBERS, _NUMBERS),
)


@given(EVERY, st.text())
def test_a_name_says_whose_a_socket_is_and_is_one_that_systemd_takes(one: Kept, place: str) -> None:
    name = one.name(place)
    assert kept(name) == one
    assert name.startswith(PREFIX)
    assert len(name) <= 255
    assert re.fullmatch("[!-9;-~]+", name)


def test_where_it_is_can_be_read() -> None:
    assert Kept("tcp", "echo").name("127.0.0.1:7") == "sockd/tcp/echo/-/-/-/127.0.0.1_7"
    assert Kept("unix", "wrap", file=(26, 1234)).name("/run/sockd/wrap.sock") == (
        "sockd/unix/wrap/-/-/26.1234//run/sockd/wrap.sock"
    )


@given(st.text())
def test_a_name_of_anything_else_says_nothing(name: str) -> None:
    assert kept(name) is None


@pytest.mark.parametrize(
    "name", ["sockd.socket", "sockd/", "sockd/tcp/a/-/-/-", "sockd/tcp/a/-/x/-/p"]
)
def test_a_name_that_is_almost_one_says_nothing(name: str) -> None:
    assert kept(name) is None
