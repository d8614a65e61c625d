"""Commands as a user runs them: started, watched and ended, whatever happens in between.

`running` gives a child whose output is collected as it comes; it is gone when the block ends. Only
its own process is signalled, by its number.
"""

from __future__ import annotations

import os
import random
import re
import resource
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, TypeVar

from attrs import define, field

T = TypeVar("T")
BIN = Path(sys.executable).parent
"""Where the commands of the environment under test lie."""
SOCKD = str(BIN / "sockd")
TWISTD = str(BIN / "twistd")
PATIENCE = 30.0
"""Seconds until what should happen counts as not happening: a loaded machine is slow."""
NOBODY = 65534
"""A user that owns nothing."""


@define(eq=False)
class Running:
    """A child and what it has written so far, standard error among it."""

    process: subprocess.Popen[bytes]
    _output: bytearray = field(factory=bytearray)
    _changed: threading.Condition = field(factory=threading.Condition)
    _at_end: bool = False

    @property
    def pid(self) -> int:
        """The number of its process."""
        return self.process.pid

    def text(self) -> str:
        """What it has written so far."""
        with self._changed:
            return self._output.decode("utf-8", "backslashreplace")

    def wait_for(self, pattern: str, seconds: float = PATIENCE) -> re.Match[str]:
        """The first place in its output that matches; fails when it ends or takes too long."""
        until = time.monotonic() + seconds
        with self._changed:
            while (found := re.search(pattern, self.text(), re.MULTILINE)) is None:
                left = until - time.monotonic()
                assert left > 0, f"no {pattern!r} within {seconds} s in:\n{self.text()}"
                assert not self._at_end, f"no {pattern!r} to the end of:\n{self.text()}"
                self._changed.wait(left)
        return found

    def wait(self, seconds: float = PATIENCE) -> int:
        """Its exit code, once it has ended by itself and all of its output is here."""
        status = self.process.wait(seconds)
        until = time.monotonic() + seconds
        with self._changed:
            while not self._at_end:
                assert time.monotonic() < until, "somebody holds its output open"
                self._changed.wait(0.1)
        return status

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal that ends it; its exit code."""
        self.process.send_signal(number)
        return self.wait()

    def collect(self) -> None:
        """Read its output to the end."""
        stream: Any = self.process.stdout
        while data := stream.read1(65536):
            with self._changed:
                self._output += data
                self._changed.notify_all()
        with self._changed:
            self._at_end = True
            self._changed.notify_all()


@contextmanager
def running(
    argv: Sequence[str],
    *,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
    user: int | None = None,
    pass_fds: Sequence[int] = (),
    stdout: IO[bytes] | None = None,
    umask: int = -1,
) -> Iterator[Running]:
    """Run a command while the block runs. `environment` comes on top of the test's own."""
    process = subprocess.Popen(
        argv,
        cwd=cwd,
        env=variables(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE if stdout is None else stdout,
        stderr=subprocess.STDOUT if stdout is None else subprocess.PIPE,
        user=user,
        group=user,
        extra_groups=None if user is None else [],
        pass_fds=pass_fds,
        umask=umask,
    )
    if stdout is not None:
        process.stdout = process.stderr
    with followed(process) as child:
        yield child


@contextmanager
def followed(process: subprocess.Popen[bytes]) -> Iterator[Running]:
    """A process that has been started, whose output is read; it is ended with the block."""
    child = Running(process)
    reader = threading.Thread(target=child.collect, daemon=True)
    reader.start()
    try:
        yield child
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(PATIENCE)
        reader.join(PATIENCE)
        if process.stdin is not None:
            with suppress(BrokenPipeError):  # what it had not read
                process.stdin.close()
        if not reader.is_alive() and process.stdout is not None:
            process.stdout.close()


def variables(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a child: the test's own, without what Python or a service manager left."""
    mine = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "LISTEN_", "PYTEST_", "COV_"))
    }
    return {**mine, **(more or {})}


def run(
    *argv: str,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
    user: int | None = None,
    seconds: float = 60.0,
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, bounded in time, whatever its exit code is."""
    done = finish(argv, cwd=cwd, environment=environment, user=user, seconds=seconds)
    return subprocess.CompletedProcess[str](
        argv, done.returncode, _universal(done.stdout), _universal(done.stderr)
    )


def succeed(
    *argv: str | Path,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
    seconds: float = 60.0,
) -> str:
    """Run a command that must succeed; its output."""
    done = run(*map(str, argv), cwd=cwd, environment=environment, seconds=seconds)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def finish(
    argv: Sequence[str],
    *,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
    user: int | None = None,
    seconds: float = 60.0,
    stdin: int | bytes = b"",
) -> subprocess.CompletedProcess[bytes]:
    """As `run`, with bytes; `stdin` is a descriptor, or all that there is to read."""
    given: dict[str, Any] = {"input" if isinstance(stdin, bytes) else "stdin": stdin}
    done: subprocess.CompletedProcess[bytes] = subprocess.run(
        argv,
        cwd=cwd,
        env=variables(environment),
        capture_output=True,
        timeout=seconds,
        check=False,
        user=user,
        group=user,
        extra_groups=None if user is None else [],
        **given,
    )
    return done


def _universal(data: bytes) -> str:
    return data.decode("utf-8", "replace").replace("\r\n", "\n")


def wait_until(
    condition: Callable[[], T], what: str | Callable[[], str], seconds: float = PATIENCE
) -> T:
    """Wait for something to become true, and return it; fails with what it was that did not.

    Nothing else happens here meanwhile: a test on the reactor has `tests.helpers.until`.
    """
    end = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > end:
            text = what if isinstance(what, str) else what()
            raise AssertionError(f"not within {seconds} s: {text}")
        time.sleep(0.02)
    return found


def cpu_seconds(*argv: str, tries: int = 5) -> float:
    """User and system time of a command, the least of several runs."""
    found = []
    for _ in range(tries):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = run(*argv)
        assert done.returncode == 0, done.stderr
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        found.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(found)


def free_port() -> int:
    """A port that is free for TCP and for UDP, on IPv4's loopback address and on IPv6's.

    It is none of those that the kernel chooses for whoever asks for any, such as the tests that run
    beside this one: it stays free until somebody asks for this very port.
    """
    for _ in range(100):
        port = _RANDOM.choice(_NEVER_CHOSEN)
        if all(_is_free(port, family, kind) for family, kind in _EVERY_KIND):
            return port
    raise AssertionError("no free port")


_NEVER_CHOSEN = range(15_000, 32_768)
"""Above the ports of services, and below those that Linux chooses (ip_local_port_range)."""
_RANDOM = random.SystemRandom()
_EVERY_KIND = [
    (socket.AF_INET, socket.SOCK_STREAM),
    (socket.AF_INET, socket.SOCK_DGRAM),
    (socket.AF_INET6, socket.SOCK_STREAM),
    (socket.AF_INET6, socket.SOCK_DGRAM),
]


def _is_free(port: int, family: socket.AddressFamily, kind: socket.SocketKind) -> bool:
    with socket.socket(family, kind) as other:
        try:
            other.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", port))
        except OSError:
            return False
    return True


def is_listening(sock: socket.socket) -> bool:
    """Whether connections are taken at a socket, by whoever has it."""
    return sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 1


def tcp_says(port: int, data: bytes = b"", host: str = "127.0.0.1") -> bytes:
    """What a TCP service answers, to end of file."""
    with socket.create_connection((host, port), timeout=PATIENCE) as sock:
        return _talk(sock, data)


def unix_says(path: Path | str, data: bytes = b"") -> bytes:
    """What a service answers over a Unix socket, to end of file."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(PATIENCE)
        sock.connect(str(path))
        return _talk(sock, data)


def _talk(sock: socket.socket, data: bytes) -> bytes:
    sock.sendall(data)
    sock.shutdown(socket.SHUT_WR)
    parts = []
    while part := sock.recv(65536):
        parts.append(part)
    return b"".join(parts)


def udp_says(port: int, data: bytes, host: str = "127.0.0.1") -> bytes:
    """The answer to one datagram."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.settimeout(PATIENCE)
        sock.connect((host, port))
        sock.send(data)
        return sock.recv(65536)


def is_gone(pid: int, seconds: float = PATIENCE) -> bool:
    """Whether a process that is not our child ends within the time."""
    try:
        watched = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        ready, _, _ = select.select([watched], [], [], seconds)
        return bool(ready)
    finally:
        os.close(watched)


def on_suite_reactor(command: str) -> list[str]:
    """`sockd run` or `twistd`, on the reactor that the suite runs on."""
    argv = [SOCKD, "run"] if command == "run" else [TWISTD]
    return [*argv, "-r", os.environ["SOCKD_TEST_REACTOR"]]


# twistd

LISTENING = r"listening on {} (?:127\.0\.0\.1:)?(\S+)$"
"""Where something listens over a transport, in a log of texts."""
STOPPED = -signal.SIGTERM
"""How a twistd ends that was asked to: when all is done, it takes the signal itself."""


def foreground(*arguments: str) -> list[str]:
    """`twistd` that does not become a daemon, with these arguments."""
    return [*on_suite_reactor("twistd"), "-n", "--pidfile=", *arguments]


def port_of(daemon: Running, service: str, transport: str = "tcp") -> int:
    """Where a service of it listens, as the log says."""
    return int(daemon.wait_for(f"{service}: {LISTENING.format(transport)}")[1])
