"""What was read from a socket and not handed on yet, where the socket goes to another or ends."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pytest_twisted import ensureDeferred

from sockd.daemon.daemon import Daemon
from tests.daemon.running import (
    ALSO_SAYS,
    LOOPBACK,
    apply,
    aside,
    daemon_of,
    listeners,
    says,
)
from tests.daemon.test_owed import waiting
from tests.helpers import until
from tests.processes import PATIENCE

TEXT = f"udp:0:{LOOPBACK}"
LARGE = b"?" * 30_000
"""More of these than are handed on in a pass fit into any receive buffer."""
NUMBER = 4


@contextmanager
def half_read(daemon: Daemon) -> Iterator[tuple[Any, socket.socket]]:
    """A port that has read more than it has handed on, and who has asked it."""
    [port] = [one.port for one in listeners(daemon)]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(PATIENCE)
        client.connect(port.socket.getsockname())
        for _ in range(NUMBER):
            client.send(LARGE)
        port.doRead()
        assert port.has_rest
        yield port, client


async def answers(client: socket.socket) -> list[bytes]:
    return [await aside(client.recv, 100) for _ in range(NUMBER)]


@ensureDeferred
async def test_it_is_answered_where_a_stop_comes_or_an_upgrade() -> None:
    async with daemon_of(says(TEXT)) as daemon:
        with half_read(daemon) as (port, client):
            port.stopReading()  # as before an upgrade
            await daemon.stopService()
            assert await answers(client) == [b"one"] * NUMBER


@ensureDeferred
async def test_where_another_has_the_socket_now_it_is_waited_for_what_is_owed_for_it() -> None:
    kind, owed = waiting()
    async with daemon_of(says(TEXT, kind=kind)) as daemon:
        with half_read(daemon) as (_, client):
            apply(daemon, says(TEXT, kind=ALSO_SAYS, word="two"))
            client.send(b"?")
            assert await aside(client.recv, 100) == b"two"
            for one in owed:
                one.callback(b"one")
            assert await answers(client) == [b"one"] * NUMBER


@ensureDeferred
async def test_an_address_that_has_gone_ends_for_who_holds_its_socket_too() -> None:
    """As a service manager does, until it has heard of it."""
    text = f"tcp:0:{LOOPBACK}"
    async with daemon_of(says(text, name="stays"), says(text, name="goes")) as daemon:
        _, going = listeners(daemon)
        with going.port.socket.dup() as held:
            apply(daemon, says(text, name="stays"))
            await until(lambda: not held.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
