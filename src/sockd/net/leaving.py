"""An address that is let go of is read on, until who was on the way to it has come."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall

from sockd.listen.leaving import turn_away

ARRIVAL_SECONDS = 3.0
"""How long an address that another one takes the place of is read on: a handshake that has begun
there ends there, also where one of its packets is lost and sent again."""
LOOK_SECONDS = 0.05
"""How often it is looked meanwhile whether something waits."""


def has_turned_away(sock: socket.socket) -> bool:
    """Have nobody new come to a socket, and tell whether it is worth waiting for who is on the way:
    not where others come all the time."""
    if sock.family == socket.AF_UNIX:
        return True  # its file is gone, or another's
    if turn_away(sock):
        return True
    if sock.type == socket.SOCK_STREAM:
        sock.listen(0)
    return False


class ReadingOn:
    """Waits until nothing waits any more, and who was on the way has come."""

    def __init__(self, clock: IReactorTime, is_empty: Callable[[], bool]) -> None:
        self._clock = clock
        self._is_empty = is_empty
        self._looks = LoopingCall(self._look)
        self._looks.clock = clock
        self._begun = clock.seconds()
        self._least = self._most = 0.0

    def wait(self, least: float, most: float) -> Deferred[Any]:
        """Fires after `least` seconds, once nothing waits; after `most` seconds anyway."""
        self._least, self._most = least, most
        done: Deferred[Any] = self._looks.start(LOOK_SECONDS, now=False)
        return done

    def hasten(self) -> None:
        """Wait for nobody more."""
        if self._looks.running:
            self._looks.stop()

    def _look(self) -> None:
        waited = self._clock.seconds() - self._begun
        if waited >= self._most or (waited >= self._least and self._is_empty()):
            self._looks.stop()
