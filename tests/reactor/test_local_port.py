"""A port on a bound Unix socket: its file, its mode and its queue are the caller's."""

from __future__ import annotations

import socket
import stat
from pathlib import Path
from typing import Any

import pytest_twisted
from twisted.internet.defer import maybeDeferred
from twisted.internet.protocol import Factory

from sockd.reactor.local import adopt_local_port
from tests.helpers import until
from tests.memory import REACTOR
from tests.reactor.streams import Echo


@pytest_twisted.ensureDeferred
async def test_it_serves_and_leaves_the_mode_and_the_file_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "sock"
    accepted: list[Any] = []

    def build() -> Echo:
        protocol = Echo()
        accepted.append(protocol)
        return protocol

    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(path))
        path.chmod(0o640)
        port = adopt_local_port(REACTOR, bound, Factory.forProtocol(build), 3)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        await until(lambda: accepted)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    await maybeDeferred(port.stopListening)
    assert path.is_socket()
    await until(lambda: not accepted[0].transport.connected)
