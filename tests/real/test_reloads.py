"""R1: a reload refuses nobody, resets nobody and loses no datagram."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.reloads import measure
from sockd.ops.control.client import ControlClient
from tests.daemons import REACTOR, Daemon, namespace
from tests.real.handshakes import Handshake, wire_to


def test_while_connections_and_datagrams_come_all_are_answered() -> None:
    result = measure(rounds=8, connections=800, reactor=os.environ[REACTOR])
    assert not result.unanswered, result.lines()
    answered = {what for what, number in result.counts.items() if number}
    assert answered == {f"{one} answered" for one in ("tcp", "unix", "udp", "unixgram")}


@pytest.fixture
def host() -> Iterator[str]:
    with namespace() as name:
        yield name


@pytest.mark.parametrize(
    ("before", "after"), [("", ":interface=10.66.0.1"), (":interface=10.66.0.1", "")]
)
def test_a_handshake_that_has_begun_at_an_address_ends_there_when_another_takes_its_place(
    before: str, after: str, host: str, tmp_path: Path
) -> None:
    text = "[service.echo]\nlisten = ['tcp:7{}']"
    with wire_to(host) as wire, Daemon(tmp_path, text.format(before), namespace=host) as daemon:
        early = Handshake(wire, 7)
        early.begin()
        Path(daemon.folder / "sockd.toml").write_text(text.format(after), "utf-8")
        with ControlClient(str(daemon.runtime / "control.sock"), 60) as client:
            assert client.ask("reload")["ok"]
        assert early.finish(b"early") == b"early"
        late = Handshake(wire, 7, own=40_001)
        late.begin()
        assert late.finish(b"late") == b"late"
