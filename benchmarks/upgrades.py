"""Upgrades under load: nobody is refused, and no datagram is lost.

    python -m benchmarks.upgrades [ROUNDS [CONNECTIONS]]

Clients as those of `benchmarks.reloads` ask while the daemon, time after time, becomes another one
in the same process. Connections that are open then end, as at a stop: a client whose connection
ends without an answer, and without an error, comes again, and that is counted. Exit codes: 0 nobody
was refused or reset, and every datagram was answered; 1 somebody was not.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from attrs import frozen

from benchmarks.machine import pick_cores
from benchmarks.processes import Child, Failed, started
from benchmarks.reloads import PATIENCE, START_SECONDS, Load, Places, free_port
from sockd.ops.control.client import ControlClient
from sockd.ops.control.frames import ControlError

ROUNDS = 20
CONNECTIONS = 20_000
LEFT = " answered b''"
"""What becomes of who was connected when the old daemon ended."""


@frozen
class Result:
    """What became of it all."""

    counts: Counter[str]
    seconds: list[float]
    """Of each upgrade, from the answer that it goes ahead until the new daemon answers."""
    slowest: float
    """Seconds of the slowest answer."""

    @property
    def unanswered(self) -> dict[str, int]:
        """What was refused, reset or lost."""
        fine = (" answered", LEFT)
        return {what: n for what, n in self.counts.items() if not what.endswith(fine)}

    @property
    def left(self) -> int:
        """How many connections were open when the old daemon ended, and ended with it."""
        return sum(n for what, n in self.counts.items() if what.endswith(LEFT))

    def lines(self) -> list[str]:
        """The result in words."""
        return [
            *(f"{number:9,} {what}" for what, number in sorted(self.counts.items())),
            f"{len(self.seconds):9,} upgrades, of {median(self.seconds):.2f} s, "
            f"the longest of {max(self.seconds):.2f} s",
            f"the slowest connection was answered in {self.slowest:.2f} s",
        ]


def measure(rounds: int, connections: int, reactor: str | None = None) -> Result:
    """Upgrade so often while at least so many connections are made. Raises Failed, ControlError."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sockd-")))
        places = Places(folder, free_port())
        places.write(0)
        command = [sys.executable, "-m", "sockd.cli", "run", "-c", str(folder / "sockd.toml")]
        command += ["--log-format", "json", *(["--reactor", reactor] if reactor else [])]
        cores = pick_cores()
        environment = {"RUNTIME_DIRECTORY": str(folder)}
        daemon = stack.enter_context(started(command, cores.server, environment))
        daemon.wait_for(re.compile('"event": "started"'), START_SECONDS)
        load = Load(places, sys.maxsize)  # it ends with the last upgrade
        seconds = []
        with load.running():
            for _ in range(rounds):
                _more(load, connections // rounds)
                seconds.append(_upgrade(daemon, f"{folder}/control"))
            _more(load, connections // rounds)
        return Result(load.counts, seconds, load.slowest)


def _more(load: Load, connections: int) -> None:
    """Wait for so many more connections."""
    goal = load.begun + connections
    while load.begun < goal:
        time.sleep(0.001)


def _upgrade(daemon: Child, control: str) -> float:
    """Upgrade; how long it took. Raises Failed, ControlError."""
    asked = time.monotonic()
    with ControlClient(control, PATIENCE) as client:
        client.ask("upgrade")
    began = time.monotonic()
    while time.monotonic() - began < START_SECONDS:
        try:
            with ControlClient(control, PATIENCE) as client:
                if client.ask("status")["uptime"] < time.monotonic() - asked:
                    return time.monotonic() - began
        except ControlError:
            pass  # between the two
        time.sleep(0.01)
        if (code := daemon.code()) is not None:
            raise daemon.failed(f"ended with code {code}")
    raise daemon.failed("the new daemon does not answer")


def main(rounds: int = ROUNDS, connections: int = CONNECTIONS) -> int:
    """Measure, and say what came of it; the exit code."""
    signal.signal(signal.SIGTERM, lambda *_: os._exit(128 + signal.SIGTERM))
    result = measure(rounds, connections)
    print("\n".join(result.lines()))
    return int(bool(result.unanswered))


if __name__ == "__main__":
    try:
        sys.exit(main(*map(int, sys.argv[1:])))
    except (Failed, ControlError) as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
