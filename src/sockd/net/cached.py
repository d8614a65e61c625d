"""One run of a program for many clients: who comes while it runs waits for it, who comes within its
`cache` after that is sent the same."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from attrs import frozen
from twisted.internet.interfaces import IDelayedCall

from sockd.access.reasons import Reason, because
from sockd.formats.crlf import CrlfEnds
from sockd.net.child import Child
from sockd.net.context import Context
from sockd.net.program import Program
from sockd.options.units import Size

MOST_OUTPUT = Size(128 * 1024)
"""What a run may print: each client that does not read has the daemon hold as much."""
MANY = "many"
"""Whose program it is, in the log."""


@frozen
class Outcome:
    """What a run has printed, and how it has ended."""

    output: bytes
    reason: Reason
    has_failed: bool = False
    """The output is not sent, but the reason."""


Taker = Callable[[Outcome], None]


class CachedRun(Child):
    """One run. It gets no input."""

    def __init__(
        self, context: Context[Any, Any], program: Program, over: Callable[[Outcome], None]
    ) -> None:
        super().__init__(context, MANY, program)
        self._over = over
        self._output = bytearray()
        self._why: Reason | None = None
        self._time: IDelayedCall | None = None

    def connectionMade(self) -> None:
        super().connectionMade()
        self.process.closeStdin()
        if (seconds := self.context.options.max_time) != math.inf:
            self._time = self.context.clock.callLater(seconds, self._too_long)

    def outReceived(self, data: bytes) -> None:
        if self._why is not None and self._why.name == "max_output":
            return
        self._output += data
        if len(self._output) > MOST_OUTPUT:
            self._why = because("max_output", limit=MOST_OUTPUT)
            self._output.clear()
            self.kill()

    def ended(self, status: str) -> None:
        if self._time is not None and self._time.active():
            self._time.cancel()
        has_failed = self._why is not None and self._why.name == "max_output"
        output = bytes(self._output)
        if self.context.options.crlf:
            ends = CrlfEnds()
            output = ends.convert(output) + ends.rest()
        reason = self._why or because("program_ended", status=status)
        self._over(Outcome(output, reason, has_failed))

    def _too_long(self) -> None:
        self._why = because("max_time")
        self.end()


class Cache:
    """The runs of an instance, one at a time, and what the last one has printed."""

    def __init__(
        self, context: Context[Any, Any], program: Program, rests: Callable[[], None]
    ) -> None:
        self.run: CachedRun | None = None
        self._context = context
        self._program = program
        self._rests = rests
        self._has_stopped = False
        self._takers: dict[object, Taker] = {}
        self._kept: Outcome | None = None
        self._forget: IDelayedCall | None = None

    def ask(self, whom: object, taker: Taker) -> None:
        """Have the outcome told, now or later. Raises OSError where no program can be started."""
        if self._kept is not None:
            taker(self._kept)
            return
        if self.run is None:
            run = CachedRun(self._context, self._program, self._ended)
            run.start({"SOCKD_SERVICE": self._context.name, **self._context.options.environment})
            self.run = run
        self._takers[whom] = taker

    def leave(self, whom: object) -> None:
        """Who has asked need not be told any more."""
        self._takers.pop(whom, None)

    def stop(self) -> None:
        """End the run, and keep nothing."""
        self._has_stopped = True
        if self._forget is not None:
            self._forget.cancel()
            self._drop()
        if self.run is not None:
            self.run.kill()

    def _ended(self, outcome: Outcome) -> None:
        self.run = None
        takers, self._takers = self._takers, {}
        for taker in takers.values():
            taker(outcome)
        if not self._has_stopped:
            self._kept = outcome
            seconds = self._context.options.cache
            self._forget = self._context.clock.callLater(seconds, self._drop)
        self._rests()

    def _drop(self) -> None:
        self._kept = self._forget = None
