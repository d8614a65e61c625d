"""The client's own socket files: answers come to them, and they are removed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred

from sockd.client.errors import Unreachable, UsageFault
from sockd.client.net.datagrams import (
    open_path,
)
from sockd.client.net.socket_files import LONGEST_PATH
from sockd.client.net.sockets import NotSent
from tests.client.askers import bounce
from tests.memory import REACTOR
from tests.processes import NOBODY, PATIENCE


@contextmanager
def local_server() -> Iterator[tuple[socket.socket, str]]:
    """In a folder that all may enter: pytest's own is for one user."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.settimeout(PATIENCE)
            sock.bind(f"{folder}/socket")
            yield sock, f"{folder}/socket"


@pytest_twisted.ensureDeferred
async def test_a_socket_file_is_answered_to_and_then_removed() -> None:
    with local_server() as (sock, path):
        datagrams = open_path(REACTOR, path)
        asked = Deferred.fromCoroutine(datagrams.ask(b"hello", wait=PATIENCE))
        own = bounce(sock)
        answer = await asked
        assert (answer.data, answer.address, answer.is_kernel) == (b"hello", (path, 0), True)
        assert Path(str(own)).exists()
        assert not Path(datagrams.opened.folder).stat().st_mode & 0o066
        datagrams.close()
        assert not Path(datagrams.opened.folder).exists()


@pytest_twisted.ensureDeferred
async def test_a_server_of_another_user_can_answer_and_nobody_else_can() -> None:
    script = (
        "import os, socket\n"
        f"os.setuid({NOBODY})\n"
        "sock = socket.socket(fileno=0)\n"
        "data, asker = sock.recvfrom(100)\n"
        "other = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
        "try:\n"
        "    other.sendto(b'from another', asker)\n"
        "except PermissionError:\n"
        "    sock.sendto(data, asker)\n"
    )
    with local_server() as (sock, path):
        datagrams = open_path(REACTOR, path)
        sock.setblocking(True)
        child = subprocess.Popen([sys.executable, "-c", script], stdin=sock.fileno())
        try:
            assert (await datagrams.ask(b"hello", wait=PATIENCE)).data == b"hello"
        finally:
            child.kill()
            child.wait(PATIENCE)
            datagrams.close()


def test_no_socket_file_is_unreachable_and_leaves_nothing(tmp_path: Path) -> None:
    before = {*Path(tempfile.gettempdir()).glob("sock-*")}
    (tmp_path / "file").touch()
    for name, why in [("missing", "there is no such socket"), ("file", "nobody listens there")]:
        with pytest.raises(Unreachable, match=why):
            open_path(REACTOR, str(tmp_path / name))
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stream:
        stream.bind(str(tmp_path / "stream"))
        with pytest.raises(Unreachable, match="it is a socket of another kind"):
            open_path(REACTOR, str(tmp_path / "stream"))
    assert {*Path(tempfile.gettempdir()).glob("sock-*")} <= before


@pytest.mark.parametrize("path", ["", "nul\0", "a" * (LONGEST_PATH + 1)])
def test_a_path_that_no_socket_can_have_is_a_usage_fault(path: str) -> None:
    with pytest.raises(UsageFault, match="no socket can have the path"):
        open_path(REACTOR, path)


def test_a_server_that_does_not_read_is_a_full_queue() -> None:
    with local_server() as (_, path):
        datagrams = open_path(REACTOR, path)
        sent = 0
        while not datagrams.send_batch([bytes(1000)]).refused:
            sent += 1
            assert sent < 100_000
        with pytest.raises(NotSent, match="is full"):
            datagrams.send(bytes(1000))
        datagrams.close()


def test_a_temporary_place_with_a_long_name_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = tmp_path / ("a" * LONGEST_PATH)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    with local_server_at(tmp_path) as path:
        datagrams = open_path(REACTOR, path)
        assert Path(datagrams.opened.folder).parent == Path("/tmp")
        datagrams.close()
    assert not [*long.iterdir()]


@contextmanager
def local_server_at(folder: Path) -> Iterator[str]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(folder / "s"))
        yield str(folder / "s")


@pytest.mark.parametrize(
    "ending",
    ["pass", "sys.exit(3)", "1 / 0", "os.kill(os.getpid(), 2)", "end(0, 15)", "end_now(3)"],
)
def test_a_process_that_ends_leaves_no_socket_file(tmp_path: Path, ending: str) -> None:
    script = (
        "import os, signal, sys\n"
        "from sockd.client.ending import end, end_now\n"
        "from sockd.client.net import sockets\n"
        "opened = sockets.to_path(sys.argv[1])\n"
        "print(opened.folder, flush=True)\n"
        f"{ending}\n"
    )
    with local_server_at(tmp_path) as path:
        done = subprocess.run(
            [sys.executable, "-c", script, path],
            capture_output=True,
            timeout=PATIENCE,
            start_new_session=True,
            check=False,
        )
    folder = Path(os.fsdecode(done.stdout).strip())
    assert folder.name.startswith("sock-")
    assert not folder.exists()
    assert done.returncode in (0, 1, 3, -signal.SIGINT, -signal.SIGTERM)
