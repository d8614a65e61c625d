"""HUP and USR1 do no harm at any moment: the daemon sends itself one at every so many calls.

From the moment when it first handles them, which is as soon as it can, to the last of its Python.
"""

from __future__ import annotations

import re
import socket
from pathlib import Path

import pytest

from tests.processes import (
    PATIENCE,
    STOPPED,
    foreground,
    on_suite_reactor,
    run,
    running,
    tcp_says,
)

AT_CALLS = """
import os, signal, sys

PID, EVERY, NUMBER = os.getpid(), int(os.environ["EVERY"]), getattr(signal, os.environ["NUMBER"])
calls = 0


def count(frame, event, argument):
    global calls
    if event != "call":
        return
    if calls == 0 and signal.getsignal(NUMBER) == signal.SIG_DFL:
        return  # it does not handle it yet
    calls += 1
    if calls % EVERY == 0 and os.getpid() == PID:
        os.kill(PID, NUMBER)


sys.setprofile(count)
"""
"""As `sitecustomize`: the signal at each `EVERY`th call of a function, once it is handled."""
AT_IMPORT = """
import os, signal, sys


class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == os.environ["MODULE"]:
            for number in (signal.SIGHUP, signal.SIGUSR1):
                os.kill(os.getpid(), number)


sys.meta_path.insert(0, Finder())
"""
"""As `sitecustomize`: both signals when a module is imported."""
EVERY = (97, 1009)
"""Calls between two: primes, so that one moment is not spared time and again."""


def with_code(folder: Path, code: str, **more: str) -> dict[str, str]:
    """An environment in which Python runs this code first."""
    (folder / "sitecustomize.py").write_text(code, "utf-8")
    (folder / "run").mkdir(mode=0o755, exist_ok=True)
    return {"PYTHONPATH": str(folder), "RUNTIME_DIRECTORY": str(folder / "run"), **more}


def argv_of(command: str, folder: Path) -> list[str]:
    """A daemon with `said`."""
    file = folder / "sockd.toml"
    file.write_text('[service.said]\nlisten = ["tcp:0:interface=127.0.0.1"]\n', "utf-8")
    begin = on_suite_reactor("run") if command == "run" else foreground("sockd")
    return [*begin, "--config", str(file), "--log-format", "json"]


@pytest.mark.parametrize("every", EVERY)
@pytest.mark.parametrize("number", ["SIGHUP", "SIGUSR1"])
@pytest.mark.parametrize("command", ["run", "twistd"])
def test_a_signal_at_any_moment_of_start_and_stop_does_no_harm(
    command: str, number: str, every: int, tmp_path: Path
) -> None:
    environment = with_code(tmp_path, AT_CALLS, EVERY=str(every), NUMBER=number)
    with running(argv_of(command, tmp_path), environment=environment) as daemon:
        port = int(daemon.wait_for(r'"local_port": (\d+)', 2 * PATIENCE)[1])
        daemon.wait_for('"event": "started"', 2 * PATIENCE)
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as client:
            assert tcp_says(port, b"hi\n") == b"You said:hi\r\n"
            assert daemon.stop() == (0 if command == "run" else STOPPED)
            client.close()
        assert '"event": "stopped"' in daemon.text()
        assert not re.search("Traceback|Unhandled|Error|critical", daemon.text())


@pytest.mark.parametrize("command", ["run", "twistd"])
def test_it_handles_them_before_it_imports_what_takes_long(command: str, tmp_path: Path) -> None:
    module = {"run": "click", "twistd": "sockd.config.load"}[command]
    environment = with_code(tmp_path, AT_IMPORT, MODULE=module)
    with running(argv_of(command, tmp_path), environment=environment) as daemon:
        daemon.wait_for('"event": "started"')
        assert daemon.stop() == (0 if command == "run" else STOPPED)


@pytest.mark.parametrize("number", ["SIGHUP", "SIGUSR1"])
@pytest.mark.parametrize("command", ["run", "twistd"])
def test_a_start_that_fails_ends_as_it_would_without_a_signal(
    command: str, number: str, tmp_path: Path
) -> None:
    environment = with_code(tmp_path, AT_CALLS, EVERY="1009", NUMBER=number)
    argv = [
        *argv_of(command, tmp_path),
        "--set",
        "service.said.listen=['tcp:1:interface=192.0.2.1']",
    ]
    done = run(*argv, environment=environment)
    assert done.returncode == 1, done.stderr
    assert "Cannot assign requested address" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
