"""What threads ask of the reactor (`callFromThread`), in turns with all else."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from attrs import define, field
from twisted.logger import Logger

TURN_SECONDS = 0.004
"""Calls of one pass of the loop: threads are many, and may ask faster than is done."""
MOST_AHEAD = 64
"""Calls that wait while threads ask on at full speed; then each lets the others run first."""

_log = Logger()


class Loop(Protocol):
    """What is needed of an event loop."""

    def call_soon_threadsafe(self, callback: Callable[[], object]) -> object:
        """Call in the next pass, from any thread."""


@define(eq=False)
class Asked:
    """Calls in the order in which threads have asked for them.

    Safe for threads and for signal handlers: a deque is, and a wake-up too many does no harm.
    """

    _loop: Loop
    _seconds: Callable[[], float]
    _calls: deque[tuple[Callable[..., object], tuple[object, ...], Mapping[str, object]]] = field(
        init=False, factory=deque
    )
    _wakes: bool = field(init=False, default=False)

    def add(
        self, function: Callable[..., object], args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> None:
        """Have a function called by the thread of the loop."""
        self._calls.append((function, args, kwargs))
        if not self._wakes:
            self._wake()
        if len(self._calls) > MOST_AHEAD:
            time.sleep(0)  # nothing else would make it let go of the interpreter for 5 ms

    def turn(self) -> None:
        """Call what has been asked for by now, until the time of one turn is over."""
        calls, seconds = self._calls, self._seconds
        until = seconds() + TURN_SECONDS
        for _ in range(len(calls)):
            function, args, kwargs = calls.popleft()
            try:
                function(*args, **kwargs)
            except BaseException:  # noqa: BLE001 - as Twisted: it is told and ends nothing
                _log.failure("while calling from thread")
            if seconds() >= until:
                break
        self._wakes = False  # before looking: what comes from now on wakes by itself
        if calls:
            self._wake()

    def _wake(self) -> None:
        self._wakes = True
        self._loop.call_soon_threadsafe(self.turn)
