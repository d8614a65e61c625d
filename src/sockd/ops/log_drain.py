"""Log lines on their way out: a thread writes them, so that a reader that stalls stops nobody.

A pipe that nobody empties, a terminal after ^S, a system log that hangs, a disk that is busy: each
holds whoever writes to it. Not to block is no way around it: the flag of a pipe or a terminal is
shared with all who have it open, and a file and the system's log have none.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from threading import Condition, Thread, current_thread
from time import monotonic

from attrs import Factory, define, field

from sockd.ops.log_file import Sink

WAITING = 1024 * 1024
"""Characters that wait at most for a reader that stalls; as many may be on their way. A second's
reading of some thousand connections a second."""
COMPLAINT_SECONDS = 60.0
"""Least time between two complaints about a sink that fails: a disk that is full takes a line now
and then, when somebody makes room."""
PATIENCE = 2.0
"""Seconds that a start waits in all for lines to be written, and then an end: long for a reader
that reads, short for whoever waits for the daemon."""


def _unsaid(_: int) -> str:
    return ""


def _unexplained(_: int, __: str) -> str:
    return ""


@define(eq=False)
class Drain:
    """Hands lines to a sink in a thread of its own, in their order.

    What a sink does not take in time is dropped, from the first line for which there is no room to
    the moment when all that waited is written; then a line says how many there were. A sink that
    fails loses what it was given. It is complained of once, and when it works again a line says how
    many were lost.
    """

    sink: Sink
    patience: float = PATIENCE
    report: Callable[[int], str] = _unsaid
    """The line that says how many were dropped."""
    report_lost: Callable[[int, str], str] = _unexplained
    """The line that says how many a sink has lost that failed, and why it did."""
    lines_lost: int = field(default=0, init=False)
    """All lines that were dropped or lost."""
    _waiting: list[str | Callable[[], None]] = Factory(list)
    _size: int = 0
    _dropped: int = 0
    _is_busy: bool = False
    _is_patient: bool = True
    _left: float = field(init=False)
    _changed: Condition = Factory(Condition)
    _thread: Thread | None = None
    _complained: float | None = None
    """When it was last."""
    _lost: int = 0
    """Lines lost to a sink that fails."""
    _why: str = ""

    def __attrs_post_init__(self) -> None:
        self._left = self.patience

    def write(self, text: str) -> None:
        """Take whole lines, or count them where there is no room."""
        if not self._runs():
            self._do(text)
            return
        with self._changed:
            if self._dropped or self._size + len(text) > WAITING:
                self._dropped += text.count("\n")
                self.lines_lost += text.count("\n")
            else:
                self._waiting.append(text)
                self._size += len(text)

    def flush(self) -> None:
        """Have it written; a patient one waits until it is, or patience is at its end."""
        with self._changed:
            self._changed.notify_all()
            is_other = current_thread() is not self._thread
            if self._is_patient and self._left > 0 and is_other:
                began = monotonic()
                self._changed.wait_for(self._is_empty, self._left)
                self._left -= monotonic() - began

    def call(self, job: Callable[[], None]) -> None:
        """Have something done to the sink when all that waits has been written."""
        if not self._runs():
            self._do(job)
            return
        with self._changed:
            self._waiting.append(job)
            self._changed.notify_all()

    def be_patient(self, is_patient: bool) -> None:
        """Whether `flush` waits, up to `patience` in all from now on: while nothing is served."""
        self._is_patient, self._left = is_patient, self.patience

    def _has_some(self) -> bool:
        return bool(self._waiting or self._dropped)

    def _is_empty(self) -> bool:
        return not (self._is_busy or self._has_some())

    def _runs(self) -> bool:
        """Have a thread, also where this process was forked from one that had it."""
        if self._thread is not None and self._thread.is_alive():
            return True
        self._changed, self._is_busy = Condition(), False
        self._waiting, self._size, self._dropped = [], 0, 0  # that is the other's
        self._thread = Thread(target=self._run, name="log", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:  # no room for one more, or Python ends
            return False
        return True

    def _run(self) -> None:
        # they are for the main thread, which looks at them
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        while True:
            with self._changed:
                self._is_busy = False
                self._changed.notify_all()
                self._changed.wait_for(self._has_some)
                self._is_busy = True
                jobs, self._waiting, self._size = self._waiting, [], 0
                if not jobs:
                    jobs, self._dropped = [self.report(self._dropped)], 0
            for job in jobs:
                self._do(job)

    def _do(self, job: str | Callable[[], None]) -> None:
        if not isinstance(job, str):
            try:
                job()
            except Exception as error:  # noqa: BLE001 - as below
                self._complain(error)
            return
        told = self.report_lost(self._lost, self._why) if self._lost else ""
        try:
            self.sink.write(told + job)
            self.sink.flush()
        except Exception as error:  # noqa: BLE001 - whatever it is, the next lines are written
            lines = job.count("\n")
            self._lost += lines
            with self._changed:
                self.lines_lost += lines
            self._complain(error)
        else:
            self._lost = 0

    def _complain(self, error: Exception) -> None:
        self._why = str((isinstance(error, OSError) and error.strerror) or error)
        now = monotonic()
        if self._complained is not None and now - self._complained < COMPLAINT_SECONDS:
            return
        self._complained = now
        try:
            sys.__stderr__.write(f"sockd: the log cannot be written: {self._why}\n")  # type: ignore[union-attr]
        except (OSError, ValueError, AttributeError):
            return  # there is nobody left to tell
