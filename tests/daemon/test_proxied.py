"""A proxy that has yet to send its header where what it has come to goes: in time, or not."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pytest_twisted import ensureDeferred

from sockd.config.settings import InstanceSettings
from sockd.daemon.daemon import Daemon, StartError
from tests.daemon.running import LOOPBACK, apply, aside, daemon_of, listeners, says
from tests.helpers import until
from tests.net.test_listener import Full
from tests.net.test_proxy import v1
from tests.processes import PATIENCE, free_port

STAYS = f"tcp:0:{LOOPBACK}"
OTHER = says(STAYS, name="other")
LAST = 7.0
"""Seconds of `drain`."""


def place(port: int, host: str = "127.0.0.1") -> str:
    return f"haproxy:tcp:{port}:interface={host}:proxies=127.0.0.1"


def proxied(port: int, *more: str, **table: Any) -> InstanceSettings:
    """A service behind a proxy, which waits for a header longer than a test lasts."""
    return says(place(port), *more, drain=f"{LAST:g}s", handshake_timeout="1h", **table)


def still() -> Full:
    """The running reactor, whose time the test moves."""
    reactor = Full()
    reactor.is_full = False
    return reactor


@asynccontextmanager
async def waiting(daemon: Daemon, port: int) -> AsyncIterator[socket.socket]:
    """A proxy that is connected to the first address, and has not said for whom."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as sock:
        await until(lambda: not listeners(daemon)[0].when_entered().called)
        yield sock


async def asked(sock: socket.socket, data: bytes = b"?") -> bytes:
    """What it gets; nothing where it was closed."""
    sock.sendall(data)
    found: bytes = await aside(sock.recv, 100)
    return found.strip()


@ensureDeferred
async def test_a_header_within_drain_has_one_served_until_that_is_over() -> None:
    reactor, port = still(), free_port()
    async with daemon_of(proxied(port), OTHER, reactor=reactor) as daemon:
        old = daemon.instances[0][1]
        async with waiting(daemon, port) as sock:
            apply(daemon, OTHER)
            reactor.clock.advance(LAST - 0.1)
            assert daemon.draining == (old,)
            assert await asked(sock, v1() + b"?") == b"one"
            assert len(old.guard.sessions) == 1
            assert not old.context.shared.has_stopped
            reactor.clock.advance(0.2)
            await until(lambda: not daemon.draining)
            assert old.context.shared.has_stopped
            assert not old.guard.sessions


@ensureDeferred
async def test_without_a_header_one_is_closed_when_drain_is_over() -> None:
    reactor, port = still(), free_port()
    async with daemon_of(proxied(port), OTHER, reactor=reactor) as daemon:
        old = daemon.instances[0][1]
        async with waiting(daemon, port) as sock:
            apply(daemon, OTHER)
            reactor.clock.advance(LAST - 0.1)
            assert not old.context.shared.has_stopped
            reactor.clock.advance(0.2)
            assert await aside(sock.recv, 100) == b""
            await until(lambda: not daemon.draining)
            assert old.context.shared.has_stopped


@ensureDeferred
async def test_who_never_comes_to_speak_holds_up_neither_the_end_nor_what_is_closed() -> None:
    reactor, port = still(), free_port()
    async with daemon_of(proxied(port), OTHER, reactor=reactor) as daemon:
        async with waiting(daemon, port) as sock:
            apply(daemon, OTHER)
            sock.close()
            await until(lambda: not daemon.draining)
        assert not daemon.leaving


@pytest.mark.parametrize("goes_first", [False, True], ids=["running", "draining"])
@ensureDeferred
async def test_a_stop_closes_at_once_who_has_sent_no_header(goes_first: bool) -> None:
    reactor, port = still(), free_port()
    running = daemon_of(proxied(port), OTHER, reactor=reactor)
    async with running as daemon, waiting(daemon, port) as sock:
        if goes_first:
            apply(daemon, OTHER)
        await daemon.stopService()  # no time passes
        assert await aside(sock.recv, 100) == b""


@ensureDeferred
async def test_at_an_address_that_a_service_gives_up_it_is_the_same() -> None:
    reactor, port = still(), free_port()
    running = daemon_of(proxied(port, STAYS), reactor=reactor)
    async with running as daemon, waiting(daemon, port) as early, waiting(daemon, port) as late:
        apply(daemon, says(STAYS, drain=f"{LAST:g}s"))
        assert await asked(early, v1() + b"?") == b"one"
        reactor.clock.advance(LAST + 0.1)
        assert await aside(late.recv, 100) == b""
        assert await asked(early) == b"one"  # the service lives on


@ensureDeferred
async def test_who_comes_in_by_it_with_the_old_options_has_what_they_share_to_his_end() -> None:
    reactor, port = still(), free_port()
    async with daemon_of(proxied(port, STAYS), reactor=reactor) as daemon:
        shared = daemon.instances[0][1].context.shared
        async with waiting(daemon, port) as sock:
            apply(daemon, says(STAYS, drain=f"{LAST:g}s", word="two"))
            assert await asked(sock, v1() + b"?") == b"one"
            reactor.clock.advance(LAST + 0.1)
            await until(lambda: not daemon.leaving)
            assert await asked(sock) == b"one"
        await until(lambda: shared.has_stopped)


@ensureDeferred
async def test_one_that_waits_at_an_address_that_stays_is_served_with_the_new_options() -> None:
    port = free_port()
    async with daemon_of(proxied(port)) as daemon:
        shared = daemon.instances[0][1].context.shared
        async with waiting(daemon, port) as sock:
            apply(daemon, proxied(port, word="two"))
            assert shared.has_stopped
            assert await asked(sock, v1() + b"?") == b"two"


@ensureDeferred
async def test_a_service_can_be_had_again_at_once_though_some_still_wait_at_its_end() -> None:
    port = free_port()
    async with daemon_of(proxied(port)) as daemon:
        for _ in range(3):
            async with waiting(daemon, port) as early:
                apply(daemon)
                apply(daemon, proxied(port))
                async with waiting(daemon, port) as late:
                    assert await asked(late, v1() + b"?") == b"one"
                    assert await asked(early, v1() + b"?") == b"one"


@ensureDeferred
async def test_one_that_waits_where_another_service_has_the_address_is_in_nobodys_way() -> None:
    port = free_port()
    wide = says(f"tcp:{port}:interface=0.0.0.0", name="wide")
    async with daemon_of(proxied(port)) as daemon, waiting(daemon, port) as early:
        apply(daemon, proxied(port, name="renamed"))
        assert daemon.draining
        with pytest.raises(StartError, match="address in use"):  # the service still has it
            apply(daemon, proxied(port, name="renamed"), wide)
        assert await asked(early, v1() + b"?") == b"one"
