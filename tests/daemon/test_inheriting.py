"""Sockets that were there before the daemon: found by their address, and those of nobody end."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
from pytest_twisted import ensureDeferred

from sockd.config.settings import InstanceSettings
from sockd.daemon.daemon import Daemon, StartError
from sockd.daemon.keeping import Keeping
from sockd.listen import sockets
from sockd.listen.inherited import Inheritance, inheritance, inode
from tests.daemon.running import (
    LOOPBACK,
    apply,
    aside,
    listeners,
    said_at,
    says,
    settings,
)
from tests.helpers import make_world
from tests.listen.test_socket_owners import GROUP, as_nobody, path, state
from tests.memory import REACTOR
from tests.processes import NOBODY, PATIENCE, free_port, is_listening

__all__ = ["path"]


@asynccontextmanager
async def heir(
    *instances: InstanceSettings, of: Inheritance | None = None
) -> AsyncIterator[Daemon]:
    """A daemon that runs them, with what was left to it."""
    world = make_world(REACTOR, inherited=of or Inheritance())
    daemon = Daemon(settings(*instances), world)
    daemon.privilegedStartService()
    try:
        yield daemon
    finally:
        stopped = daemon.stopService()
        daemon.hurry()
        await stopped


def left(kept: Mapping[str, socket.socket]) -> Inheritance:
    """What another process gets of them: descriptors of its own."""
    return inheritance([(name, os.dup(sock.fileno())) for name, sock in kept.items()])


def left_by(daemon: Daemon) -> Inheritance:
    """What a daemon leaves to the next one."""
    keeping = Keeping(daemon)
    found = left(keeping.sockets())
    keeping.leave(found.names.values())
    return found


def which(daemon: Daemon) -> list[tuple[int, int]]:
    return [inode(one.bound_socket) for one in listeners(daemon) if one.bound_socket is not None]


def everything(folder: Path) -> InstanceSettings:
    """An instance at each kind of address, some of them of the kernel's choice."""
    return says(
        f"tcp:{free_port()}:{LOOPBACK}",
        f"udp:{free_port()}:{LOOPBACK}",
        f"tcp:0:{LOOPBACK}",
        f"tcp:0:{LOOPBACK}",
        f"udp:0:{LOOPBACK}",
        "tcp:0:interface=[::1]",
        f"unix:{folder}/stream",
        f"unixgram:{folder}/datagrams",
    )


@ensureDeferred
async def test_each_address_goes_on_with_the_socket_that_it_had(tmp_path: Path) -> None:
    wanted = everything(tmp_path)
    async with heir(wanted) as first:
        before = which(first)
        legacy = left_by(first)
    assert (tmp_path / "stream").is_socket()
    async with heir(wanted, of=legacy) as second:
        assert which(second) == before
        assert await said_at(listeners(second)[0]) == b"one"
        assert second.unclaimed == []
        again = left_by(second)
    async with heir(wanted, of=again) as third:
        assert which(third) == before
    # the last one keeps nothing
    assert list(tmp_path.iterdir()) == []


@ensureDeferred
async def test_who_comes_while_there_is_no_daemon_is_served_by_the_next(tmp_path: Path) -> None:
    wanted = everything(tmp_path)
    async with heir(wanted) as first:
        legacy = left_by(first)
        tcp, udp = listeners(first)[0].entrance, listeners(first)[1].entrance
    with (
        socket.create_connection((tcp.host, tcp.port), PATIENCE) as waits,
        socket.socket(socket.AF_UNIX) as local,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asks,
    ):
        waits.sendall(b"?")
        local.settimeout(PATIENCE)
        local.connect(str(tmp_path / "stream"))
        local.sendall(b"?")
        asks.settimeout(PATIENCE)
        asks.connect((udp.host, udp.port))
        asks.send(b"?")
        async with heir(wanted, of=legacy):
            assert await aside(waits.recv, 100) == b"one\n"
            assert await aside(local.recv, 100) == b"one\n"
            assert await aside(asks.recv, 100) == b"one"


@ensureDeferred
async def test_a_name_is_kept_while_the_socket_lives(tmp_path: Path) -> None:
    port = free_port()
    async with heir(says(f"tcp:{port}:{LOOPBACK}")) as first:
        [name] = Keeping(first).sockets()
        legacy = left_by(first)
    async with heir(says(f"tcp:{port}:{LOOPBACK}", name="other"), of=legacy) as second:
        keeping = Keeping(second)
        assert list(keeping.sockets()) == [name]
        apply(second, says(f"tcp:{port}:{LOOPBACK}", name="third"))
        assert list(keeping.sockets()) == [name]


@ensureDeferred
async def test_addresses_of_tcp_and_udp_at_one_port_have_names_of_their_own() -> None:
    port = free_port()
    async with heir(says(f"tcp:{port}:{LOOPBACK}", f"udp:{port}:{LOOPBACK}")) as daemon:
        assert len(Keeping(daemon).sockets()) == 2


@ensureDeferred
async def test_what_nobody_listens_at_any_more_ends(tmp_path: Path) -> None:
    wanted = everything(tmp_path)
    async with heir(wanted) as first:
        legacy = left_by(first)
        tcp = listeners(first)[0].entrance
    names = [one.name for one in legacy.sockets]
    with socket.socket() as kept:  # as the manager has it
        os.dup2(legacy.sockets[0].sock.fileno(), kept.fileno())
        async with heir(says(f"tcp:0:{LOOPBACK}", name="other"), of=legacy) as second:
            assert second.unclaimed == names
            assert list(tmp_path.iterdir()) == []
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection((tcp.host, tcp.port), PATIENCE)


@ensureDeferred
async def test_another_address_at_the_port_of_one_that_ends_can_be_had() -> None:
    port = free_port()
    async with heir(says(f"tcp:{port}:{LOOPBACK}", f"udp:{port}:{LOOPBACK}")) as first:
        legacy = left_by(first)
    async with heir(says(f"tcp:{port}", f"udp:{port}"), of=legacy) as second:
        assert all(one.is_listening for one in listeners(second))
        assert len(second.unclaimed) == 2


@ensureDeferred
async def test_a_socket_whose_file_is_another_ones_is_bound_anew(tmp_path: Path) -> None:
    wanted = says(f"unix:{tmp_path}/stream")
    async with heir(wanted) as first:
        before = which(first)
        legacy = left_by(first)
    (tmp_path / "stream").rename(tmp_path / "elsewhere")
    async with heir(wanted, of=legacy) as second:
        assert which(second) != before
        assert await said_at(listeners(second)[0]) == b"one"
        assert len(second.unclaimed) == 1
    assert [file.name for file in tmp_path.iterdir()] == ["elsewhere"]


@ensureDeferred
async def test_the_mode_of_a_file_is_the_one_that_is_wanted_now(tmp_path: Path) -> None:
    async with heir(says(f"unix:{tmp_path}/stream:mode=600")) as first:
        legacy = left_by(first)
    async with heir(says(f"unix:{tmp_path}/stream:mode=666"), of=legacy):
        assert stat.S_IMODE((tmp_path / "stream").stat().st_mode) == 0o666


@ensureDeferred
async def test_a_start_with_a_group_that_its_file_cannot_have_fails_and_the_file_stays(
    path: Path,
) -> None:
    text = f"unix:{path}"
    with as_nobody():
        async with heir(says(text)) as first:
            before, kept = which(first), Keeping(first)
            legacy, manager = left(kept.sockets()), left(kept.sockets())
            kept.leave(legacy.names.values())
        with pytest.raises(StartError, match=f"cannot be given to group {GROUP}"):
            async with heir(says(f"{text}:group={GROUP}"), of=legacy):
                pass
        assert state(path) == (NOBODY, NOBODY, 0o660)
        for one in legacy.sockets:
            one.sock.close()
        async with heir(says(f"{text}:mode=600"), of=manager) as second:
            assert which(second) == before
            assert state(path) == (NOBODY, NOBODY, 0o600)
            assert await said_at(listeners(second)[0]) == b"one"


@ensureDeferred
async def test_where_the_address_need_not_be_there_its_socket_ends_and_it_is_tried_again(
    path: Path,
) -> None:
    with as_nobody():
        async with heir(says(f"unix:{path}")) as first:
            legacy = left_by(first)
        names = [one.name for one in legacy.sockets]
        wanted = says(f"unix:{path}:group={GROUP}", required=False)
        async with heir(wanted, of=legacy) as second:
            assert listeners(second)[0].is_tried_again
            assert second.unclaimed == names
            assert not path.exists()


@ensureDeferred
async def test_a_start_that_fails_leaves_all_to_the_next_one(tmp_path: Path) -> None:
    wanted = everything(tmp_path)
    async with heir(wanted) as first:
        before = which(first)
        kept = Keeping(first)
        legacy = left(kept.sockets())
        manager = left(kept.sockets())  # holds them, too
        kept.leave(legacy.names.values())
    with pytest.raises(StartError):
        async with heir(wanted, says(f"tcp:0:{LOOPBACK}", name="bad", broken=True), of=legacy):
            pass
    for one in legacy.sockets:
        one.sock.close()
    async with heir(wanted, of=manager) as second:
        assert which(second) == before


# the service manager's own


@contextmanager
def managers(monkeypatch: pytest.MonkeyPatch, *made: socket.socket) -> Iterator[Inheritance]:
    """What a service manager hands over."""
    given: Sequence[tuple[str, int]] = [("unit.socket", sock.fileno()) for sock in made]
    monkeypatch.setattr(sockets, "handed_over", lambda: given)
    found = inheritance(given)
    yield found
    for one in found.sockets:
        one.sock.detach()


@ensureDeferred
async def test_an_address_that_the_manager_has_bound_is_served_on_its_socket_each_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as sock,
        managers(monkeypatch, sock) as given,
    ):
        port = sock.getsockname()[1]
        wanted = says(f"tcp:{port}:{LOOPBACK}", f"tcp:0:{LOOPBACK}")
        async with heir(wanted, of=given) as daemon:
            assert which(daemon)[0] == inode(sock)
            assert len(Keeping(daemon).sockets()) == 1  # it hands over its own itself
            apply(daemon, says(f"tcp:0:{LOOPBACK}"))
            with socket.create_connection(("127.0.0.1", port), PATIENCE) as waits:
                waits.sendall(b"?")
                apply(daemon, wanted)
                assert which(daemon)[0] == inode(sock)
                assert await aside(waits.recv, 100) == b"one\n"
            apply(daemon, says(f"tcp:{port}:{LOOPBACK}", name="moved"))
            assert which(daemon)[0] == inode(sock)
        assert is_listening(sock)


@ensureDeferred
async def test_a_file_that_the_manager_has_bound_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(tmp_path / "stream"))
        sock.listen()
        with managers(monkeypatch, sock) as given:
            async with heir(says(f"unix:{tmp_path}/stream"), of=given) as daemon:
                assert await said_at(listeners(daemon)[0]) == b"one"
            assert (tmp_path / "stream").is_socket()


def test_what_is_no_socket_or_none_that_is_served_is_left() -> None:
    here, there = os.pipe()
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as packets,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as abstract,
    ):
        abstract.bind("")
        given = [("a", here), ("b", packets.fileno()), ("c", 9999), ("d", abstract.fileno())]
        assert inheritance(given).sockets == []
        os.close(here)
        os.close(there)
        assert packets.getsockname() == ""
