"""How the daemon is: what is ready, what is missing, and why the last reload has failed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from pytest_twisted import ensureDeferred
from twisted.internet.defer import succeed

from sockd.config.document import ConfigError, Mistake, Place
from sockd.config.settings import Settings
from sockd.ops.control.arguments import Arguments
from sockd.ops.control.commands.status import status
from sockd.ops.operations import Operations
from sockd.options.control import ControlPath
from sockd.testing.sockets import Connection, address_of
from tests.daemon.running import LOOPBACK, aside, daemon_of, heard, listeners, says, settings

NOWHERE = "interface=192.0.2.1"
"""An address that no host here has."""


def fails() -> Settings:
    raise ConfigError([Mistake(Place(), "service.x", "there is no such kind")])


@asynccontextmanager
async def operations_of(*instances: Any, load: Any = None) -> AsyncIterator[Operations]:
    async with daemon_of(*instances) as daemon:
        yield Operations(daemon, load or (lambda: settings(*instances)))


def told(operations: Operations) -> Any:
    return status(operations, Arguments({}))


@ensureDeferred
async def test_services_are_told_with_their_addresses_connections_and_counts() -> None:
    async with operations_of(says(f"tcp:0:{LOOPBACK}", f"udp:0:{LOOPBACK}")) as operations:
        listener = listeners(operations.daemon)[0]
        with await aside(Connection, address_of(listener)) as wire:
            assert await heard(wire) == b"one"
            answer = told(operations)
        assert answer["ready"]
        assert answer["connections"] == 1
        [service] = answer["services"]
        assert (service["name"], service["kind"], service["connections"]) == ("says", "says", 1)
        assert service["totals"]["connections"] == 1
        assert (service["totals"]["bytes_in"], service["totals"]["bytes_out"]) == (1, 4)
        assert service["rates"].keys() == service["totals"].keys()
        assert [one["transport"] for one in service["addresses"]] == ["tcp", "udp"]
        assert service["addresses"][0]["address"] == listener.address
        assert all(one["is_listening"] for one in service["addresses"])


@ensureDeferred
async def test_an_address_that_may_be_missing_is_told_and_the_daemon_is_ready() -> None:
    async with operations_of(says(f"tcp:0:{NOWHERE}", required=False)) as operations:
        answer = told(operations)
        assert (answer["ready"], answer["missing"]) == (True, [])
        [address] = answer["services"][0]["addresses"]
        assert not address["is_listening"]
        assert address["waits_for"]


@ensureDeferred
async def test_an_address_that_somebody_relies_on_and_is_not_there_is_missing() -> None:
    async with operations_of(says(f"tcp:0:{LOOPBACK}")) as operations:
        listener = listeners(operations.daemon)[0]
        await listener.close()  # type: ignore[misc]  # it is open
        answer = told(operations)
        assert not answer["ready"]
        assert answer["missing"] == [f"says: {listener.address}: not listened on"]


@ensureDeferred
async def test_the_second_address_of_a_name_is_not_missed() -> None:
    async with operations_of(says("tcp:0:interface=localhost")) as operations:
        [second] = [one for one in listeners(operations.daemon) if one.listen.terms.optional]
        await (second.close() or succeed(None))
        answer = told(operations)
        assert not answer["services"][0]["addresses"][1]["is_listening"]
        assert (answer["ready"], answer["missing"]) == (True, [])


@ensureDeferred
async def test_a_daemon_that_stops_is_not_ready() -> None:
    async with operations_of(says(f"tcp:0:{LOOPBACK}")) as operations:
        await operations.daemon.stopService()
        assert not told(operations)["ready"]


@ensureDeferred
async def test_why_a_reload_has_failed_is_told_until_one_succeeds() -> None:
    wanted = [fails]
    instance = says(f"tcp:0:{LOOPBACK}")
    async with operations_of(instance, load=lambda: wanted[0]()) as operations:
        await operations.reloader.reload()
        found = told(operations)["configuration"]
        assert found["failure"]["reasons"] == ["service.x: there is no such kind"]
        assert (found["reloads"], found["failed"]) == (0, 1)
        wanted[0] = lambda: settings(instance, control=ControlPath.parse("off"))
        await operations.reloader.reload()
        found = told(operations)["configuration"]
        assert found["failure"] is None
        assert (found["reloads"], found["failed"]) == (1, 1)


@ensureDeferred
async def test_a_service_that_is_disabled_is_told_and_not_missing() -> None:
    async with operations_of(says(f"tcp:0:{LOOPBACK}")) as operations:
        operations.switches.disable("says")
        answer = told(operations)
        assert (answer["ready"], answer["disabled"], answer["services"]) == (
            True,
            [{"name": "says", "until_reload": True}],
            [],
        )


@ensureDeferred
async def test_refusals_are_told_by_reason() -> None:
    instance = says(f"tcp:0:{LOOPBACK}", deny=["127.0.0.0/8"])
    async with operations_of(instance) as operations:
        listener = listeners(operations.daemon)[0]
        with await aside(Connection, address_of(listener)) as wire:
            assert await aside(wire.receive_some, 1) == b""
        [service] = told(operations)["services"]
        assert service["refused"] == {"deny": 1}
        assert service["totals"]["refused"] == 1


@ensureDeferred
async def test_files_are_told_as_whoever_asks_can_open_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with operations_of(says(f"tcp:0:{LOOPBACK}")) as operations:
        daemon = operations.daemon
        daemon.settings = evolve(daemon.settings, files=("a.toml", "/b.toml"))
        monkeypatch.chdir(tmp_path)  # as twistd goes to its --rundir
        folder = operations.folder
        assert told(operations)["configuration"]["files"] == [f"{folder}/a.toml", "/b.toml"]
        assert Path(folder) != tmp_path


@ensureDeferred
async def test_it_takes_no_argument() -> None:
    async with operations_of() as operations:
        with pytest.raises(Exception, match="there is no argument 'ready'"):
            status(operations, Arguments({"ready": True}))
