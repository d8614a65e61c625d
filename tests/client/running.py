"""`sock` as a user runs it."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from attrs import frozen

from tests.processes import BIN, PATIENCE, finish, variables

T = TypeVar("T")

SOCK = str(BIN / "sock")
TRIES = 5
"""Runs of a measurement that a machine which stands still spoils."""


@frozen
class Done:
    """How a run has ended, and what it wrote."""

    code: int
    out: bytes
    err: str


def sock(
    *arguments: str | Path,
    stdin: int | bytes = b"",
    environment: Mapping[str, str] | None = None,
    seconds: float = 60.0,
) -> Done:
    """Run `sock` to its end, bounded in time, whatever its exit code is."""
    argv = [SOCK, *map(str, arguments)]
    done = finish(argv, stdin=stdin, environment=environment, seconds=seconds)
    return Done(done.returncode, done.stdout, done.stderr.decode("utf-8", "replace"))


def unspoilt(measure: Callable[[], T], is_right: Callable[[T], bool]) -> T:
    """What times were measured: again, where a machine that stood still has spoilt them."""
    for _ in range(TRIES):
        if is_right(found := measure()):
            break
    return found


@contextmanager
def sock_open(*arguments: str | Path) -> Iterator[subprocess.Popen[bytes]]:
    """`sock` with a pipe at each end, for as long as the block runs; then it is gone."""
    process = subprocess.Popen(
        [SOCK, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=variables(),
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
        process.wait(PATIENCE)
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None and not pipe.closed:
                with suppress(BrokenPipeError):  # it had not taken all that was written
                    pipe.close()
