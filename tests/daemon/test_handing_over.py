"""What an address leaves behind, and who has it next: sockets of systemd, files, skipped ones."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pytest_twisted import ensureDeferred

from sockd.listen import sockets
from tests.daemon.running import LOOPBACK, apply, aside, daemon_of, listeners, says
from tests.processes import PATIENCE

OTHER = f"tcp:0:{LOOPBACK}"


@contextmanager
def given(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """A socket that the service manager has, and hands over as `given`."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        monkeypatch.setattr(sockets, "_handed_over", lambda: [("given", sock.fileno())])
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
