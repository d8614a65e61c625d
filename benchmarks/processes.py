"""Processes on cores of their own, started and ended: none is left, whatever happens.

Each is the first of a session, is ended by its number, and takes what it started with it. Every
wait is bounded.
"""

from __future__ import annotations

import os
import re
import select
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from attrs import frozen

STOP_SECONDS = 3.0
"""Until a process that was asked to end is ended."""
POLL_SECONDS = 0.01
ERROR_CHARACTERS = 500


class Failed(Exception):
    """A process did not do what it was started for: why, with what it wrote to standard error."""


@frozen
class Child:
    """A process that runs, and what it writes."""

    process: subprocess.Popen[bytes]
    handle: int
    """A descriptor of the process, readable when it has ended."""
    folder: Path

    @property
    def pid(self) -> int:
        """Its number."""
        return self.process.pid

    def code(self, seconds: float = 0.0) -> int | None:
        """Its exit code once it has ended, a signal's number negative; None until then.

        It is left unreaped, so that its number, and its session's, cannot become another's.
        """
        if not select.select([self.handle], [], [], seconds)[0]:
            return None
        ended = os.waitid(os.P_PIDFD, self.handle, os.WEXITED | os.WNOWAIT)
        assert ended is not None
        return ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status

    def output(self) -> str:
        """What it has written so far."""
        return (self.folder / "stdout").read_text("utf-8", "replace")

    def wait_for(self, pattern: re.Pattern[str], seconds: float) -> re.Match[str]:
        """The first place in its output that matches. Raises Failed if there is none in time."""
        until = time.monotonic() + seconds
        while (found := pattern.search(self.output())) is None:
            if (code := self.code()) is not None:
                raise self.failed(f"ended with code {code}")
            if time.monotonic() > until:
                raise self.failed(f"nothing within {seconds:g} s")
            time.sleep(POLL_SECONDS)
        return found

    def wait_for_port(self, port: int, seconds: float) -> None:
        """Until it accepts a connection: a server may tell its port before it listens."""
        until = time.monotonic() + seconds
        while True:
            with suppress(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port), timeout=seconds).close()
                return
            if time.monotonic() > until:
                raise self.failed(f"refuses connections to port {port} for {seconds:g} s")
            time.sleep(POLL_SECONDS)

    def finish(self, seconds: float) -> str:
        """Wait for its end; what it has written. Raises Failed unless all is well."""
        code = self.code(seconds)
        if code is None:
            raise self.failed(f"not done within {seconds:g} s")
        if code != 0:
            raise self.failed(f"ended with code {code}")
        return self.output()

    def close_input(self) -> None:
        """End its standard input, which some take as a sign to end."""
        assert self.process.stdin is not None
        self.process.stdin.close()

    def resident(self) -> int:
        """Bytes of memory that it has resident."""
        status = Path(f"/proc/{self.pid}/status").read_text("ascii", "replace")
        found = re.search(r"^VmRSS:\s*(\d+) kB$", status, re.MULTILINE)
        if found is None:
            raise self.failed("has ended")
        return int(found[1]) * 1024

    def processor_seconds(self) -> float:
        """What its threads have taken of the processor so far."""
        return self._scheduled(0)

    def waited_seconds(self) -> float:
        """What they have waited for it, so far, as others were on it."""
        return self._scheduled(1)

    def _scheduled(self, column: int) -> float:
        threads = Path(f"/proc/{self.pid}/task").glob("*/schedstat")
        return sum(int(thread.read_text("ascii").split()[column]) for thread in threads) / 1e9

    def end(self) -> None:
        """End it, and then whatever of its session is left."""
        signal.pidfd_send_signal(self.handle, signal.SIGTERM)
        self.code(STOP_SECONDS)
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.process.wait()
        os.close(self.handle)
        self.close_input()

    def errors(self) -> str:
        """The end of what it has written to standard error."""
        return (self.folder / "stderr").read_text("utf-8", "replace").strip()[-ERROR_CHARACTERS:]

    def failed(self, what: str) -> Failed:
        """What it has not done, to be raised."""
        return Failed(f"{what}: {self.errors()}")


@contextmanager
def started(
    argv: Sequence[str], core: int, environment: Mapping[str, str] | None = None
) -> Iterator[Child]:
    """Run a program on a core while the block runs."""
    # a runner that is killed takes its children with it too, and none starts without it
    there = f'[ "$PPID" = {os.getpid()} ] && exec "$@"'
    tied = ["setpriv", "--pdeathsig", "KILL", "sh", "-c", there, "sh"]
    tied += ["taskset", "--cpu-list", str(core), *argv]
    with tempfile.TemporaryDirectory(prefix="sockd-bench-") as name:
        folder = Path(name)
        with (folder / "stdout").open("wb") as stdout, (folder / "stderr").open("wb") as stderr:
            process = subprocess.Popen(
                tied,
                stdin=subprocess.PIPE,
                stdout=stdout,
                stderr=stderr,
                cwd=folder,
                env={**os.environ, "RUNTIME_DIRECTORY": name, **(environment or {})},
                start_new_session=True,
            )
        child = Child(process, os.pidfd_open(process.pid), folder)
        try:
            yield child
        finally:
            child.end()


def free_port() -> int:
    """A TCP port of loopback that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port: int = sock.getsockname()[1]
        return port
