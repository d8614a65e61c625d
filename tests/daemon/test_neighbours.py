"""Addresses that share a port or a name: one goes, the other stays, comes, or is there already."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from pytest_twisted import ensureDeferred

from sockd.config.settings import InstanceSettings
from sockd.daemon.daemon import StartError
from sockd.net.leaving import ARRIVAL_SECONDS
from sockd.testing.certificate import make_certificate
from sockd.testing.log import LogRecorder
from tests.daemon.running import LOOPBACK, Spoken, apply, aside, daemon_of, listeners, says
from tests.daemon.test_inheriting import heir, left_by, which
from tests.net.test_listener import Full
from tests.processes import PATIENCE, free_port

BESIDE = "interface=127.0.0.2"


def at(port: int, *where: str, name: str = "says") -> InstanceSettings:
    """Datagrams at these addresses of one port."""
    return says(*(f"udp:{port}:{one}" for one in where), name=name)


def takes_connections(address: tuple[str, int]) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(address) == 0


async def answered(host: str, port: int) -> bytes:
    def ask() -> bytes:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(PATIENCE)
            sock.connect((host, port))
            sock.send(b"?")
            return sock.recv(100)

    word: bytes = await aside(ask)
    return word


@ensureDeferred
async def test_an_address_is_inherited_though_another_of_its_port_is_wanted_by_nobody() -> None:
    port = free_port()
    async with heir(at(port, LOOPBACK, BESIDE)) as first:
        [before, _] = which(first)
        legacy = left_by(first)
    async with heir(at(port, LOOPBACK), of=legacy) as second:
        assert which(second) == [before]
        assert await answered("127.0.0.1", port) == b"one"


@ensureDeferred
async def test_an_address_gets_another_name_while_another_of_its_port_goes() -> None:
    port = free_port()
    async with daemon_of(at(port, LOOPBACK, BESIDE)) as daemon:
        [before, _] = which(daemon)
        apply(daemon, at(port, LOOPBACK, name="renamed"))
        assert which(daemon) == [before]
        assert await answered("127.0.0.1", port) == b"one"


@ensureDeferred
async def test_an_address_gets_another_name_while_the_wildcard_before_it_is_still_read() -> None:
    port = free_port()
    async with daemon_of(at(port, "interface=*")) as daemon:
        apply(daemon, at(port, LOOPBACK))
        assert daemon.leaving
        [before] = which(daemon)
        apply(daemon, at(port, LOOPBACK, name="renamed"))
        assert which(daemon) == [before]


@ensureDeferred
async def test_a_stop_stops_all_while_a_service_that_was_replaced_is_still_read(
    log: LogRecorder,
) -> None:
    port, reactor = free_port(), Full()
    reactor.is_full = False
    other = says(f"tcp:0:{LOOPBACK}", name="other")
    async with daemon_of(at(port, "interface=*", name="old"), other, reactor=reactor) as daemon:
        apply(daemon, at(port, LOOPBACK, name="new"), other)
        assert daemon.draining
        address = listeners(daemon)[-1].port.socket.getsockname()
        await daemon.stopService()
        assert not takes_connections(address)
        assert log.events("stopped")
    reactor.clock.advance(ARRIVAL_SECONDS)


@pytest.mark.parametrize(("old", "new"), [("unix", "unixgram"), ("unixgram", "unix")])
@ensureDeferred
async def test_another_kind_of_socket_takes_the_path_of_one_that_was_inherited(
    old: str, new: str, tmp_path: Path
) -> None:
    path = tmp_path / "sock"
    async with heir(says(f"{old}:{path}")) as first:
        legacy = left_by(first)
    async with heir(says(f"{new}:{path}"), of=legacy) as second:
        assert len(second.unclaimed) == 1
        kind = socket.SOCK_STREAM if new == "unix" else socket.SOCK_DGRAM
        with socket.socket(socket.AF_UNIX, kind) as client:
            client.connect(str(path))
    assert list(tmp_path.iterdir()) == []


@ensureDeferred
async def test_a_path_that_was_inherited_is_as_it_was_after_a_start_that_fails(
    tmp_path: Path,
) -> None:
    path = tmp_path / "sock"
    async with heir(says(f"unix:{path}")) as first:
        legacy = left_by(first)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        bad = says(f"tcp:{port}:{LOOPBACK}", name="bad")
        with pytest.raises(StartError):
            async with heir(says(f"unixgram:{path}"), bad, of=legacy):
                pass
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
    legacy.end_rest(())
    assert list(tmp_path.iterdir()) == []


@ensureDeferred
async def test_an_inherited_address_that_cannot_be_served_yet_is_left_to_nobody(
    tmp_path: Path,
) -> None:
    certificate, key, *_ = make_certificate(tmp_path)
    tls = says(f"tls:{free_port()}:{key}:{certificate}:{LOOPBACK}", required=False)
    async with heir(tls) as first:
        address = listeners(first)[0].port.socket.getsockname()
        legacy = left_by(first)
    certificate.rename(tmp_path / "elsewhere")
    async with heir(tls, of=legacy) as second:
        assert not takes_connections(address), "who came would wait for nobody"
        assert len(second.unclaimed) == 1
        (tmp_path / "elsewhere").rename(certificate)


@ensureDeferred
async def test_what_a_service_shares_that_does_not_come_is_let_go_of() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        async with daemon_of(says(f"tcp:0:{LOOPBACK}", name="other")) as daemon:
            before = Spoken.held
            with pytest.raises(StartError):
                apply(daemon, says(f"tcp:{port}:{LOOPBACK}"))
            assert Spoken.held == before
