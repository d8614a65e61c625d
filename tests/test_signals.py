"""Signals do what they are for, or nothing, from the first moment of the daemon to its last."""

from __future__ import annotations

import os
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tests.daemons import Daemon
from tests.processes import PATIENCE, free_port, running, wait_until


def refuses(port: int) -> bool:
    """Whether nobody listens at a port of this host."""
    with suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port), PATIENCE):
        return False
    return True


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR1])
def test_a_daemon_that_waits_for_connections_to_end_is_not_killed_by_a_hang_up_or_a_usr1(
    number: signal.Signals, tmp_path: Path
) -> None:
    port = free_port()
    config = f'[service.chargen]\nlisten = ["tcp:{port}:interface=127.0.0.1"]\ndrain = "10m"\n'
    with Daemon(tmp_path, config) as daemon:
        # what it was sent is not read, so it does not end by itself
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as client:
            assert client.recv(100)
            daemon.wait_for("opened", PATIENCE)
            os.kill(daemon.pid, signal.SIGTERM)
            wait_until(lambda: refuses(port), "it listens no more")
            os.kill(daemon.pid, number)
            os.kill(daemon.pid, signal.SIGTERM)
            assert daemon.process is not None
            assert daemon.process.wait(PATIENCE) == 0
        assert daemon.events("stopped")


LATE = """
import os, signal, sys
from sockd import cli, service

def find():
    os.kill(os.getpid(), signal.{0})
    return service.FOUND()

service.FOUND, service.find = service.find, find
cli.main(["run", "--log-format", "json", sys.argv[1]])
"""
"""A daemon that has a signal while it looks for the kinds that there are."""


def start_with(number: str, folder: Path) -> list[str]:
    file = folder / "sockd.toml"
    file.write_text('[service.echo]\nlisten = ["tcp:0:interface=127.0.0.1"]\n', "utf-8")
    return [sys.executable, "-c", LATE.format(number), str(file)]


@pytest.mark.parametrize("number", ["SIGHUP", "SIGUSR1"])
def test_a_daemon_that_starts_is_not_killed_by_a_hang_up_or_a_usr1(
    number: str, tmp_path: Path
) -> None:
    with running(start_with(number, tmp_path)) as daemon:
        daemon.wait_for('"event": "started"')
        assert daemon.stop() == 0


def test_an_interrupt_while_the_daemon_starts_ends_it_without_a_traceback(tmp_path: Path) -> None:
    with running(start_with("SIGINT", tmp_path)) as daemon:
        assert daemon.wait() == 1
        assert "Traceback" not in daemon.text()
