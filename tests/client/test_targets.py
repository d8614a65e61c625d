"""Whom to ask, as it is written on a command line."""

from __future__ import annotations

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from sockd.client.targets import Target, Transport, parse_host


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("localhost", "localhost", None),
        ("localhost:7", "localhost", 7),
        ("10.0.0.1:65535", "10.0.0.1", 65535),
        ("::1", "::1", None),
        ("fe80::1%eth0", "fe80::1%eth0", None),
        ("[::1]", "::1", None),
        ("[::1]:13", "::1", 13),
    ],
)
def test_a_host_may_have_a_port_behind_a_colon(text: str, host: str, port: int | None) -> None:
    assert parse_host(text) == (host, port)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "no host"),
        (":7", "no host"),
        ("[]:7", "no host"),
        ("a:", "''"),
        ("a:0", "'0'"),
        ("a:65536", "'65536'"),
        ("a:7x", "'7x'"),
        ("a:ftp", "got 'ftp'; get and send take a service's name as a word of its own"),
        ("a:000080123", "'000080123'"),
        ("a:\u0663", "port"),
        ("[::1", "got '[::1'"),
        ("[::1]7", "got '[::1]7'"),
        ("a:" + "9" * 5000, "port"),
    ],
)
def test_what_is_no_host_is_told(text: str, what: str) -> None:
    with pytest.raises(ValueError, match=r"host|port") as told:
        parse_host(text)
    assert what in str(told.value)


@given(st.text(max_size=40))
def test_any_text_is_a_host_or_a_mistake(text: str) -> None:
    try:
        host, port = parse_host(text)
    except ValueError:
        return
    assert host
    assert port is None or 1 <= port <= 65_535


def test_a_target_is_written_as_it_is_read() -> None:
    assert str(Target(Transport.TCP, "::1", 7)) == "[::1]:7"
    assert str(Target(Transport.UNIX, path="/run/x")) == "/run/x"
    assert Target(Transport.UNIX, path="/run/x").name == "/run/x"


def test_an_address_is_called_by_the_name_that_it_was_found_by() -> None:
    found = Target(Transport.TCP, "::1", 7, known_as="localhost")
    assert (found.name, str(found)) == ("localhost (::1)", "[::1]:7")
    assert evolve(found, is_named_with_port=True).name == "localhost:7 (::1)"
    assert Target(Transport.TCP, "::1", 7, known_as="::1").name == "::1"
