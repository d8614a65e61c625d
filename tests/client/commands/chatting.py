"""`sock chat` in a pipe, for tests of it."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from attrs import define

from tests.client.running import SOCK, Done
from tests.client.served import served, way
from tests.daemons import Daemon
from tests.processes import PATIENCE, Running, variables

Files = tuple[Path, Path, Path]
DOORS = ("udp", "tcp", "tls", "unix", "unixgram")


@contextmanager
def chat_server(folder: Path, tls_files: Files) -> Iterator[Daemon]:
    """A daemon with all doors of the chat."""
    groups = 'listen_multicast = ["udp:0:interface=127.0.0.1"]'
    with served(folder, tls_files, {"chat": [*DOORS, groups]}) as found:
        yield found


def user(folder: Path) -> dict[str, str]:
    """The environment of a user who has never chatted."""
    return {"XDG_STATE_HOME": str(folder / "state"), "USER": "rufus", "LOGNAME": "rufus"}


def to(daemon: Daemon, transport: str, tls_files: Files) -> list[str]:
    """The arguments by which `sock chat` gets there."""
    host = [] if transport.startswith("unix") else ["127.0.0.1"]
    by = ["--tcp"] if transport == "tcp" else []
    return [*way(daemon, "chat", transport, tls_files), *by, *host]


def lines(done: Done) -> list[str]:
    """What it has printed."""
    return done.out.decode().splitlines()


@define(eq=False)
class Piped:
    """One that goes on until its input is closed."""

    running: Running

    def type(self, line: str) -> None:
        """A line for it."""
        pipe = self.running.process.stdin
        assert pipe is not None
        pipe.write(f"{line}\n".encode())
        pipe.flush()

    def end(self) -> int:
        """No more lines; its exit code."""
        self.close()
        return self.running.wait()

    def close(self) -> None:
        """No more lines."""
        pipe = self.running.process.stdin
        assert pipe is not None
        with suppress(BrokenPipeError):
            pipe.close()


@contextmanager
def chatting(environment: dict[str, str], *arguments: str) -> Iterator[Piped]:
    """`sock chat` with a pipe at each end."""
    process = subprocess.Popen(
        [SOCK, "chat", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=variables(environment),
    )
    found = Piped(Running(process))
    reader = threading.Thread(target=found.running.collect, daemon=True)
    reader.start()
    try:
        yield found
    finally:
        found.close()
        try:
            process.wait(PATIENCE)  # once it has logged off, its name is free for others
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(PATIENCE)
        reader.join(PATIENCE)
        assert process.stdout is not None
        process.stdout.close()
