"""Services that are switched off until the next reload."""

from __future__ import annotations

import errno
import socket
from contextlib import suppress

import pytest
from attrs import evolve
from pytest_twisted import ensureDeferred

from sockd.config.document import ConfigError, Mistake, Place
from sockd.config.settings import InstanceSettings, Settings
from sockd.daemon.daemon import Daemon, StartError
from sockd.daemon.plan import plan
from sockd.daemon.reload import Reloader
from sockd.ops.switches import Switches
from sockd.testing.sockets import Connection, address_of
from tests.daemon.running import (
    LOOPBACK,
    aside,
    daemon_of,
    heard,
    listeners,
    said_at,
    says,
    settings,
)
from tests.helpers import until
from tests.processes import free_port


def knock(address: tuple[str, int]) -> int:
    with socket.socket() as sock:
        sock.settimeout(60)
        return sock.connect_ex(address)


def hold(sock: socket.socket, address: tuple[str, int]) -> bool:
    """Listen there as soon as nobody else does."""
    with suppress(OSError):
        sock.bind(address)
        sock.listen()
        return True
    return False


def three() -> list[InstanceSettings]:
    return [says(f"tcp:0:{LOOPBACK}", name=name) for name in ("one", "two", "three")]


def names(daemon: Daemon) -> list[str]:
    return [one.name for one, _ in daemon.instances]


def off(switches: Switches) -> list[str]:
    return [one.name for one in switches.off]


@ensureDeferred
async def test_a_service_that_is_disabled_is_gone_and_the_others_stay() -> None:
    async with daemon_of(*three()) as daemon:
        switches = Switches(daemon)
        address = address_of(listeners(daemon)[1])
        switches.disable("two")
        assert names(daemon) == ["one", "three"]
        assert off(switches) == ["two"]
        assert await aside(knock, address) == errno.ECONNREFUSED
        assert [await said_at(one) for one in listeners(daemon)] == [b"one", b"one"]


@ensureDeferred
async def test_those_that_are_enabled_again_stand_where_they_stood() -> None:
    async with daemon_of(*three()) as daemon:
        switches = Switches(daemon)
        for name in ("three", "one", "two"):
            switches.disable(name)
        assert names(daemon) == []
        for name in ("two", "three", "one"):
            switches.enable(name)
        assert names(daemon) == ["one", "two", "three"]
        assert off(switches) == []
        assert await said_at(listeners(daemon)[0]) == b"one"


@ensureDeferred
async def test_connections_of_a_disabled_service_have_its_drain_time() -> None:
    async with daemon_of(*three()) as daemon:
        switches = Switches(daemon)
        with await aside(Connection, address_of(listeners(daemon)[0])) as wire:
            assert await heard(wire) == b"one"
            switches.disable("one")
            assert await aside(wire.receive_some, 1) == b""


@ensureDeferred
async def test_a_reload_forgets_what_was_disabled_and_one_that_fails_does_not() -> None:
    wanted = three()

    def load() -> Settings:
        if not wanted:
            raise ConfigError([Mistake(Place(), "", "nothing is there")])
        return settings(*wanted)

    async with daemon_of(*wanted) as daemon:
        reloader = Reloader(daemon, load)
        switches = Switches(daemon)
        switches.disable("two")
        kept, wanted[:] = wanted[:], []
        assert not (await reloader.reload()).ok
        assert (names(daemon), off(switches)) == (["one", "three"], ["two"])
        wanted[:] = kept
        assert (await reloader.reload(dry_run=True)).ok
        assert off(switches) == ["two"]
        assert (await reloader.reload()).ok
        assert names(daemon) == ["one", "two", "three"]
        assert not off(switches)


@ensureDeferred
async def test_one_whose_address_is_taken_meanwhile_stays_disabled_and_it_is_said_why() -> None:
    async with daemon_of(says(f"tcp:{free_port()}:{LOOPBACK}")) as daemon:
        switches = Switches(daemon)
        address = address_of(listeners(daemon)[0])
        switches.disable("says")
        with socket.socket() as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            await until(lambda: hold(other, address))
            with pytest.raises(StartError, match="says: "):
                switches.enable("says")
        assert off(switches) == ["says"]
        switches.enable("says")
        assert await said_at(listeners(daemon)[0]) == b"one"


@ensureDeferred
async def test_what_there_is_not_cannot_be_switched() -> None:
    async with daemon_of(*three()) as daemon:
        switches = Switches(daemon)
        with pytest.raises(KeyError):
            switches.disable("four")
        with pytest.raises(KeyError):
            switches.enable("one")
        assert names(daemon) == ["one", "two", "three"]


@ensureDeferred
async def test_one_that_the_configuration_has_switched_off_can_run_until_the_next_reload() -> None:
    one, two = evolve(three()[0], enabled=False), three()[1]
    wanted = evolve(settings(two), disabled=(one,))
    async with daemon_of(two) as daemon:
        daemon.apply(plan(daemon.settings, wanted))
        switches, reloader = Switches(daemon), Reloader(daemon, lambda: wanted)
        assert off(switches) == ["one"]
        switches.enable("one")
        assert names(daemon) == ["two", "one"]
        assert (await reloader.reload()).ok
        assert (names(daemon), off(switches)) == (["two"], ["one"])
