"""Programs that others wrote, as clients: given all their input at once, or talked with."""

from __future__ import annotations

import fcntl
import os
import select
import subprocess
import time
from types import TracebackType
from typing import Self

from tests.processes import finish

SECONDS = 60.0
"""Seconds that a client has for all that it does: a loaded machine is slow."""


def feed(*command: str, data: bytes = b"", seconds: float = SECONDS) -> bytes:
    """Run a client with this as its whole standard input; its standard output.

    All of the input lies ready when the client starts: one that reads it into datagrams reads it at
    once, and one that leaves after a time of quiet does not leave before its input.
    """
    stdin, keyboard = os.pipe()
    try:
        try:
            fcntl.fcntl(keyboard, fcntl.F_SETPIPE_SZ, max(len(data), select.PIPE_BUF))
            os.write(keyboard, data)
        finally:
            os.close(keyboard)
        return finish(command, stdin=stdin, seconds=seconds).stdout
    finally:
        os.close(stdin)


def ctimes(begin: float, end: float) -> set[bytes]:
    """What C's ctime says, without its newline, of the seconds from one Unix time to another."""
    return {time.ctime(second).encode() for second in range(int(begin), int(end) + 1)}


class Session:
    """A client that stays: typed into through a pipe or at a terminal, ended when it is left."""

    def __init__(self, *command: str, terminal: bool = False) -> None:
        self.output = b""
        if terminal:
            keyboard, device = os.openpty()
            self._keyboard = self._screen = keyboard
            self.process = subprocess.Popen(command, stdin=device, stdout=device, stderr=device)
            os.close(device)
        else:
            stdin, self._keyboard = os.pipe()
            self._screen, stdout = os.pipe()
            self.process = subprocess.Popen(
                command, stdin=stdin, stdout=stdout, stderr=subprocess.DEVNULL
            )
            os.close(stdin)
            os.close(stdout)
        self._open = {self._keyboard, self._screen}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.process.kill()
        self.process.wait(SECONDS)
        for descriptor in self._open:
            os.close(descriptor)

    def type(self, data: bytes) -> None:
        """Give it input."""
        os.write(self._keyboard, data)

    def end_input(self) -> None:
        """End its input; at a terminal there is ^D for that."""
        self._open.discard(self._keyboard)
        os.close(self._keyboard)

    def read(self, size: int) -> bytes:
        """This many bytes of its output, from the beginning."""
        until = time.monotonic() + SECONDS
        while len(self.output) < size and self._more(until):
            pass
        assert len(self.output) >= size, self.output
        return self.output[:size]

    def read_until(self, words: bytes) -> bytes:
        """Its output from the beginning to where it ends with these words, which it must say."""
        until = time.monotonic() + SECONDS
        while words not in self.output and self._more(until):
            pass
        assert words in self.output, self.output
        return self.output[: self.output.index(words) + len(words)]

    def read_all(self) -> bytes:
        """All its output, once it has ended."""
        until = time.monotonic() + SECONDS
        while self._more(until):
            pass
        self.process.wait(SECONDS)
        return self.output

    def _more(self, until: float) -> bool:
        ready, _, _ = select.select([self._screen], [], [], max(0.0, until - time.monotonic()))
        assert ready, f"nothing more came after {self.output!r}"
        try:
            part = os.read(self._screen, 65536)
        except OSError:  # a terminal that its last user has left
            part = b""
        self.output += part
        return bool(part)
