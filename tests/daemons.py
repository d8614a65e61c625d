"""A real daemon for tests that need one: a process of its own, on free ports or in a namespace.

`Daemon` is a context manager: it starts `sockd run`, waits until it serves, and at the end stops it
and looks whether it left anything: a traceback in the log, a socket file, a child process.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.processes import PATIENCE, finish, wait_until

START_SECONDS = 60.0
STOP_SECONDS = 30.0
FORBIDDEN = ("Traceback", "Unhandled")
REACTOR = "SOCKD_TEST_REACTOR"
"""Names the reactor that daemons run on, set by `tests/conftest.py`."""
CLONE_NEWNET = 0x40000000  # linux/sched.h
_NUMBERS = count()


class Daemon:
    """`sockd run` with a configuration, its log as JSON events."""

    def __init__(
        self,
        folder: Path,
        config: str | None = None,
        arguments: Sequence[str] = (),
        *,
        namespace: str | None = None,
        environment: dict[str, str] | None = None,
        prefix: Sequence[str] = (),
        may_crash: bool = False,
        pass_fds: Sequence[int] = (),
    ) -> None:
        """`prefix` goes before the command: ["faketime", ...]; `may_crash` allows tracebacks."""
        self.pass_fds = pass_fds
        self.folder = folder
        self.runtime = folder / "run"
        self.runtime.mkdir(mode=0o755, exist_ok=True)
        self.log = folder / f"sockd-{next(_NUMBERS)}.log"
        self.may_crash = may_crash
        command = [*prefix, sys.executable, "-m", "sockd.cli", "run", "--log-format", "json"]
        command += ["--reactor", os.environ[REACTOR]]
        if config is not None:
            file = folder / "sockd.toml"
            file.write_text(config, "utf-8")
            command += ["--config", str(file)]
        if namespace is not None:
            command = ["ip", "netns", "exec", namespace, *command]
        self.command = [*command, *arguments]
        self.environment = {
            **os.environ,
            "RUNTIME_DIRECTORY": str(self.runtime),
            "PYTHONWARNINGS": "default",
            **(environment or {}),
        }
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        if error is None:
            self.assert_clean()

    def start(self) -> None:
        """Start it and wait until everything listens."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.environment,
                pass_fds=self.pass_fds,
            )
        process = self.process
        try:
            wait_until(
                lambda: process.poll() is not None or self.events("started"),
                lambda: f"the daemon has started:\n{self.text()}",
                START_SECONDS,
            )
            assert self.events("started"), f"the daemon did not start:\n{self.text()}"
        except BaseException:
            self.kill()
            raise

    @property
    def pid(self) -> int:
        """Its process, which may be a child of a program of `prefix`."""
        assert self.process is not None
        pid = self.process.pid
        while not _is_python(pid) and (below := children(pid)):
            pid = below[0]
        return pid

    def kill(self) -> None:
        """End it without warning (SIGKILL)."""
        assert self.process is not None
        if self.process.poll() is None:
            os.kill(self.pid, signal.SIGKILL)
        self.process.wait(STOP_SECONDS)

    def stop(self) -> int:
        """Ask it to end (SIGTERM), see that it does, and return its exit code."""
        assert self.process is not None
        if self.process.poll() is None:
            pid = self.pid
            os.kill(pid, signal.SIGTERM)
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.kill()
                raise
            assert not Path(f"/proc/{pid}").exists(), "the daemon runs on"
        return self.process.returncode

    def text(self) -> str:
        """The whole log."""
        return self.log.read_text("utf-8", "replace")

    def events(self, name: str | None = None) -> list[dict[str, Any]]:
        """The events logged so far, or those of one name."""
        found = []
        for line in self.text().splitlines():
            if line.startswith("{") and line.endswith("}"):
                event = json.loads(line)
                if name in (None, event["event"]):
                    found.append(event)
        return found

    def wait_for(self, name: str, seconds: float = PATIENCE, **fields: Any) -> dict[str, Any]:
        """The first event of this name with these fields, now or within the time."""

        def found() -> dict[str, Any] | None:
            for event in self.events(name):
                if all(event.get(key) == value for key, value in fields.items()):
                    return event
            return None

        event = wait_until(found, lambda: f"{name} {fields} in:\n{self.text()}", seconds)
        assert event is not None
        return event

    def address(self, service: str, transport: str, index: int = 0) -> tuple[str, int]:
        """Where an instance listens: host and port, as its `listening` event says."""
        found = [
            (event["local_address"], event["local_port"])
            for event in self.events("listening")
            if (event["service"], event["transport"]) == (service, transport)
        ]
        return found[index]

    def connect(self, service: str, transport: str = "tcp") -> socket.socket:
        """A connection to an instance, with a timeout. (Not into a namespace.)"""
        return socket.create_connection(self.address(service, transport), timeout=PATIENCE)

    def assert_clean(self) -> None:
        """It left no traceback, no socket file and no process."""
        if not self.may_crash:
            for word in FORBIDDEN:
                assert word not in self.text(), self.text()
        left = [file.name for file in self.runtime.iterdir() if file.is_socket()]
        assert not left, f"socket files left: {left}"


def descriptors(pid: int) -> int:
    """How many descriptors a process has open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def children(pid: int) -> list[int]:
    """The children of a process, zombies among them."""
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _is_python(pid: int) -> bool:
    return Path(f"/proc/{pid}/cmdline").read_bytes().startswith(f"{sys.executable}\0".encode())


def receive_all(sock: socket.socket) -> bytes:
    """What comes until the end."""
    parts = []
    while part := sock.recv(65536):
        parts.append(part)
    return b"".join(parts)


def ask(sock: socket.socket, data: bytes) -> bytes:
    """Send, end the writing half, and take the answer to its end."""
    with sock:
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        return receive_all(sock)


# several hosts on one machine


def run(*command: str, seconds: float = PATIENCE) -> str:
    """Run a command that must succeed, bounded in time; its output."""
    done = finish(command, seconds=seconds)
    assert done.returncode == 0, f"{command}: {done.stderr.decode(errors='replace')}"
    return done.stdout.decode(errors="replace")


@contextmanager
def namespace() -> Iterator[str]:
    """A network namespace of one's own with its loopback up: a host with all ports free."""
    name = f"sockd-{os.getpid()}-{next(_NUMBERS)}"
    run("ip", "netns", "add", name)
    try:
        run("ip", "-n", name, "link", "set", "lo", "up")
        yield name
    finally:
        run("ip", "netns", "del", name)


@contextmanager
def two_hosts() -> Iterator[tuple[str, str]]:
    """Two namespaces joined by a cable: 10.77.0.1 and fd77::1 here, 10.77.0.2 and fd77::2 there."""
    with namespace() as first, namespace() as second:
        join(first, second)
        yield first, second


def join(first: str, second: str) -> tuple[str, str]:
    """Join two hosts by a cable, as `two_hosts` does; the names of its ends."""
    one, other = (f"sk{os.getpid() % 100000}{side}{next(_NUMBERS) % 100}" for side in "ab")
    pair = f"link add {one} netns {first} type veth peer name {other} netns {second}"
    run("ip", *pair.split())
    for number, (host, end) in enumerate(((first, one), (second, other)), start=1):
        run("ip", "-n", host, "link", "set", end, "up")
        give(host, f"10.77.0.{number}/24", end)
    # an address of IPv6 is not local before the cable has both its ends up
    for number, (host, end) in enumerate(((first, one), (second, other)), start=1):
        give(host, f"fd77::{number}/64", end)
    return one, other


def give(host: str, address: str, device: str) -> None:
    """Give a device of a host an address, and wait until datagrams to it arrive.

    Linux binds an address of IPv6 at once, but routes to it a little later, in a worker
    of its own: what is sent to it meanwhile is lost without a word.
    """
    if ":" not in address:
        run("ip", "-n", host, "addr", "add", address, "dev", device)
        return
    run("ip", "-n", host, "addr", "add", address, "dev", device, "nodad")
    local = ("ip", "-n", host, "-6", "route", "show", "table", "local", "type", "local")
    wait_until(lambda: run(*local, address.partition("/")[0]), f"{address} to be local")


def socket_on(host: str, family: int, kind: int, protocol: int = 0) -> socket.socket:
    """A socket of a host (a namespace), for use here: its packets go out there. With a timeout."""
    made: list[socket.socket] = []

    def make() -> None:  # a namespace is a thread's own: this one enters it, and ends in it
        with Path(f"/run/netns/{host}").open("rb") as entrance:
            if ctypes.CDLL(None, use_errno=True).setns(entrance.fileno(), CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")
            made.append(socket.socket(family, kind, protocol))

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    made[0].settimeout(PATIENCE)
    return made[0]


def inside(host: str, *command: str, seconds: float = PATIENCE, data: bytes = b"") -> bytes:
    """Run a command on a host (a namespace) with standard input; its standard output."""
    return finish(["ip", "netns", "exec", host, *command], stdin=data, seconds=seconds).stdout
