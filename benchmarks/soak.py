"""Full load of every kind on one daemon, for a while: nothing may grow.

    python -m benchmarks.soak [SECONDS]

Every kind of load has its turn alone, then all run at once; then there is silence, in which the
daemon has to hold what it held in the silence before: memory, descriptors, delayed calls. Exit
codes: 0 nothing has grown; 1 something has, or a load has failed.
"""

from __future__ import annotations

import json
import re
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from statistics import median

from attrs import frozen

from benchmarks.certificate import certificate
from benchmarks.machine import Cores, pick_cores
from benchmarks.processes import Child, Failed, started
from benchmarks.roster import BUILT, SOURCES

SECONDS = 600.0
SAMPLE_SECONDS = 0.5
START_SECONDS = 20.0
TURN_SECONDS = 2.5
EXTRA_SECONDS = 30.0
"""Beyond its own time, until a load counts as stuck."""
SILENCE_SECONDS = 4.0
"""Longer than a closed connection may linger, and than the guard's sweep takes to see it."""
RESIDENT_GROWTH = 2 * 1024 * 1024
"""Bytes: a few of the allocator's arenas. In ten minutes there are nine rounds between the quarters
that are compared, each of some 50,000 connections and 2,000,000 answers: a leak of 5 bytes a
connection, or of one byte in eight answers, is more."""

SERVICES = {"echo": ("tcp", "udp", "tls"), "reverse": ("tcp",), "daytime": ("tcp",)}
CHUNKS = {"bulk": 65536}
"""Where bytes are counted: how many make an answer."""
LOADS = (
    ("echo tcp", "pingpong"),
    ("echo tcp", "bulk"),
    ("echo udp", "udp"),
    ("echo tls", "tls-echo"),
    ("echo tls", "tls-handshake"),
    ("reverse tcp", "pingpong", "--reverse"),
    ("reverse tcp", "pipelined", "--reverse"),
    ("daytime tcp", "connect", "--expect-bytes", "26"),
)


@frozen
class Held:
    """What the daemon holds in a silence."""

    resident: int
    descriptors: int
    delayed_calls: int


def grown(samples: Sequence[Held]) -> list[str]:
    """What has grown from the second quarter to the last; before that it warms up."""
    quarter = max(len(samples) // 4, 1)
    early, late = samples[quarter : 2 * quarter], samples[-quarter:]
    found = []
    for name, allowed in (("resident", RESIDENT_GROWTH), ("descriptors", 0), ("delayed_calls", 0)):
        before, after = (median(getattr(one, name) for one in part) for part in (early, late))
        if after - before > allowed:
            found.append(f"{name.replace('_', ' ')} grew from {before:,.0f} to {after:,.0f}")
    return found


def main(seconds: float) -> int:
    """Load and look until the time is over; the exit code."""
    # as ^C: what runs is ended
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    cores = pick_cores()
    until = time.monotonic() + seconds
    samples: list[Held] = []
    with (
        certificate() as file,
        started(
            [sys.executable, str(SOURCES / "watched_peer.py")], cores.server, {"CERTIFICATE": file}
        ) as daemon,
    ):
        ports = json.loads(daemon.wait_for(re.compile("^{.*}$", re.MULTILINE), START_SECONDS)[0])
        print("round   answers  resident kB  descriptors  delayed calls")
        while time.monotonic() < until:
            answers = _round(cores, ports)
            time.sleep(SILENCE_SECONDS)
            samples.append(_latest(daemon))
            held = samples[-1]
            print(
                f"{len(samples):5} {answers:9,} {held.resident // 1024:12,}"
                f" {held.descriptors:12} {held.delayed_calls:14}",
                flush=True,
            )
    found = grown(samples)
    print("\n".join(found) or "nothing has grown")
    return int(bool(found))


def _round(cores: Cores, ports: dict[str, str]) -> int:
    """Every load alone, then all of them together; how many answers there were."""
    return sum(_together(cores, ports, [one]) for one in LOADS) + _together(cores, ports, LOADS)


def _together(cores: Cores, ports: dict[str, str], loads: Sequence[tuple[str, ...]]) -> int:
    program, *times = (str(BUILT / "load"), "--seconds", str(TURN_SECONDS))
    with ExitStack() as stack:
        children = [
            stack.enter_context(
                started([program, *one, *times, "--port", ports[target]], cores.load)
            )
            for target, *one in loads
        ]
        found = [json.loads(child.finish(TURN_SECONDS + EXTRA_SECONDS)) for child in children]
    return sum(one["count"] // CHUNKS.get(one["mode"], 1) for one in found)


def _latest(daemon: Child) -> Held:
    """The most of the newest whole samples: a timer that just fires is in none of the counts."""
    newest = [json.loads(line) for line in daemon.output().split("\n")[-4:-1]]
    return Held(*map(max, zip(*newest, strict=True)))


if __name__ == "__main__":
    try:
        sys.exit(main(float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS))
    except Failed as error:
        sys.exit(f"a load failed: {error}")
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
