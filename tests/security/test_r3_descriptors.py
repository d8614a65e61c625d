"""R3: descriptors run out: what is open goes on, what is new is closed, and then all is well."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import socket
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.daemons import children, descriptors
from tests.processes import PATIENCE, wait_until
from tests.security.hosts import Watched

DESCRIPTORS = 64
LIMIT = ("prlimit", f"--nofile={DESCRIPTORS}")
CONFIG = """
[service.echo]
listen = ["tcp:0:interface=127.0.0.1", "udp:0:interface=127.0.0.1"]
[service.reverse]
listen = ["unix:${RUNTIME}/reverse.sock"]
[service.factor]
listen = ["tcp:0:interface=127.0.0.1"]
[service.run]
kind = "exec"
command = ["/bin/cat"]
listen = ["tcp:0:interface=127.0.0.1"]
"""
NUMBER, FACTORS = b"147573952589676412927\n", b"193707721 761838257287\r\n"


def serves(sock: socket.socket) -> bool:
    """Whether echo answers this connection."""
    try:
        sock.sendall(b"?")
        return sock.recv(1) == b"?"
    except (BrokenPipeError, ConnectionResetError):
        return False


def fill(daemon: Watched, stack: ExitStack) -> list[socket.socket]:
    """Connections until one is closed: those that are open."""
    found: list[socket.socket] = []
    while True:
        sock = daemon.connect("echo")
        sock.settimeout(PATIENCE)
        if not serves(sock):
            sock.close()
            return found
        found.append(stack.enter_context(sock))
        assert len(found) < DESCRIPTORS


@pytest.fixture
def daemon(tmp_path: Path) -> Watched:
    """A daemon with few descriptors."""
    return Watched(tmp_path, CONFIG, prefix=LIMIT)


def test_at_the_limit_open_connections_go_on_and_new_ones_are_closed(daemon: Watched) -> None:
    """Nobody waits in a queue for ever; once there is room again new ones are served."""
    with daemon, ExitStack() as stack:
        open_before = fill(daemon, stack)
        assert len(open_before) > 20
        assert descriptors(daemon.pid) >= DESCRIPTORS - 2
        for _ in range(100):
            with daemon.connect("echo") as sock:
                sock.settimeout(PATIENCE)
                assert not serves(sock)
            with socket.socket(socket.AF_UNIX) as local, contextlib.suppress(ConnectionError):
                local.settimeout(PATIENCE)
                local.connect(str(daemon.runtime / "reverse.sock"))
                assert local.recv(1) == b""
        assert all(serves(sock) for sock in open_before)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(PATIENCE)
            sock.sendto(b"datagram", daemon.address("echo", "udp"))
            assert sock.recv(100) == b"datagram"
        for sock in open_before[:10]:
            sock.close()
        wait_until(lambda: descriptors(daemon.pid) <= DESCRIPTORS - 8, "there is room again")
        again = [stack.enter_context(daemon.connect("echo")) for _ in range(5)]
        assert all(serves(sock) for sock in again)
        stack.close()


def test_at_the_limit_the_daemon_is_idle_and_its_log_short(daemon: Watched) -> None:
    """Connections that nobody takes cost no CPU; a line a second says what is the matter."""
    with daemon, ExitStack() as stack:
        fill(daemon, stack)
        pending = []
        start, cpu = time.monotonic(), daemon.cpu_seconds()
        while time.monotonic() < start + 1.5:
            sock = stack.enter_context(socket.socket())
            sock.settimeout(PATIENCE)
            sock.connect(daemon.address("echo", "tcp"))
            pending.append(sock)
            time.sleep(0.02)
        seconds = time.monotonic() - start
        assert daemon.cpu_seconds() - cpu <= 0.5 * seconds
        lines = daemon.events("descriptors")
        assert 1 <= len(lines) <= seconds + 2
        assert all(one["level"] == "warn" for one in lines)
        other = [one for one in daemon.events("log") if "EMFILE" in one["message"]]
        assert other == []
        idle = daemon.cpu_seconds()
        time.sleep(1.0)  # nothing happens, and that is what is measured
        assert daemon.cpu_seconds() - idle <= 0.2
        stack.close()


def test_at_the_limit_a_program_is_not_started_and_its_client_told_so(daemon: Watched) -> None:
    """`error: busy`, for an exec and for a number that needs the worker; nothing is left open."""
    with daemon, ExitStack() as stack:
        full = fill(daemon, stack)
        full.pop().close()
        full.pop().close()
        wait_until(lambda: descriptors(daemon.pid) <= DESCRIPTORS - 2, "there is room for two")
        before = descriptors(daemon.pid)
        for service in ("run", "factor") * 5:
            with daemon.connect(service) as sock:
                sock.settimeout(PATIENCE)
                sock.sendall(b"340282366920938463463374607431768211457\n")
                assert sock.recv(100).startswith(b"error: busy")
            wait_until(lambda: descriptors(daemon.pid) <= before, "no pipe is left open")
        for sock in full:
            sock.close()
        wait_until(lambda: descriptors(daemon.pid) <= DESCRIPTORS - 10, "there is room again")
        with daemon.connect("run") as sock:
            sock.sendall(b"works again")
            assert sock.recv(100) == b"works again"
        stack.close()


def test_however_few_descriptors_are_left_a_child_is_there_or_its_client_is_told_busy(
    daemon: Watched,
) -> None:
    """Between the first that is missing and the last, too: nothing is half begun, nothing left."""
    with daemon, ExitStack() as stack:
        # what the reactor opens with its first connection
        assert serves(stack.enter_context(daemon.connect("echo")))
        before = descriptors(daemon.pid)
        for spare in range(1, 14):
            limit = (before + spare, DESCRIPTORS)
            resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, limit)
            for service, right in (("run", NUMBER), ("factor", FACTORS)):
                with daemon.connect(service) as sock:
                    sock.settimeout(PATIENCE)
                    with contextlib.suppress(ConnectionResetError, BrokenPipeError):
                        sock.sendall(NUMBER)
                        answer = sock.recv(100)
                        assert answer in (b"", right) or answer.startswith(b"error: busy")
                for worker in children(daemon.pid):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(worker, signal.SIGKILL)
                wait_until(lambda: descriptors(daemon.pid) <= before, "no pipe is left open")
        wait_until(lambda: children(daemon.pid) == [], "no child is left")
        stack.close()
