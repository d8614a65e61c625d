"""What the client asks of a reactor: timers, descriptors, and calls from threads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from twisted.internet.interfaces import IDelayedCall, IReadDescriptor, IWriteDescriptor


class Timers(Protocol):
    """What waits: a reactor, or a test's clock."""

    def seconds(self) -> float:
        """Its time, which no round trip is measured by: it may count whole milliseconds."""

    def callLater(self, delay: float, callable: Callable[..., object]) -> IDelayedCall:
        """Call it then."""


class Reactor(Timers, Protocol):
    """A reactor of Twisted's, as far as the client uses it."""

    def addReader(self, reader: IReadDescriptor) -> object:
        """Watch it for what can be read."""

    def addWriter(self, writer: IWriteDescriptor) -> object:
        """Watch it for room to write."""

    def removeReader(self, reader: IReadDescriptor) -> object:
        """Watch it so no more."""

    def removeWriter(self, writer: IWriteDescriptor) -> object:
        """Watch it so no more."""

    def callFromThread(self, callable: Callable[..., object], *args: object) -> object:
        """Have the reactor's own thread call it."""
