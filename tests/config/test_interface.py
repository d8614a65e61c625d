"""Another interface for the built-in configuration, where nobody has written a file."""

from __future__ import annotations

import pytest

from sockd.config.document import ConfigError
from sockd.config.load import load
from sockd.config.settings import Settings
from sockd.service import find
from tests.commands import sockd

FOUND = find()
LOOPBACK = {"127.0.0.1", "::1"}


def at(interface: str | None, *assignments: str) -> Settings:
    """The built-in configuration there."""
    return load(None, None, assignments, FOUND, interface)


def hosts(settings: Settings) -> set[str]:
    """Where it listens, over IP."""
    return {
        listen.address.interface if listen.transport == "multicast" else listen.host
        for instance in settings.instances
        for listen in instance.listen
        if not listen.path
    }


def test_without_it_all_is_on_loopback() -> None:
    assert hosts(at(None)) == LOOPBACK


@pytest.mark.parametrize(
    ("interface", "found"),
    [
        ("*", {"0.0.0.0", "::"}),
        ("192.0.2.1", {"192.0.2.1"}),
        ("localhost", LOOPBACK),
        # the beacon's group is of IPv4, and so is its interface
        ("2001:db8::1", {"2001:db8::1", "127.0.0.1"}),
        ("[2001:db8::1]", {"2001:db8::1", "127.0.0.1"}),
        ("fe80::1%lo", {"fe80::1%lo", "127.0.0.1"}),
    ],
)
def test_all_that_is_on_loopback_listens_there_instead(interface: str, found: set[str]) -> None:
    moved = at(interface)
    assert hosts(moved) == found
    assert [one.name for one in moved.instances] == [one.name for one in at(None).instances]


def test_what_is_set_one_by_one_is_laid_over_it() -> None:
    assert hosts(at("192.0.2.1", 'service.echo.listen=["tcp:7:interface=192.0.2.9"]')) == {
        "192.0.2.1",
        "192.0.2.9",
    }


@pytest.mark.parametrize(
    "wrong", ["", "eth0", "a:b", "127.0.0.1:backlog=3", "0", "[::1", "1.2.3.4:"]
)
def test_what_is_no_address_is_told_once_with_the_option(wrong: str) -> None:
    with pytest.raises(ConfigError) as caught:
        at(wrong)
    assert caught.value.is_usage
    [mistake] = caught.value.mistakes
    assert str(mistake).startswith(f"--interface {wrong}: ")


def test_a_file_says_itself_where_it_listens() -> None:
    result = sockd("check", "--interface", "*", "sockd.toml")
    assert result.exit_code == 2
    assert "--interface is for the built-in configuration" in result.output
