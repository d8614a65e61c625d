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
PATIENCE = 2.0
"""Seconds that a start waits in all for lines to be written, and then an end: long for a reader
that reads, short for whoever waits for the daemon."""


def _unsaid(_: int) -> str:
    return ""


@define(eq=False)
class Drain:
    """Hands lines to a sink in a thread of its own, in their order.

    What a sink does not take in time is dropped, from the first line for which there is no room to
    the moment when all that waited is written; then a line says how many there were. A sink that
    fails loses what it was given, and is complained of once.
    """

    sink: Sink
    patience: float = PATIENCE
    report: Callable[[int], str] = _unsaid
    """The line that says how many were dropped."""
    lost: int = 0
    """Lines that were dropped so far."""
    _waiting: list[str | Callable[[], None]] = Factory(list)
    _size: int = 0
    _dropped: int = 0
    _is_busy: bool = False
    _is_patient: bool = True
    _left: float = field(init=False)
    _changed: Condition = Factory(Condition)
    _thread: Thread | None = None
    _is_failing: bool = False

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
                self.lost += text.count("\n")
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
        try:
            if isinstance(job, str):
                self.sink.write(job)
                self.sink.flush()
            else:
                job()
        except Exception as error:  # noqa: BLE001 - whatever it is, the next lines are written
            self._complain(error)
        else:
            self._is_failing = False

    def _complain(self, error: Exception) -> None:
        if not self._is_failing:
            self._is_failing = True
            why = (isinstance(error, OSError) and error.strerror) or error
            try:
                sys.__stderr__.write(f"sockd: the log cannot be written: {why}\n")  # type: ignore[union-attr]
            except (OSError, ValueError, AttributeError):
                return  # there is nobody left to tell
