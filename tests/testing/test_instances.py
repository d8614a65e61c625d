"""What tests make of a table: instances in memory, and their clients."""

from __future__ import annotations

import pytest

from sockd.access.peer import Peer
from sockd.config.document import ConfigError
from sockd.testing import NOON, connect, knock, make_context, open_port, open_sender
from sockd.testing.instances import GROUP
from tests.testing.kinds import DOORS, SHOUT


def test_a_table_is_checked_as_the_daemon_checks_it() -> None:
    assert str(make_context(SHOUT, idle_timeout="300").limits.idle_timeout) == "5m"
    with pytest.raises(ConfigError, match="idle_timeout"):
        make_context(SHOUT, idle_timeout="5 bananas")


def test_the_door_refuses_whom_the_table_denies() -> None:
    context = make_context(SHOUT, deny=["192.0.2.0/24"])
    assert knock(SHOUT, context, Peer("192.0.2.1", 7000)) is None
    assert connect(SHOUT, context, Peer("198.51.100.1", 7000)).received == b""


def test_a_door_is_named_by_its_role() -> None:
    context = make_context(DOORS)
    client = connect(DOORS, context, role="lines")
    client.send(b"in two", b" reads\n")
    assert client.received == b"IN TWO READS\r\n"
    assert open_port(DOORS, context, role="datagrams").ask(b"a") == [b"A"]
    with pytest.raises(AssertionError, match="has no datagrams"):
        open_port(DOORS, context)


def test_a_sender_sends_when_its_time_has_come() -> None:
    context = make_context("beacon")
    loop = context.world.reactor
    port = open_sender("beacon", context)
    assert not port.sent
    loop.wall.now = NOON - NOON % 15 + 15
    loop.advance(1)
    assert [one.to for one in port.sent] == [GROUP]
