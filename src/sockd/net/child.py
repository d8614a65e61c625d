"""Child processes of the daemon: their start, what they say, and their end."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, ClassVar, cast

from twisted.internet.error import ConnectionAborted, ProcessDone
from twisted.internet.interfaces import IDelayedCall, IProcessTransport, IReactorTime
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from sockd import events
from sockd.access.peer import Peer
from sockd.net.context import Context
from sockd.net.process import DESCRIPTORS, Descriptors
from sockd.net.program import Program, environment

KILL_SECONDS = 5.0
"""From the polite signal (TERM) to the last one (KILL)."""
STOP_SECONDS = 2.0
"""How long a stop waits until killed children are reaped: one that became another user may live."""
SAID_BYTES = 1024
"""Bytes of a child's standard error that are logged; the rest is dropped."""


class Child(ProcessProtocol):
    """One child process of a peer. Override `outReceived` and `ended`."""

    descriptors: Descriptors = DESCRIPTORS
    """What it gets."""
    starts_others: ClassVar[bool] = True
    """False for one that starts no processes, so that none need be looked for."""

    def __init__(self, context: Context[Any, Any], peer: Peer | str, program: Program) -> None:
        self.context = context
        self.peer = peer
        self.program = program
        self.pid: int | None = None
        self._number: int | None = None
        self._said = b""
        self._is_reaped = False
        self._kill: IDelayedCall | None = None

    def start(self, extra: Mapping[str, str]) -> None:
        """Start it. Raises OSError where the host has no room for one more process."""
        children = self.context.world.children
        if self.starts_others:
            self._number = children.begin()
            extra = {**extra, **children.mark(self._number)}
        try:
            argv = self.program.prepared_argv
            process = children.spawn(self, argv, environment(extra), self.descriptors)
        except BaseException:
            self._is_over()
            raise
        if process.unwatched is not None:
            self.kill()
            raise process.unwatched

    def _is_over(self) -> None:
        """It has been reaped, or was never there."""
        pid, self.pid = self.pid, None
        if self._number is not None:
            self.context.world.children.ended(self._number, pid)

    @property
    def process(self) -> Any:
        """Twisted's process, with its pipes."""
        return cast(IProcessTransport, self.transport)

    @property
    def is_running(self) -> bool:
        """Whether it has been started and has not been reaped."""
        return self.pid is not None

    def ended(self, status: str) -> None:
        """It is reaped and has closed its output."""

    def end(self) -> None:
        """Ask its whole process group to end, and see to it five seconds later."""
        if self.is_running and self._kill is None:
            self.process.loseConnection()
            self._signal(signal.SIGTERM)
            clock: IReactorTime = self.context.clock
            self._kill = clock.callLater(KILL_SECONDS, self.kill)

    def kill(self) -> None:
        """End its whole process group now."""
        self._signal(signal.SIGKILL)
        if self.is_running:
            # what left the group may hold the pipes; it is not waited for, nor to take its input
            if (pipe := self.process.pipes.get(0)) is not None:
                pipe.connectionLost(Failure(ConnectionAborted()))
            self.process.loseConnection()

    def connectionMade(self) -> None:
        self.pid = self.process.pid
        if self._number is not None and self.pid is not None:
            self.context.world.children.leads(self._number, self.pid)
        self.context.guard.counts.children += 1
        events.emit(
            "child-started",
            service=self.context.name,
            peer=self.peer,
            program=self.program.argv[0],
            pid=self.pid,
        )

    def errReceived(self, data: bytes) -> None:
        self._said = (self._said + data)[:SAID_BYTES]

    def pipe_failed(self, error: OSError) -> None:
        """A pipe cannot be watched any more: it is of no use."""
        self.kill()

    def said(self) -> str:
        """What it has said on standard error, as it is logged."""
        return self._said.decode("utf-8", "backslashreplace").rstrip()

    def processExited(self, reason: Failure) -> None:
        self._is_reaped = True

    def processEnded(self, reason: Failure) -> None:
        pid = self.pid
        self._is_over()
        if self._kill is not None and self._kill.active():
            self._kill.cancel()
        name, who = self.context.name, self.peer
        if text := self.said():
            events.warn("child-said", service=name, peer=who, pid=pid, text=text)
        status = _status(reason)
        how = "success" if status == "exit 0" else status.partition(" ")[0]
        self.context.guard.counts.children_ended[how] += 1
        events.emit("child-reaped", service=name, peer=who, pid=pid, status=status)
        self.ended(status)

    def _signal(self, number: signal.Signals) -> None:
        # once it is reaped its number may be another's; its group has been ended by then
        if self.pid is None or self._is_reaped:
            return
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            # it has not come to its own session yet
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)
        except PermissionError:
            return  # a setuid program has become another user: it sees the end of its input


def _status(reason: Failure) -> str:
    """How a process ended: `exit 0`, `exit 3`, `signal SIGKILL`."""
    if reason.check(ProcessDone):
        return "exit 0"
    value: Any = reason.value
    if getattr(value, "signal", None):
        return f"signal {signal.Signals(value.signal).name}"
    return f"exit {getattr(value, 'exitCode', '?')}"
