"""Whoever reads the log cannot stop the daemon: not by reading nothing, and not for a moment."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import signal
import socket
import subprocess
import termios
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.processes import (
    PATIENCE,
    STOPPED,
    TWISTD,
    foreground,
    free_port,
    on_suite_reactor,
    running,
    tcp_says,
    variables,
    wait_until,
)

MORE_THAN_A_PIPE = 400
"""Connections of which the lines are more than a pipe or a terminal holds."""
MORE_THAN_WAITS = 4500
"""Connections of which the lines are more than the daemon has wait."""


def config_at(folder: Path, port: int) -> str:
    """A configuration with `said` at a port."""
    file = folder / "sockd.toml"
    file.write_text(f'[service.said]\nlisten = ["tcp:{port}:interface=127.0.0.1"]\n', "utf-8")
    return str(file)


@contextmanager
def logging_to(writer: int, argv: Sequence[str], port: int) -> Iterator[subprocess.Popen[bytes]]:
    """A daemon that writes its log to a descriptor, and serves."""
    process = subprocess.Popen(
        argv, stdin=subprocess.DEVNULL, stdout=writer, stderr=writer, env=variables()
    )
    try:
        wait_until(lambda: process.poll() is not None or answers(port), "it serves")
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(PATIENCE)


def answers(port: int) -> bool:
    """Whether `said` answers."""
    try:
        return tcp_says(port, b"hi\n") == b"You said:hi\r\n"
    except ConnectionRefusedError:
        return False


def a_pipe() -> tuple[int, int]:
    """A pipe that nobody reads."""
    return os.pipe()


def a_stopped_terminal() -> tuple[int, int]:
    """A terminal after ^S."""
    master, slave = pty.openpty()
    termios.tcflow(slave, termios.TCOOFF)
    return master, slave


@pytest.mark.parametrize("make", [a_pipe, a_stopped_terminal])
@pytest.mark.parametrize("command", ["run", "twistd"])
def test_it_serves_and_ends_though_nobody_reads_its_log(
    make: Callable[[], tuple[int, int]], command: str, tmp_path: Path
) -> None:
    port = free_port()
    argv = on_suite_reactor("run") if command == "run" else foreground("sockd")
    reader, writer = make()
    try:
        argv += ["--config", config_at(tmp_path, port)]
        with logging_to(writer, argv, port) as daemon:
            for _ in range(MORE_THAN_A_PIPE):
                assert answers(port)
            daemon.send_signal(signal.SIGTERM)
            assert daemon.wait(PATIENCE) == (0 if command == "run" else STOPPED)
    finally:
        os.close(reader)
        os.close(writer)


def test_each_line_is_written_or_counted_as_lost(tmp_path: Path) -> None:
    port = free_port()
    argv = [*on_suite_reactor("run"), "--log-format=json", f"--config={config_at(tmp_path, port)}"]
    argv += ["--set=service.said.connect_rate=1000000/s"]
    reader, writer = a_pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    text = bytearray()

    def read_to_the_end() -> None:
        while part := os.read(reader, 65536):
            text.extend(part)

    collecting = threading.Thread(target=read_to_the_end, daemon=True)
    try:
        with logging_to(writer, argv, port) as daemon:
            os.close(writer)
            for _ in range(MORE_THAN_WAITS):
                assert answers(port)
            collecting.start()
            wait_until(lambda: b'"log-dropped"' in text, "it is reported")
            assert answers(port)
            daemon.send_signal(signal.SIGTERM)
            assert daemon.wait(PATIENCE) == 0
        collecting.join(PATIENCE)
    finally:
        os.close(reader)
    events = [json.loads(line) for line in text.decode().splitlines()]
    told = [event for event in events if event["event"] in ("opened", "closed")]
    [lost] = [event for event in events if event["event"] == "log-dropped"]
    assert lost["level"] == "warn"
    # one more connection came from whoever waited for the service, and one after the report
    assert len(told) + lost["lines"] == 2 * (MORE_THAN_WAITS + 2)
    assert "stopped" in [event["event"] for event in events[events.index(lost) :]]


OWN_DEV = """
mount -t tmpfs none /dev && mknod -m 666 /dev/null c 1 3 && mknod -m 444 /dev/urandom c 1 9 &&
ln -s "$1" /dev/log && shift && exec "$@"
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a /dev of its own")
def test_a_system_log_that_hangs_holds_nobody_up(tmp_path: Path) -> None:
    port = free_port()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        log.bind(str(tmp_path / "log"))
        argv = [TWISTD, *on_suite_reactor("twistd")[1:], "-n", "--pidfile=", "--syslog", "sockd"]
        argv += ["--config", config_at(tmp_path, port)]
        own = ["unshare", "-m", "sh", "-c", OWN_DEV, "sh", str(tmp_path / "log")]
        with running([*own, *argv]) as daemon:
            wait_until(lambda: answers(port), "it serves")
            for _ in range(MORE_THAN_A_PIPE):
                assert answers(port)
            assert b"said: listening on" in heard(log)
            assert daemon.stop() == STOPPED


def heard(log: socket.socket) -> bytes:
    """All that waits at a socket."""
    parts = []
    log.setblocking(False)
    try:
        while True:
            parts.append(log.recv(65536))
    except BlockingIOError:
        return b"\n".join(parts)
