"""Ends of child processes, told by a descriptor for each (`pidfd_open`) and by no signal.

A process has one handler for SIGCHLD. libuv takes it for children that asyncio starts on the same
loop, and puts none back after the last of them.
"""

from __future__ import annotations

import os
import signal
from typing import Any

from attrs import define
from twisted.internet import process

AGAIN_SECONDS = 0.1
"""Between two looks at a child for which there is no descriptor, because too many are open."""


@define(eq=False)
class Children:
    """Reaps each of Twisted's children as soon as it has ended."""

    _loop: Any

    def watch(self, pid: int | None) -> None:
        """Have a child reaped that Twisted has just started, unless it has been already."""
        if pid not in process.reapProcessHandlers:
            return
        try:
            descriptor = os.pidfd_open(pid)
        except OSError:
            self._loop.call_later(AGAIN_SECONDS, self._look, pid)
            return
        try:
            self._loop.add_reader(descriptor, self._ended, pid, descriptor)
        except OSError:
            os.close(descriptor)
            self._loop.call_later(AGAIN_SECONDS, self._look, pid)

    def _ended(self, pid: int, descriptor: int) -> None:
        self._loop.remove_reader(descriptor)
        os.close(descriptor)
        _reap(pid)

    def _look(self, pid: int) -> None:
        _reap(pid)
        self.watch(pid)


def _reap(pid: int) -> None:
    if child := process.reapProcessHandlers.get(pid):
        child.reapProcess()


class Unignored:
    """Twisted's handling of a signal: whoever started us may have SIGCHLD ignored.

    The kernel would then reap children itself, and nobody learn how they ended.
    """

    def install(self) -> None:
        """Begin."""
        if signal.getsignal(signal.SIGCHLD) == signal.SIG_IGN:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)

    def uninstall(self) -> None:
        """It stays as it is."""
