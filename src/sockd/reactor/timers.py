"""Timers on a loop that counts in whole milliseconds: neither early nor spun for.

uvloop rounds a delay to the nearest millisecond. Half of what is asked for would come early, and
be waited for again; less than half a one is "at once", so that the loop would turn until it is due.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, inf
from typing import Any

from twisted.internet.asyncioreactor import AsyncioSelectorReactor
from twisted.internet.base import DelayedCall
from twisted.internet.posixbase import PosixReactorBase

MOST_CANCELLED = 50
"""Timers that were cancelled and are kept, where they are not half of all: as Twisted's own."""


class TimedReactor(AsyncioSelectorReactor):
    """Twisted's reactor on a loop of asyncio's, which wakes it for the first of its timers."""

    _wakes_at = inf
    """When the loop is to wake it, in the reactor's seconds; 0: at once, or it is awake."""
    _handle: Any = None
    """Of the loop, for that."""

    def callLater(
        self, delay: float, callable: Callable[..., Any], *args: object, **kwargs: object
    ) -> DelayedCall:
        """Call a function in so many seconds."""
        call = PosixReactorBase.callLater(self, delay, callable, *args, **kwargs)
        if call.time < self._wakes_at:
            self._reschedule()
        return call

    def _cancelCallLater(self, delayedCall: DelayedCall) -> None:
        super()._cancelCallLater(delayedCall)
        if self._cancellations > MOST_CANCELLED and self._wakes_at:
            kept = len(self._newTimedCalls) + len(self._pendingTimedCalls)
            if self._cancellations > kept >> 1:
                # they are thrown away after those that are due, of which there may be none for long
                self._wake(0.0)

    def _reschedule(self) -> None:
        delay = self.timeout()
        if delay is not None and self._wakes_at:
            self._wake(delay)

    def _wake(self, delay: float) -> None:
        if self._handle is not None:
            self._handle.cancel()
        self._wakes_at = self.seconds() + delay if delay else 0.0
        self._handle = self._asyncioEventloop.call_later(ceil(delay * 1000) / 1000, self._onTimer)

    def _onTimer(self) -> None:
        self._handle = None
        self._wakes_at = 0.0
        try:
            self.runUntilCurrent()
        finally:
            self._wakes_at = inf  # now it is looked once, whatever they have asked for
            self._reschedule()
