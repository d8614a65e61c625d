"""systemd hands sockets over (systemd-socket-activate): by name, or where they are bound."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.processes import (
    PATIENCE,
    SOCKD,
    Running,
    foreground,
    free_port,
    on_suite_reactor,
    run,
    running,
    tcp_says,
    udp_says,
    wait_until,
)


@pytest.fixture(autouse=True)
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "run"
    folder.mkdir(mode=0o755)
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(folder))
    return folder


@contextmanager
def activated(
    folder: Path, text: str, *options: str, below_twistd: bool = False
) -> Iterator[Running]:
    """sockd, as systemd-socket-activate starts it when the first one comes."""
    file = folder / "sockd.toml"
    file.write_text(text, "utf-8")
    argv = ["systemd-socket-activate", *options]
    # it passes on what is named, and nothing else
    for name in (*os.environ, "RUNTIME_DIRECTORY"):
        if not name.startswith(("LISTEN_", "PYTEST_", "COV_", "PYTHON")):
            argv.append(f"--setenv={name}")
    if below_twistd:
        argv += foreground("sockd", "--config", str(file))
    else:
        argv += [*on_suite_reactor("run"), "--config", str(file)]
    with running(argv) as daemon:
        daemon.wait_for("Listening on")
        yield daemon
        daemon.stop()
        assert "Traceback" not in daemon.text()


def first_says(port: int, data: bytes) -> bytes:
    """What the answer to the first datagrams is: each is a chance to be started by."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(PATIENCE)
        sock.connect(("127.0.0.1", port))
        sock.send(data)
        return sock.recv(100)


def test_streams_by_name(tmp_path: Path) -> None:
    port = free_port()
    text = '[service.said]\nlisten = ["systemd:name=talk"]\n'
    options = (f"--listen=127.0.0.1:{port}", "--fdname=talk")
    with activated(tmp_path, text, *options):
        # who has started it is served
        assert tcp_says(port, b"hi\n") == b"You said:hi\r\n"
        assert tcp_says(port, b"again\n") == b"You said:again\r\n"


def test_datagrams_by_name(tmp_path: Path) -> None:
    port = free_port()
    text = '[service.echo]\nlisten = ["systemd:name=ask:type=datagram"]\n'
    options = (f"--listen=127.0.0.1:{port}", "--datagram", "--fdname=ask")
    with activated(tmp_path, text, *options):
        assert first_says(port, b"hi") == b"hi"
        assert udp_says(port, b"again") == b"again"


@pytest.mark.parametrize("kind", ["tcp", "udp"])
def test_a_socket_is_used_by_who_listens_at_its_address(kind: str, tmp_path: Path) -> None:
    """A configuration for root, or for a capability, is right without either."""
    port = free_port()
    text = f'[service.echo]\nlisten = ["{kind}:{port}:interface=127.0.0.1"]\n'
    options = [f"--listen=127.0.0.1:{port}", *(["--datagram"] if kind == "udp" else [])]
    says = tcp_says if kind == "tcp" else first_says
    with activated(tmp_path, text, *options) as daemon:
        for _ in range(3):
            assert says(port, b"hi") == b"hi"
        daemon.wait_for("runs 1 service on")


def test_both_at_once_below_twistd_and_over_an_upgrade(tmp_path: Path, runtime: Path) -> None:
    named, other = free_port(), free_port()
    text = (
        f'[service.said]\nlisten = ["systemd:name=talk", "tcp:{other}:interface=127.0.0.1"]\n'
        f'[service.wrap]\nlisten = ["tcp:0:interface=127.0.0.1"]\n'
    )
    options = (f"--listen=127.0.0.1:{named}", f"--listen=127.0.0.1:{other}", "--fdname=talk:more")
    with activated(tmp_path, text, *options, below_twistd=True):
        for _ in range(2):
            for port in (named, other):
                assert tcp_says(port, b"hi\n") == b"You said:hi\r\n"
            control = runtime / "control.sock"
            wait_until(control.exists, "it can be asked")
            done = run(SOCKD, "upgrade", "--control", str(control))
            assert done.returncode == 0, done.stderr
