"""A daemon that is killed at random moments: how soon it serves again, and what is in the way.

    python -m benchmarks.kills [ROUNDS [SEED]]

Clients ask all the time. Each round kills the daemon without warning (SIGKILL), every third one
while it starts, and starts it again: its ports, and the socket files that the dead one has left,
have to be had again. Exit codes: 0 it served again each time, and within two seconds; 1 not.
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
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from statistics import median

from attrs import frozen

from benchmarks.machine import pick_cores
from benchmarks.processes import Child, Failed, started
from benchmarks.reloads import PATIENCE, START_SECONDS, Places, free_port

ROUNDS = 50
SEED = 2
SECONDS = 2.0
"""Within which it has to serve again, on a machine that has nothing else to do."""
KILL_WITHIN = 0.5
"""Seconds after it serves, or after it was started, in which it is killed."""
EVERY = ("tcp", "udp", "unix", "unixgram")


@frozen
class Result:
    """How soon it has served again."""

    seconds: list[float]
    """From each start until it has answered over every kind of socket."""
    asked: int
    """How many answers the clients have had meanwhile."""

    def lines(self) -> list[str]:
        """The result in words."""
        return [
            f"killed {len(self.seconds)} times, while {self.asked:,} questions were answered",
            f"served again after {median(self.seconds):.2f} s, at most {max(self.seconds):.2f} s",
        ]


def connected(places: Places, transport: str) -> socket.socket:
    """A client's socket; the file of the last one of this thread's is gone."""
    (places.folder / f"client-{threading.get_ident()}").unlink(missing_ok=True)
    return places.connect(transport)


@contextmanager
def asking(places: Places, counts: list[int]) -> Iterator[None]:
    """Clients that ask all the time, and take what comes."""
    over = threading.Event()

    def ask(transport: str) -> None:
        while not over.wait(0.001):
            with suppress(OSError), connected(places, transport) as sock:
                sock.settimeout(1)
                sock.send(b"x" * 1000)
                counts.append(len(sock.recv(1000)))

    threads = [threading.Thread(target=ask, args=(one,)) for one in EVERY]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


def is_served(places: Places, transport: str) -> bool:
    """Whether a client is answered."""
    with suppress(OSError), connected(places, transport) as sock:
        sock.settimeout(PATIENCE)
        sock.send(b"!")
        return sock.recv(1) == b"!"
    return False


def _serves(daemon: Child, places: Places, begun: float) -> float:
    """Wait until it serves; how long that took. Raises Failed."""
    daemon.wait_for(re.compile('"event": "started"'), START_SECONDS)
    while not all(is_served(places, one) for one in EVERY):
        if time.monotonic() - begun > START_SECONDS:
            raise Failed("it does not serve")
    return time.monotonic() - begun


def measure(rounds: int, seed: int = SEED, reactor: str | None = None) -> Result:
    """Kill it so often. Raises Failed where it does not start again."""
    chance = random.Random(seed)
    seconds: list[float] = []
    counts: list[int] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sockd-")))
        places = Places(folder, free_port())
        places.write(0)
        command = [sys.executable, "-m", "sockd.cli", "run", "-c", str(folder / "sockd.toml")]
        command += ["--log-format", "json", *(["--reactor", reactor] if reactor else [])]
        environment = {"RUNTIME_DIRECTORY": str(folder)}
        core = pick_cores().server
        stack.enter_context(asking(places, counts))
        for number in range(rounds + 1):
            begun = time.monotonic()
            with started(command, core, environment) as daemon:
                # every third has not come far when it is killed; the last one has to serve
                if number % 3 or number == rounds:
                    seconds.append(_serves(daemon, places, begun))
                time.sleep(chance.uniform(0, KILL_WITHIN))
                os.kill(daemon.pid, signal.SIGKILL)
                daemon.code(START_SECONDS)
    return Result(seconds, len(counts))


def main(rounds: int = ROUNDS, seed: int = SEED) -> int:
    """Measure, and say what came of it; the exit code."""
    signal.signal(signal.SIGTERM, lambda *_: os._exit(128 + signal.SIGTERM))
    result = measure(rounds, seed)
    print("\n".join(result.lines()))
    return int(max(result.seconds) > SECONDS)


if __name__ == "__main__":
    try:
        sys.exit(main(*map(int, sys.argv[1:])))
    except Failed as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
