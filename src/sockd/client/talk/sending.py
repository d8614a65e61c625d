"""Bytes that go out on a connection while its answer comes in."""

from __future__ import annotations

from collections.abc import Callable

from attrs import define
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from sockd.client.errors import TimedOut, Unreachable
from sockd.client.net.streams import Stream
from sockd.client.talk.input import Source
from sockd.client.waiting import wake, within

PAUSE = 0.5
"""Seconds without input after which the other side's end is ours: a file has more at once, and
somebody who types need not type to nobody."""


@define(eq=False)
class Sending:
    """One direction, and the reading of the other, whose wait begins when all is sent."""

    source: Source
    stream: Stream
    wait: float
    """Seconds of silence after which no answer comes."""
    monotonic_ns: Callable[[], int]
    clock: IReactorTime
    keeps_open: bool = False
    _is_behind: bool = False
    """Whether there are bytes that have been read and not been sent."""
    _is_sent: bool = False
    _failure: Unreachable | None = None
    """Why nothing more can be sent."""
    _sent_ns: int = 0
    """When all was sent."""
    _news: Deferred[None] | None = None
    """Of who waits for the rest to be sent."""

    async def send(self) -> None:
        """Send it all, then say so."""
        try:
            while data := await self.source.read():
                self._tell(is_behind=True)
                self.stream.write(data)
                await self.stream.drained()
                self._tell(is_behind=False)
        except Unreachable as error:  # what the other side has said before is there to read
            self._failure = error
        else:
            self._is_sent = True
            self._sent_ns = self.monotonic_ns()
            if not self.keeps_open:
                self.stream.finish()
        self._tell(is_behind=False)

    async def read(self) -> bytes:
        """What comes next; b"" at the end. Raises TimedOut."""
        # what came before was printed, and who reads that may have taken his time
        began_ns = self.monotonic_ns()
        while True:
            left = self.wait - self._silent(began_ns)
            try:
                return await self.stream.read(max(0.0, left) if self._is_sent else self.wait)
            except TimedOut:
                if self._is_sent and self._silent(began_ns) >= self.wait:
                    # the stream knows of the rest of the wait only
                    is_first = self.stream.first_byte_ns is None
                    what = "sent no answer" if is_first else "fell silent"
                    raise TimedOut(f"{self.stream.name} {what} within {self.wait:g} s") from None

    async def rest(self) -> None:
        """After the other side's end: until all is sent, or there is nothing to be sent for now.

        Raises Unreachable where the other side takes no more.
        """
        while not self._is_sent and self._failure is None:
            try:
                await within(self.clock, None if self._is_behind else PAUSE, self._change())
            except TimeoutError:
                return
        if self._failure is not None:
            raise self._failure

    async def _change(self) -> None:
        self._news = Deferred()
        try:
            await self._news
        finally:
            self._news = None

    def _tell(self, *, is_behind: bool) -> None:
        self._is_behind = is_behind
        if self._news is not None:
            wake(self.clock, self._news)

    def _silent(self, began_ns: int) -> float:
        return (self.monotonic_ns() - max(began_ns, self._sent_ns)) / 1e9
