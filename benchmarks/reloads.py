"""Reloads under load: nobody is refused, nobody is reset, no datagram is lost.

    python -m benchmarks.reloads [ROUNDS [CONNECTIONS]]

Clients connect, ask, are answered and leave, over TCP and a Unix socket, and others send datagrams
one after the other, while the daemon reads its configuration anew, time after time. In each round
the port changes between one address and the wildcard, and options change; then comes a
configuration that asks for the same change and for an address that this host does not have, which
has to change nothing. Exit codes: 0 everybody was answered; 1 somebody was not.
"""

from __future__ import annotations

import os
import random
import re
import signal
import socket
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from attrs import define, field, frozen

from benchmarks.machine import pick_cores
from benchmarks.processes import Failed, started
from sockd.ops.control.client import ControlClient

ROUNDS = 50
CONNECTIONS = 20_000
START_SECONDS = 60.0
PATIENCE = 30.0
"""Seconds without an answer after which there is none: a machine may stand still for some."""
STREAMS = ("tcp", "tcp", "tcp", "unix")
DATAGRAMS = ("udp", "udp", "unixgram")
"""What is sent over, a client each."""
NOT_OURS = "192.0.2.1"
"""For documentation (RFC 5737): no host has it."""
PORTS = range(15_000, 32_768)
"""Those that the kernel gives to nobody who asks for any."""


@frozen
class Places:
    """Where the daemon listens, and its configuration file."""

    folder: Path
    port: int

    def write(self, number: int, *, is_broken: bool = False) -> None:
        """Write the configuration of a round."""
        where = "" if number % 2 else ":interface=127.0.0.1"
        listen = [f"tcp:{self.port}{where}", f"udp:{self.port}{where}"]
        listen += [f"{kind}:{self.folder}/{kind}" for kind in ("unix", "unixgram")]
        if is_broken:
            listen.append(
                f"tcp:{self.port}:interface={NOT_OURS}" if where else f"tcp:0:interface={NOT_OURS}"
            )
        lines = [
            "[sockd]",
            f'control = "{self.folder}/control"',
            "[service.echo]",
            f"listen = {listen}",
            "log_connections = false",
            "local_reply_rate = 'off'",
            f"trusted_users = [{os.getuid()}]",
            f"idle_timeout = '{60 + number}s'",
        ]
        (self.folder / "new.toml").write_text("\n".join(lines), "utf-8")
        (self.folder / "new.toml").rename(self.folder / "sockd.toml")

    def connect(self, transport: str) -> socket.socket:
        """A client's socket, whose answers come from the daemon."""
        family = socket.AF_UNIX if transport.startswith("unix") else socket.AF_INET
        is_stream = transport in ("tcp", "unix")
        sock = socket.socket(family, socket.SOCK_STREAM if is_stream else socket.SOCK_DGRAM)
        try:
            sock.settimeout(PATIENCE)
            if transport == "unixgram":
                sock.bind(f"{self.folder}/client-{threading.get_ident()}")
            local = f"{self.folder}/{transport}"
            sock.connect(("127.0.0.1", self.port) if family == socket.AF_INET else local)
        except BaseException:
            sock.close()
            raise
        return sock


@define
class Load:
    """Clients of every kind, and what became of what they asked."""

    places: Places
    connections: int
    counts: Counter[str] = field(factory=Counter)
    slowest: float = 0.0
    """Seconds until an answer, at most, over a connection made for it."""
    begun: int = 0
    _lock: threading.Lock = field(factory=threading.Lock)

    @contextmanager
    def running(self) -> Iterator[Callable[[], None]]:
        """Run all clients; what is given waits until the connections have been made."""
        streams = [threading.Thread(target=self._streams, args=(one,)) for one in STREAMS]
        datagrams = [threading.Thread(target=self._datagrams, args=(one,)) for one in DATAGRAMS]
        for thread in (*streams, *datagrams):
            thread.start()

        def wait() -> None:
            for thread in streams:
                thread.join()

        try:
            yield wait
        finally:
            self.begun = self.connections
            for thread in (*streams, *datagrams):
                thread.join()

    @property
    def is_over(self) -> bool:
        """Whether all connections have begun."""
        return self.begun >= self.connections

    def _streams(self, transport: str) -> None:
        while not self.is_over:
            with self._lock:
                self.begun += 1
                number = self.begun
            asked = time.monotonic()
            data = b"%d\n" % number
            try:
                with self.places.connect(transport) as sock:
                    sock.sendall(data)
                    answer = b""
                    while len(answer) < len(data) and (part := sock.recv(100)):
                        answer += part
                what = "answered" if answer == data else f"answered {answer!r}"
            except OSError as error:
                what = f"{type(error).__name__}: {error}"
            self._count(f"{transport} {what}", time.monotonic() - asked)

    def _datagrams(self, transport: str) -> None:
        number = 0
        with self.places.connect(transport) as sock:
            while not self.is_over:
                number += 1
                try:
                    sock.send(b"%d" % number)
                    while sock.recv(100) != b"%d" % number:
                        self._count(f"{transport} answered late")
                    self._count(f"{transport} answered")
                except OSError as error:
                    self._count(f"{transport} {type(error).__name__}: {error}")
                    if not isinstance(error, TimeoutError):
                        return

    def _count(self, what: str, seconds: float = 0.0) -> None:
        with self._lock:
            self.counts[what] += 1
            self.slowest = max(self.slowest, seconds)


@frozen
class Result:
    """What became of it all."""

    counts: Counter[str]
    reloads: int
    longest: float
    """Seconds of the longest reload."""
    slowest: float
    """Seconds of the slowest answer."""

    @property
    def unanswered(self) -> dict[str, int]:
        """What was not answered, by what became of it."""
        return {what: n for what, n in self.counts.items() if not what.endswith(" answered")}

    def lines(self) -> list[str]:
        """The result in words."""
        return [
            *(f"{number:9,} {what}" for what, number in sorted(self.counts.items())),
            f"{self.reloads:9,} reloads, the longest took {self.longest * 1e3:.0f} ms",
            f"the slowest connection was answered in {self.slowest * 1e3:.0f} ms",
        ]


def measure(rounds: int, connections: int, reactor: str | None = None) -> Result:
    """Reload so often while so many connections are made. Raises Failed, ControlError."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sockd-")))
        places = Places(folder, free_port())
        places.write(0)
        command = [sys.executable, "-m", "sockd.cli", "run", "-c", str(folder / "sockd.toml")]
        command += ["--log-format", "json", *(["--reactor", reactor] if reactor else [])]
        environment = {"RUNTIME_DIRECTORY": str(folder)}
        cores = pick_cores()
        daemon = stack.enter_context(started(command, cores.server, environment))
        daemon.wait_for(re.compile('"event": "started"'), START_SECONDS)
        client = stack.enter_context(ControlClient(f"{folder}/control", PATIENCE))
        load = Load(places, connections)
        times = []
        with load.running() as wait:
            for number in range(1, rounds + 1):
                while load.begun < connections * (number - 1) // rounds:
                    time.sleep(0.001)
                places.write(number)
                times.append(_reload(client, True))
                places.write(number + 1, is_broken=True)
                times.append(_reload(client, False))
            wait()
        return Result(load.counts, rounds, max(times), load.slowest)


def _reload(client: ControlClient, is_good: bool) -> float:
    """Reload; how long it took. Raises Failed where it does not come out as it must."""
    answer = client.ask("reload")
    if answer["ok"] is not is_good:
        raise Failed(f"a reload came out as {answer}")
    return float(answer["seconds"])


def free_port() -> int:
    """A port that nobody has, for TCP and for UDP."""
    while True:
        port = random.choice(PORTS)
        try:
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                with socket.socket(socket.AF_INET, kind) as sock:
                    sock.bind(("", port))
        except OSError:
            continue
        return port


def main(rounds: int = ROUNDS, connections: int = CONNECTIONS) -> int:
    """Measure, and say what came of it; the exit code."""
    signal.signal(signal.SIGTERM, lambda *_: os._exit(128 + signal.SIGTERM))
    result = measure(rounds, connections)
    print("\n".join(result.lines()))
    return int(bool(result.unanswered))


if __name__ == "__main__":
    try:
        sys.exit(main(*map(int, sys.argv[1:])))
    except Failed as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
