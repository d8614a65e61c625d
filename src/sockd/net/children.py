"""The children of the daemon: their start, and what they leave behind.

A program can leave its group and its session (`setsid -f`), and then no signal for the group meets
it. While programs run the daemon is the one to whom the kernel gives those that have lost their
parent (a subreaper), so such a runaway is its child in the end, and is ended when the program is
whose it was: a variable of the environment tells. Who has lost that too is ended when none of the
programs runs any more that ran beside it.
"""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.process import reapProcessHandlers

from sockd.net.process import DESCRIPTORS, ChildProcess, Descriptors, has_ended

MARK = "SOCKD_PROGRAM"
"""The variable that tells whose a process is: the daemon's number, a dot, the program's."""
LOOK_SECONDS = 1.0
"""How often runaways are looked for while programs run: one that ends by itself is reaped then."""
AGAIN_SECONDS = 0.05
"""And while some have been killed and are not gone: what they had started comes to us then."""
_SET_CHILD_SUBREAPER = 36
"""Of prctl (linux/prctl.h)."""
_CHILDREN = "/proc/{pid}/task/{pid}/children"
"""Where the kernel lists them. Its first thread gets those that have lost their parent."""


@define(eq=False)
class _Runaway:
    """A process that came to us and was not started by us."""

    beside: set[int] = field(factory=set)
    """The programs that ran when it was first seen: one of them may be its own."""
    is_killed: bool = False


class Children:
    """What starts children, and ends what programs have started."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._numbers = count(1)
        self._running: set[int] = set()
        self._sessions: dict[int, int] = {}
        """The program that leads a session, by the number of its process."""
        self._others: set[int] = set()
        """Children that were there before: of what became the daemon, or of its application."""
        self._runaways: dict[int, _Runaway] = {}
        self._look_call: IDelayedCall | None = None
        self._waiting: list[Deferred[None]] = []

    def spawn(
        self,
        protocol: Any,
        argv: Sequence[str],
        environment: Mapping[str, str],
        descriptors: Descriptors = DESCRIPTORS,
    ) -> ChildProcess:
        """Start one. Raises OSError where the host has no room for one more process."""
        return ChildProcess(self._reactor, protocol, argv, environment, descriptors)

    # programs, which may start others

    def begin(self) -> int:
        """A program is about to be started: its number."""
        if not self._running and not self._runaways:
            with suppress(OSError):  # no descriptor to read the list: then those of the last time
                self._others = set(_children())
            adopt_orphans(True)
        number = next(self._numbers)
        self._running.add(number)
        self._look_later(LOOK_SECONDS)
        return number

    def mark(self, number: int) -> dict[str, str]:
        """What is to be in its environment."""
        return {MARK: f"{os.getpid()}.{number}"}

    def leads(self, number: int, pid: int) -> None:
        """It is this process, which is to lead a session of its own."""
        self._sessions[pid] = number

    def ended(self, number: int, pid: int | None) -> None:
        """It has been reaped, or could not be started: what it has left behind ends."""
        self._running.discard(number)
        if pid is not None:
            self._sessions.pop(pid, None)
        self._look()

    def when_buried(self) -> Deferred[None]:
        """Fires when none is left of those that were killed."""
        if not any(runaway.is_killed for runaway in self._runaways.values()):
            return succeed(None)
        waiting: Deferred[None] = Deferred()
        self._waiting.append(waiting)
        return waiting

    def _look_later(self, seconds: float) -> None:
        if self._look_call is None:
            self._look_call = self._reactor.callLater(seconds, self._look)
        elif self._look_call.getTime() > self._reactor.seconds() + seconds:
            self._look_call.reset(seconds)

    def _look(self) -> None:
        """Reap runaways that have ended, and end those whose program has."""
        if self._look_call is not None:
            if self._look_call.active():
                self._look_call.cancel()
            self._look_call = None
        here = os.getsid(0)  # no program gets into the daemon's own session
        try:
            found = _children()
            self._others.intersection_update(found)
        except OSError:  # there is no descriptor to read the list: there may be one later
            found = list(self._runaways)
        self._runaways = {
            pid: self._runaways.get(pid) or _Runaway(set(self._running))
            for pid in found
            if pid not in self._others
            and pid not in reapProcessHandlers
            and _session(pid) not in (here, 0)
        }
        for pid, runaway in tuple(self._runaways.items()):
            if has_ended(pid):
                with suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)
                del self._runaways[pid]
            elif not runaway.is_killed and self._has_lost_program(pid, runaway):
                # one that has become another user may not be signalled: it ends when it likes
                with suppress(PermissionError):
                    os.kill(pid, signal.SIGKILL)
                    runaway.is_killed = True
        self._rest()

    def _has_lost_program(self, pid: int, runaway: _Runaway) -> bool:
        runaway.beside &= self._running
        number = self._sessions.get(_session(pid))
        if number is None:
            number = _marked(pid)
        return not runaway.beside if number is None else number not in self._running

    def _rest(self) -> None:
        """Look again while there is something to look for."""
        if any(runaway.is_killed for runaway in self._runaways.values()):
            self._look_later(AGAIN_SECONDS)
        else:
            waiting, self._waiting = self._waiting, []
            for one in waiting:
                one.callback(None)
            if self._running or self._runaways:
                self._look_later(LOOK_SECONDS)
            else:
                adopt_orphans(False)


def bury_strangers() -> None:
    """Reap the children that have ended and that nobody here has started.

    Whoever waits for a child of its own has it in the daemon's session, or in Twisted's list.
    """
    here = os.getsid(0)
    with suppress(OSError):  # no descriptor to read the list: there may be one the next time
        for pid in _children():
            if pid not in reapProcessHandlers and _session(pid) != here and has_ended(pid):
                with suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)


@cache
def children_of(reactor: Any) -> Children:
    """Those of the process in which this reactor runs: one for all worlds, as there is one list."""
    return Children(reactor)


def why_not() -> str:
    """Why runaways are not found on this host; empty where they are."""
    if not Path(_CHILDREN.format(pid=os.getpid())).exists():
        return "this kernel does not list the children of a process (CONFIG_PROC_CHILDREN)"
    if _prctl() is None:
        return "there is no prctl"
    return ""


def adopt_orphans(is_wanted: bool) -> None:
    """Have the kernel give us, or not any more, the descendants that have lost their parent."""
    if (prctl := _prctl()) is not None:
        prctl(_SET_CHILD_SUBREAPER, int(is_wanted), 0, 0, 0)


@cache
def _prctl() -> Any:
    return getattr(ctypes.CDLL(None), "prctl", None)


def _children() -> list[int]:
    with suppress(FileNotFoundError):
        text = Path(_CHILDREN.format(pid=os.getpid())).read_text("ascii")
        return [int(word) for word in text.split()]
    return []


def _session(pid: int) -> int:
    with suppress(ProcessLookupError):
        return os.getsid(pid)
    return 0


def _marked(pid: int) -> int | None:
    """The program that a process names as the one it comes from; `None` where it names none."""
    prefix = f"{MARK}={os.getpid()}.".encode()
    with suppress(OSError, ValueError):
        for variable in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
            if variable.startswith(prefix):
                return int(variable.removeprefix(prefix))
    return None
