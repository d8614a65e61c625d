"""Children on the running reactor whose output and end are kept."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sockd.access.peer import Peer
from sockd.net.child import Child
from sockd.net.program import Program
from tests.helpers import make_context, until

PEER = Peer("192.0.2.7", 50_007)


class Heard(Child):
    """A child whose output and end are kept."""

    output = b""
    status = ""

    def outReceived(self, data: bytes) -> None:
        self.output += data

    def ended(self, status: str) -> None:
        self.status = status


MAY: dict[str, int] = {
    "cpu_seconds": 10,
    "memory_bytes": 256 << 20,
    "descriptors": 64,
    "file_bytes": 1 << 20,
}
"""What a program may use where a test does not say."""


def program(*argv: str, **may: Any) -> Program:
    """A program that may use what `MAY` says, or more or less."""
    return Program(argv=argv, **{**MAY, **may})


def start(*argv: str, environment: Mapping[str, str] | None = None, **may: Any) -> Heard:
    """Run a program; `may` is in the words of Program."""
    child = Heard(make_context("echo"), PEER, program(*argv, **may))
    child.start(environment or {})
    return child


def shell(script: str, **more: Any) -> Heard:
    """Run a shell's script."""
    return start("/bin/sh", "-c", script, **more)


async def run(script: str, **more: Any) -> Heard:
    """Run a shell's script to its end."""
    child = shell(script, **more)
    await until(lambda: child.status)
    return child


def is_alive(pid: int) -> bool:
    """Whether a process runs: one that has ended and was not reaped does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("ascii")
    except (FileNotFoundError, ProcessLookupError):  # it may go between opening and reading
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"
