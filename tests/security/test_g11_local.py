"""G11: who may use a Unix socket: the file's mode, and users by name."""

from __future__ import annotations

import contextlib
import re
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.processes import PATIENCE, running, wait_until
from tests.security.hosts import Watched

NOBODY = 65_534
SIZE = len("Sat Jun 17 18:06:14 2000")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that every user may look into: only the socket's own mode is in the way."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def config(listen_mode: str = "", users: str = "") -> str:
    """A stream and a datagram service on socket files."""
    return "".join(
        f'[service.{service}]\nlisten = ["{transport}:${{RUNTIME}}/{name}.sock{listen_mode}"]\n'
        f"allow_users = [{users}]\n"
        for service, transport, name in (
            ("reverse", "unix", "stream"),
            ("localtime", "unixgram", "datagram"),
        )
    )


def ask(folder: Path, kind: str, user: int, size: int = 0) -> tuple[bytes, str]:
    """What a program of a user gets from a socket, and what it complains of.

    It is ended when it has heard so much. Without a size it leaves at the end, or, of datagrams,
    which have none, when it has heard nothing for a second.
    """
    path = folder / "run" / f"{kind}.sock"
    if kind == "stream":
        address = f"UNIX-CONNECT:{path}"
    else:
        own = folder / "own"
        own.mkdir(exist_ok=True)
        own.chmod(0o777)
        address = f"UNIX-SENDTO:{path},bind={own}/client-{user}.sock"
    become = ("setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups")
    patience = 1 if kind == "datagram" and not size else PATIENCE
    with subprocess.Popen(
        [*become, "socat", f"-t{patience:g}", "-", address],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd="/",
    ) as client:
        assert client.stdin is not None
        assert client.stdout is not None
        assert client.stderr is not None
        with contextlib.suppress(BrokenPipeError), client.stdin:
            client.stdin.write(b"Europe/Warsaw")
        answer = client.stdout.read(size or -1)
        if size:
            client.kill()
        return answer, client.stderr.read().decode(errors="replace")


def modes(folder: Path) -> set[int]:
    """The modes of the socket files of services."""
    files = [file for file in (folder / "run").iterdir() if file.name != "control.sock"]
    return {stat.S_IMODE(file.stat().st_mode) for file in files}


def test_by_default_only_owner_and_group_may(folder: Path) -> None:
    """The files' mode is 0660: another user is refused by the kernel."""
    with Watched(folder, config()) as daemon:
        assert modes(folder) == {0o660}
        for kind in ("stream", "datagram"):
            answer, complaint = ask(folder, kind, NOBODY)
            assert answer == b""
            assert "Permission denied" in complaint
        assert daemon.events("opened") == []
        assert ask(folder, "stream", 0)[0] == b"wasraW/eporuE\r\n"
        assert len(ask(folder, "datagram", 0, SIZE)[0]) == SIZE


def test_a_mode_can_let_everybody_in(folder: Path) -> None:
    """With mode 666 another user is served: what keeps it out above is the mode."""
    with Watched(folder, config(":mode=666")) as daemon:
        assert modes(folder) == {0o666}
        assert ask(folder, "stream", NOBODY)[0] == b"wasraW/eporuE\r\n"
        assert len(ask(folder, "datagram", NOBODY, SIZE)[0]) == SIZE
        opened = daemon.wait_for("opened")
        assert opened["peer_uid"] == NOBODY


def test_a_socket_file_can_be_another_users_and_a_reload_gives_it_back(folder: Path) -> None:
    """He is served, by the mode that keeps all others out; and no more once it is not his."""
    with Watched(folder, config(f":mode=600:user={NOBODY}")) as daemon:
        assert daemon.process is not None
        assert modes(folder) == {0o600}
        for kind in ("stream", "datagram"):
            assert "Permission denied" in ask(folder, kind, NOBODY + 1)[1]
        assert ask(folder, "stream", NOBODY)[0] == b"wasraW/eporuE\r\n"
        assert len(ask(folder, "datagram", NOBODY, SIZE)[0]) == SIZE
        (folder / "sockd.toml").write_text(config(":mode=600"), "utf-8")
        daemon.process.send_signal(signal.SIGHUP)
        daemon.wait_for("reloaded")
        (folder / "own" / f"client-{NOBODY}.sock").unlink()
        for kind in ("stream", "datagram"):
            assert "Permission denied" in ask(folder, kind, NOBODY)[1]
        assert ask(folder, "stream", 0)[0] == b"wasraW/eporuE\r\n"


def test_users_are_known_by_the_kernel_and_refused_by_name(folder: Path) -> None:
    """Whatever the mode lets in, `allow_users` asks the kernel whose process it is."""
    with Watched(folder, config(":mode=666", '"root"')) as daemon:
        for service, kind in (("reverse", "stream"), ("localtime", "datagram")):
            assert ask(folder, kind, NOBODY)[0] == b""
            daemon.wait_for("refused", service=service, reason="allow_users", uid=NOBODY)
        assert daemon.events("opened") == []
        assert ask(folder, "stream", 0)[0] == b"wasraW/eporuE\r\n"
        assert len(ask(folder, "datagram", 0, SIZE)[0]) == SIZE
        wait_until(lambda: len(daemon.events("closed")) == 1, "the one that was let in has left")


def test_of_two_daemons_that_start_at_once_one_has_the_socket_file(tmp_path: Path) -> None:
    """The other one ends and says why, though a dead socket was there for both of them to find."""
    path = tmp_path / "shared.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    text = f'[service.reverse]\nlisten = ["unix:{path}"]\n'
    daemons = []
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        daemons.append(Watched(tmp_path / name, text))
    with ExitStack() as stack:
        started = [
            stack.enter_context(
                running(daemon.command, environment={"RUNTIME_DIRECTORY": str(daemon.runtime)})
            )
            for daemon in daemons
        ]
        for one in started:
            one.wait_for(r'"event": "started"|cannot listen on')
        owners = [one for one in started if '"event": "started"' in one.text()]
        [loser] = [one for one in started if one not in owners]
        assert loser.process.wait(PATIENCE) == 1
        assert re.search("is binding it at this moment|another process listens there", loser.text())
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            client.sendall(b"whose\n")
            assert client.recv(100) == b"esohw\r\n"
        [owner] = owners
        owner.process.terminate()
        assert owner.process.wait(PATIENCE) == 0
        assert [one.name for one in tmp_path.iterdir() if one.is_file() or one.is_socket()] == []


CROWD = """
import os, socket, sys
path, count = sys.argv[1], int(sys.argv[2])
os.setgroups([])
os.setuid(int(sys.argv[3]))
socks = []
for _ in range(count):
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(60)
    sock.connect(path)
    socks.append(sock)
served = 0
for sock in socks:
    try:
        sock.sendall(b"abc\\n")
        served += sock.recv(100) == b"cba\\r\\n"
    except OSError:
        pass
print("served", served, flush=True)
sys.stdin.read()
"""
"""Connections of one user, held until it is told to end."""


def test_one_user_cannot_take_the_places_of_another(folder: Path) -> None:
    """A hundred connections of one user, and there is still room for the next one."""
    text = config(":mode=666") + "[defaults]\nmax_connections = 50\n"
    command = [sys.executable, "-c", CROWD, str(folder / "run" / "stream.sock"), "100"]
    with Watched(folder, text) as daemon, ExitStack() as stack:
        for user in (NOBODY, NOBODY - 1):
            crowd = stack.enter_context(
                subprocess.Popen(
                    [*command, str(user)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
                )
            )
            assert crowd.stdout is not None
            assert crowd.stdout.readline() == b"served 20\n"
        refused = daemon.wait_for("refused", peer_uid=NOBODY)
        assert (refused["reason"], refused["limit"]) == ("max_connections_per_source", 20)
        assert ask(folder, "stream", 0)[0] == b"wasraW/eporuE\r\n"
        stack.close()
