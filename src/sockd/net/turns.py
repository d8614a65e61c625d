"""Whose turn it is: work that may take long is shared out over the passes of the reactor's loop.

One `Turns` serves all instances, because there is one loop. What is read in a pass is worked on
there and then, until the pass has spent its time; whoever comes later waits in line for one of the
next passes. So what everybody else waits for is bounded for all connections together.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime

PASS_SECONDS = 0.004
"""Work of one pass of the loop; the last piece of it may go beyond by its own length."""
TURN_SECONDS = 0.001
"""Work of one turn while others wait for theirs."""


class Runnable(Protocol):
    """A connection that has work to do."""

    def turn(self, until: float) -> None:
        """Work until then, in seconds of the clock; ask to `wait` if something is left."""

    def contain(self, call: Callable[..., Any], *args: Any) -> None:
        """Call, and keep an exception to oneself."""


class Turns:
    """The line of those that wait for a turn, and what the present pass has spent.

    There is no timer but while somebody waits or much is spent: the ordinary request costs two
    looks at the clock. `clock` is the reactor; its seconds must go on within a pass.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._line: dict[Runnable, None] = {}
        self._spent = 0.0
        self._next_pass: IDelayedCall | None = None

    def take(self, runner: Runnable) -> bool:
        """Have a turn now, or wait for one. True if it was now."""
        if not self.are_free:
            self.wait(runner)
            return False
        self._run(runner)
        self.charge(0.0)
        return True

    @property
    def are_free(self) -> bool:
        """Whether nobody waits, and this pass has time left."""
        return not self._line and self._spent < PASS_SECONDS

    def charge(self, seconds: float) -> None:
        """So much was worked in this pass."""
        self._spent += seconds
        if self._spent >= PASS_SECONDS / 2:
            # before that a call to mark the next pass would cost more than it tells
            self._plan()

    def wait(self, runner: Runnable) -> None:
        """Have a turn in one of the next passes, after those that wait already."""
        self._line[runner] = None
        self._plan()

    def leave(self, runner: Runnable) -> None:
        """Have no turn any more."""
        if runner in self._line:
            del self._line[runner]
            is_little = self._spent < PASS_SECONDS / 2
            if not self._line and self._next_pass is not None and is_little:
                # where much is spent the mark stays: to leave buys nobody a second share
                self._next_pass.cancel()
                self._next_pass = None

    def _plan(self) -> None:
        if self._next_pass is None:
            self._next_pass = self._clock.callLater(0, self._pass)

    def _pass(self) -> None:
        self._next_pass = None
        self._spent = 0.0
        try:
            for runner in tuple(self._line):  # and so no more than one turn each
                if self._spent >= PASS_SECONDS:
                    break
                if runner in self._line:  # it may have left because of another's turn
                    del self._line[runner]
                    self._run(runner)
        finally:
            # what nobody contains, such as SystemExit, must not strand the others
            if self._line or self._spent >= PASS_SECONDS / 2:
                self._plan()

    def _run(self, runner: Runnable) -> None:
        start = self._clock.seconds()
        left = PASS_SECONDS - self._spent
        until = start + (min(left, TURN_SECONDS) if self._line else left)
        runner.contain(runner.turn, until)
        self._spent += self._clock.seconds() - start
