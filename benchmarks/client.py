"""`sock` as an instrument: how fast it asks beside a C client, where it begins to measure itself.

    python -m benchmarks.client [ROUNDS]

Both ask the same C server over UDP, in turn, from the same core, with 64 probes on their way; then
`sock` asks by schedules that become faster. Prints ratios and parts, medians of the rounds.
"""

from __future__ import annotations

import json
import re
import sys
from statistics import median
from typing import Any

from benchmarks.machine import Cores, pick_cores
from benchmarks.processes import Failed, started
from benchmarks.roster import BUILT

ROUNDS = 7
WINDOW = 64
SIZE = 64
SECONDS = 3
"""Of a measurement; the first of them warms up."""
PATIENCE = 30.0
RATES = (100, 1_000, 5_000, 10_000, 20_000, 40_000)
"""Probes a second of the schedules."""
SOCK = f"{sys.exec_prefix}/bin/sock"


def main(rounds: int) -> int:
    """Measure and print; the exit code."""
    cores = pick_cores()
    with started([str(BUILT / "epoll"), "udp-echo"], cores.server) as server:
        port = server.wait_for(re.compile(r"^\d+$", re.MULTILINE), PATIENCE)[0]
        ratios = []
        for number in range(rounds):
            asks = [_c_rate, _sock_rate] if number % 2 else [_sock_rate, _c_rate]
            rates = {ask: ask(cores, port) for ask in asks}
            ratios.append(rates[_sock_rate] / rates[_c_rate])
            print(f"round {number + 1}: sock / C {ratios[-1]:.2f}", flush=True)
        low, high = min(ratios), max(ratios)
        print(f"window of {WINDOW}: sock / C {median(ratios):.2f} [{low:.2f}..{high:.2f}]")
        print("probes/s  missed slots  sent late, p99 (us)  round trip, p99 (us)")
        for rate in RATES:
            _print_schedule(rate, [_scheduled(cores, port, rate) for _ in range(rounds)])
    return 0


def _c_rate(cores: Cores, port: str) -> float:
    """Answers a second of the C client."""
    argv = [str(BUILT / "load"), "udp", "--port", port, "--sources", "1"]
    argv += ["--window", str(WINDOW), "--size", str(SIZE), "--seconds", str(SECONDS - 1)]
    with started([*argv, "--warmup", "1"], cores.load) as child:
        return float(json.loads(child.finish(SECONDS + PATIENCE))["rate"])


def _sock_rate(cores: Cores, port: str) -> float:
    """Answers a second of sock, in the intervals after the first."""
    lines = _sock(cores, port, "--window", str(WINDOW))
    intervals = [line for line in lines if line["type"] == "interval"][1:]
    received = sum(one["counts"]["received"] for one in intervals)
    seconds = sum(one["to_ns"] - one["from_ns"] for one in intervals) / 1e9
    return float(received / seconds)


def _scheduled(cores: Cores, port: str, rate: int) -> dict[str, Any]:
    """The summary of a run by a schedule."""
    found: dict[str, Any] = _sock(cores, port, "--interval", f"{1 / rate:.6f}")[-1]["hosts"][0]
    return found


def _sock(cores: Cores, port: str, *options: str) -> list[dict[str, Any]]:
    argv = [SOCK, "echo", "--udp", "--json", "--size", str(SIZE), *options]
    with started([*argv, "--deadline", str(SECONDS + 0.1), f"127.0.0.1:{port}"], cores.load) as run:
        return [json.loads(line) for line in run.finish(SECONDS + PATIENCE).splitlines()]


def _print_schedule(rate: int, found: list[dict[str, Any]]) -> None:
    slots = [one["counts"]["sent"] + one["missed_slots"] for one in found]
    missed = median(one["missed_slots"] / all_ for one, all_ in zip(found, slots, strict=True))
    late = median(_p99(one["lateness"]) for one in found)
    trip = median(_p99(one["rtt"]) for one in found)
    print(f"{rate:8,} {missed:13.1%} {late / 1000:20,.0f} {trip / 1000:21,.0f}", flush=True)


def _p99(spread: dict[str, Any]) -> int:
    return int(spread["percentiles"].get("p99_ns", spread["max_ns"]))


if __name__ == "__main__":
    try:
        sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS))
    except Failed as error:
        sys.exit(f"a measurement failed: {error}")
