"""sockd and its peers, measured: `python -m benchmarks`.

Prints a table a work. Exit codes: 0 all is measured; 1 something could not be; 2 a mistake on the
command line. A target that is missed is a finding, not an error.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks.before import checkout, commit, with_before
from benchmarks.certificate import certificate
from benchmarks.chart import chart
from benchmarks.machine import allow_descriptors, describe, pick_cores
from benchmarks.report import page, text
from benchmarks.roster import BUILT, Peer
from benchmarks.run import Bench, Plan, Result
from benchmarks.works import IDLE, WORKS, Work

FULL = Plan(starts=2, rounds=3, seconds=1.0, warmup=0.3)
QUICK = Plan(starts=1, rounds=3, seconds=0.2, warmup=0.05)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure what is asked for; the exit code."""
    options = parse(argv)
    if not (BUILT / "load").exists():
        sys.exit("there is no load generator yet: `make bench` builds it")
    # as ^C: what runs is ended
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    allow_descriptors(2 * IDLE)
    cores = pick_cores()
    machine = describe(cores)
    if options.before:
        machine.append(("the peer `before`", f"commit {commit(options.before)}"))
    if options.output:
        options.output.mkdir(parents=True, exist_ok=True)
    plan = QUICK if options.quick else FULL
    for what, value in machine:
        print(f"{what}: {value}")
    print(flush=True)
    results = []
    with certificate() as file:
        bench = Bench(cores, plan, {"CERTIFICATE": file})
        for work in chosen(options):
            results.append(bench.measure(work, _tell))
            _tell("")
            print(text(results[-1]), flush=True)
    if options.output:
        (options.output / "results.md").write_text(page(results, machine, plan), "utf-8")
        (options.output / "results.svg").write_text(chart(results), "utf-8")
    return int(bool(failed(results, options.allow_missing)))


def chosen(options: argparse.Namespace) -> list[Work]:
    """What is measured, how and beside whom."""
    works = [work for work in WORKS if not options.only or work.name in options.only]
    if options.by_processor:
        works = [work.by_processor() for work in works]
    if options.before:
        works = [with_before(work, options.before) for work in works]
    return works


def failed(results: Iterable[Result], allow_missing: bool) -> list[Peer]:
    """Who could not be measured; one that is not installed may be allowed to be missing."""
    peers = [row.peer for result in results for row in result.rows if row.trouble]
    return [one for one in peers if not (allow_missing and one.why_missing())]


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    names = [work.name for work in WORKS]
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two minutes, less exact")
    parser.add_argument("--only", nargs="+", choices=names, help="these works only")
    parser.add_argument(
        "--before",
        type=_checkout,
        metavar="DIR",
        help="another checkout, with its own .venv: its sockd is a peer in every work",
    )
    parser.add_argument(
        "--by-processor",
        action="store_true",
        help="rates for each second that a server is on its core, for a machine that others use "
        "too; without servers that fork",
    )
    parser.add_argument("--output", type=Path, help="folder for results.md and results.svg")
    parser.add_argument(
        "--allow-missing", action="store_true", help="a peer that is not installed is no error"
    )
    return parser.parse_args(argv)


def _checkout(name: str) -> Path:
    try:
        return checkout(name)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _tell(what: str) -> None:
    """Progress, where somebody watches."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{what[:78]}", end="\r", file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
