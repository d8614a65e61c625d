"""Servers that others wrote: started, waited for until they listen, and ended by their number."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.processes import PATIENCE, variables, wait_until

ROOT = Path(__file__).parents[2]
FETCHED = Path(sys.prefix) / "bench" / "xinetd" / "usr" / "sbin" / "xinetd"
_LISTENING = {"tcp": "0A", "tcp6": "0A", "udp": "07", "udp6": "07"}
"""The state of a socket that may be asked (the kernel's tcp_states.h)."""
_INODE = re.compile(r"socket:\[(\d+)\]")

Where = tuple[str, int | str]
"""A transport, and its port or path: ("tcp", 7), ("unix", "/run/x")."""


def xinetd() -> str:
    """Where xinetd is: as the benchmark has it fetched, where it is not installed."""
    for folder in os.environ["PATH"].split(os.pathsep):
        if (Path(folder) / "xinetd").exists():
            return str(Path(folder) / "xinetd")
    make = ["make", "--silent", f"VENV={sys.prefix}", str(FETCHED)]
    given = {name: value for name, value in variables().items() if not name.startswith("MAKE")}
    subprocess.run(make, cwd=ROOT, env=given, check=True, timeout=PATIENCE * 4)
    return str(FETCHED)


@contextmanager
def serving(argv: Sequence[str], *where: Where) -> Iterator[int]:
    """A server while the block runs, once it listens everywhere; its process's number.

    It may have children, which end with their connections.
    """
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, env=variables())
    try:
        wait_until(
            lambda: process.poll() is not None or set(where) <= listening(process.pid),
            lambda: f"{argv} listens at {set(where) - listening(process.pid)}",
        )
        assert process.poll() is None, f"{argv} has ended"
        yield process.pid
    finally:
        process.terminate()
        process.wait(PATIENCE)


def listening(pid: int) -> set[Where]:
    """Where a process listens, in the network namespace that it is in."""
    found: set[Where] = set()
    inodes = set()
    with suppress(OSError):  # it may just be ending
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                match = _INODE.fullmatch(str(descriptor.readlink()))
                inodes.add(match[1] if match else "")
        for name, state in _LISTENING.items():
            for row in _rows(pid, name):
                if row[3] == state and row[9] in inodes:
                    found.add((name.removesuffix("6"), int(row[1].rpartition(":")[2], 16)))
        for row in _rows(pid, "unix"):
            # a datagram's socket has no such mark: that it has its path is enough
            is_ready = row[4] == "0002" or int(row[3], 16) & 0x10000
            if len(row) > 7 and row[6] in inodes and is_ready:
                found.add(("unix", row[7]))
    return found


def _rows(pid: int, name: str) -> list[list[str]]:
    lines = Path(f"/proc/{pid}/net/{name}").read_text("utf-8", "replace").splitlines()
    return [line.split() for line in lines[1:]]
