"""A child process as Twisted has it, but for its end and for pipes that cannot be watched.

A process keeps its number until it is reaped, and its group is known by that number. So it is
reaped when its group has been ended, and not before: a signal for the group never meets another's.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from twisted.internet.process import Process, ProcessReader, ProcessWriter

Descriptors = Mapping[int, str | int]
"""What a child has by which number: "w", a pipe that we write to, "r", one that we read from, or a
descriptor of ours."""
DESCRIPTORS: Descriptors = {0: "w", 1: "r", 2: "r"}
"""Its input, its output and its errors."""


def has_ended(pid: int) -> bool:
    """Whether a child of ours has ended; it is not reaped by that."""
    try:
        ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return True
    return ended is not None


class _Watched:
    """A pipe. The kernel may refuse to watch it: `epoll_ctl` fails where there is no room."""

    proc: Any

    def startReading(self) -> None:
        """Watch for what can be read."""
        try:
            super().startReading()  # type: ignore[misc]  # Twisted's
        except OSError as error:
            self.proc.cannot_watch(error)

    def startWriting(self) -> None:
        """Watch for room."""
        try:
            super().startWriting()  # type: ignore[misc]  # Twisted's
        except OSError as error:
            self.proc.cannot_watch(error)


class _Reader(_Watched, ProcessReader):
    """Its output or its errors."""


class _Writer(_Watched, ProcessWriter):
    """Its input."""


class ChildProcess(Process):
    """A child with three pipes, or none. Its number is its own as long as it has one of them.

    Its protocol has a method more, `pipe_failed`, which is told of a pipe that cannot be watched.
    """

    processReaderFactory = _Reader
    processWriterFactory = _Writer
    unwatched: OSError | None = None
    """Why a pipe could not be watched from the beginning; then it is of no use."""
    _is_begun = False

    def __init__(
        self,
        reactor: Any,
        protocol: Any,
        argv: Sequence[str],
        environment: Mapping[str, str],
        descriptors: Descriptors = DESCRIPTORS,
    ) -> None:
        """Start it. Raises OSError where the host has no room for one more process."""
        super().__init__(
            reactor, argv[0], argv, environment, None, protocol, childFDs=dict(descriptors)
        )
        self._is_begun = True
        # sockd's reactor listens for no signal when a child ends
        if watch := getattr(reactor, "watch_child", None):
            watch(self.pid)

    def cannot_watch(self, error: OSError) -> None:
        """From a pipe."""
        if self.unwatched is not None:
            return
        self.unwatched = error
        if self._is_begun:
            # in a pass of its own: the pipe is in the midst of something
            self._reactor.callLater(0, self._tell, error)

    def _tell(self, error: OSError) -> None:
        protocol: Any = self.proto
        if protocol is not None:  # None once it is reaped
            protocol.pipe_failed(error)

    def reapProcess(self) -> None:
        """From the reactor when some child has ended, and from the last pipe that has closed."""
        if self.pipes or self.pid is None or not has_ended(self.pid):
            return
        # what it has started and left behind in its group ends with it
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        super().reapProcess()
