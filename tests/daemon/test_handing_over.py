"""What an address leaves behind, and who has it next: sockets of systemd, files, skipped ones."""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from attrs import evolve
from pytest_twisted import ensureDeferred

from sockd.config.settings import InstanceSettings
from sockd.daemon.daemon import StartError
from sockd.listen import sockets
from sockd.listen.listen import Listen
from sockd.listen.socket_files import Identity
from sockd.listen.sockets import ListenError
from sockd.net import listener
from sockd.net.listener import Listener
from tests.daemon.running import (
    LOOPBACK,
    apply,
    aside,
    daemon_of,
    inodes,
    listeners,
    said_at,
    says,
)
from tests.helpers import LogRecorder
from tests.net.test_listener import taken
from tests.processes import PATIENCE

OTHER = f"tcp:0:{LOOPBACK}"


@contextmanager
def given(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """A socket that the service manager has, and hands over as `given`."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        monkeypatch.setattr(sockets, "handed_over", lambda: [("given", sock.fileno())])
        yield sock


async def said(sock: socket.socket) -> bytes:
    """What is said to somebody who comes to a listening socket."""

    def ask() -> bytes:
        with socket.create_connection(sock.getsockname(), PATIENCE) as client:
            client.sendall(b"?")
            return client.recv(100)

    word: bytes = await aside(ask)
    return word.strip()


@ensureDeferred
async def test_a_socket_of_the_service_manager_that_is_let_go_of_listens_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with given(monkeypatch) as sock:
        async with daemon_of(says("systemd:name=given", OTHER)) as daemon:
            assert await said(sock) == b"one"
            apply(daemon, says(OTHER))
            assert len(listeners(daemon)) == 1
            with socket.create_connection(sock.getsockname(), PATIENCE) as waits:
                apply(daemon, says(OTHER, "systemd:name=given"))
                assert await said(sock) == b"one"
                waits.sendall(b"?")
                assert await aside(waits.recv, 100) == b"one\n"


@ensureDeferred
async def test_a_socket_of_the_service_manager_moves_between_instances(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    second = f"tcp:0:{LOOPBACK}"
    with given(monkeypatch) as sock:
        before = says("systemd:name=given", OTHER), says(second, name="second", word="two")
        after = says(OTHER), says(second, "systemd:name=given", name="second", word="two")
        async with daemon_of(*before) as daemon:
            for wanted, word in ((after, b"two"), (before, b"one"), (after, b"two")):
                apply(daemon, *wanted)
                assert await said(sock) == word
                [mine] = [one for one in listeners(daemon) if one.listen.systemd]
                assert os.fstat(mine.port.fileno()).st_ino == os.fstat(sock.fileno()).st_ino


@ensureDeferred
async def test_a_file_that_is_bound_for_the_first_time_when_its_address_moves_goes_at_the_end(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "later"
    texts = (f"unix:{folder}/file", OTHER)
    async with daemon_of(says(*texts, required=False)) as daemon:
        folder.mkdir()
        apply(daemon, says(*texts, required=False, name="renamed"))
        assert (folder / "file").is_socket()
    assert list(folder.iterdir()) == []


def is_tried_again(one: Listener) -> bool:
    return one.is_tried_again


class Absent:
    """A host that lacks the addresses of IPv6 until it is given them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.is_absent = True
        monkeypatch.setattr(listener, "bound_file", self.bound_file)

    def bound_file(
        self, listen: Listen, beside: Sequence[socket.socket] = (), *, is_left: bool = False
    ) -> tuple[socket.socket, Identity | None]:
        if self.is_absent and listen.terms.optional:
            raise ListenError(listen, "no such address", errno.EADDRNOTAVAIL)
        return sockets.bound_file(listen, beside, is_left=is_left)


def optional(instance: InstanceSettings, value: bool = True) -> InstanceSettings:
    """The same, with addresses that the host need not have."""
    listen = [evolve(one, terms=evolve(one.terms, optional=value)) for one in instance.listen]
    return evolve(instance, listen=tuple(listen))


@ensureDeferred
async def test_an_address_that_was_skipped_is_looked_for_at_each_change(
    monkeypatch: pytest.MonkeyPatch, log: LogRecorder
) -> None:
    host = Absent(monkeypatch)
    async with daemon_of(optional(says(OTHER))) as daemon:
        assert len(log.events("skipped")) == 1
        apply(daemon, optional(says(OTHER, word="two")))
        assert not listeners(daemon)[0].is_listening
        host.is_absent = False
        apply(daemon, optional(says(OTHER, word="two")))
        assert await said_at(listeners(daemon)[0]) == b"two"
        before = inodes(daemon)
        apply(daemon, optional(says(OTHER)))
        assert inodes(daemon) == before


@ensureDeferred
async def test_an_address_that_was_skipped_and_must_be_there_now_is_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Absent(monkeypatch)
    async with daemon_of(optional(says(OTHER))) as daemon:
        apply(daemon, says(OTHER))
        assert await said_at(listeners(daemon)[0]) == b"one"


@ensureDeferred
async def test_an_address_that_is_required_now_is_not_waited_for() -> None:
    with taken() as sock:
        text = f"tcp:{sock.getsockname()[1]}:{LOOPBACK}"
        async with daemon_of(says(text, required=False)) as daemon:
            [waits] = listeners(daemon)
            with pytest.raises(StartError, match="address in use"):
                apply(daemon, says(text))
            assert listeners(daemon) == [waits]
            assert is_tried_again(waits)
            sock.close()
            apply(daemon, says(text))
            assert not is_tried_again(waits)
            assert await said_at(listeners(daemon)[0]) == b"one"


@ensureDeferred
async def test_the_mode_of_a_file_that_took_the_place_of_ours_is_left(
    tmp_path: Path, log: LogRecorder
) -> None:
    path = tmp_path / "file"
    async with daemon_of(says(f"unix:{path}")) as daemon:
        path.unlink()
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(str(path))
        path.chmod(0o600)
        apply(daemon, says(f"unix:{path}:mode=666"))
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        [event] = log.events("warning")
        assert event["reason"].name == "mode_left"
    assert path.exists()
