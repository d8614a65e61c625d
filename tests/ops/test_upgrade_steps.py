"""What an upgrade waits for, before the process becomes another one."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from pytest_twisted import ensureDeferred

from sockd.config.settings import InstanceSettings
from sockd.daemon.daemon import Daemon, StartError
from sockd.daemon.keeping import Keeping
from sockd.daemon.reload import Reloader
from sockd.net.leaving import ARRIVAL_SECONDS
from sockd.ops.manager import ServiceManager
from sockd.ops.restart import Restart
from sockd.ops.switches import Switches
from sockd.ops.upgrade import ANSWER_SECONDS, LOOK_SECONDS, MOMENT_SECONDS, OTHER_COMES, Upgrade
from sockd.testing.log import LogRecorder
from sockd.testing.sockets import Connection, address_of
from tests.daemon.running import (
    LOOPBACK,
    apply,
    aside,
    daemon_of,
    heard,
    listeners,
    says,
    settings,
)
from tests.daemon.test_owed import client, waiting
from tests.helpers import until
from tests.net.test_listener import Full
from tests.processes import free_port


@asynccontextmanager
async def begun(
    *instances: InstanceSettings, wanted: InstanceSettings | None = None
) -> AsyncIterator[tuple[Daemon, Full, Reloader, Upgrade]]:
    """A daemon whose clock the test advances, an upgrade that has not begun; and its end."""
    reactor = Full()
    reactor.is_full = False
    async with daemon_of(*instances, reactor=reactor) as daemon:
        reloader = Reloader(daemon, lambda: settings(wanted) if wanted else daemon.settings)
        keeping = Keeping(daemon)
        manager = ServiceManager(daemon, reloader, keeping)
        one = Upgrade(daemon, keeping, manager, lambda: daemon.settings)
        one.restart = Restart(argv=["/bin/true"])
        daemon.running = 1
        yield daemon, reactor, reloader, one
        stopped = daemon.stopService()
        reactor.clock.advance(MOMENT_SECONDS)
        await stopped


@ensureDeferred
async def test_once_it_is_sure_nothing_changes_any_more_and_a_stop_leaves_nobody_waiting() -> None:
    async with begun(says(f"tcp:0:{LOOPBACK}"), wanted=says("tcp:0")) as (daemon, _, reloader, one):
        await one.begin()
        assert (await reloader.reload()).reasons == (OTHER_COMES,)
        with pytest.raises(StartError, match="another daemon takes the place"):
            Switches(daemon).disable("says")
        address = listeners(daemon)[0].port.socket.getsockname()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)
    assert (await reloader.reload()).reasons == ("the daemon stops",)


@ensureDeferred
async def test_who_is_on_the_way_to_an_address_that_goes_comes_before_it_begins(
    log: LogRecorder,
) -> None:
    port = free_port()
    async with begun(says(f"tcp:{port}:{LOOPBACK}")) as (daemon, reactor, _, one):
        with await aside(Connection, address_of(listeners(daemon)[0])) as wire:
            assert await heard(wire) == b"one"  # while somebody is there it does not end
            apply(daemon, says(f"tcp:{port}"))
            assert daemon.leaving
            await one.begin()
            reactor.clock.advance(ANSWER_SECONDS)
            assert not log.events("upgrading")
            reactor.clock.advance(ARRIVAL_SECONDS)
            assert log.events("upgrading")


@ensureDeferred
async def test_an_answer_to_a_datagram_that_is_owed_is_given_before_it_ends() -> None:
    (kind, owed), port = waiting(), free_port()
    async with begun(says(f"udp:{port}:{LOOPBACK}", kind=kind)) as (_, reactor, _, one):
        with client(port) as asks:
            await until(lambda: bool(owed))
            await one.begin()
            reactor.clock.advance(ANSWER_SECONDS)
            reactor.clock.advance(LOOK_SECONDS)
            assert not one.is_going
            owed[0].callback(b"late")
            assert await aside(asks.recv, 100) == b"late"
