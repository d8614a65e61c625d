"""Bytes that go out on a connection while its answer comes in."""

from __future__ import annotations

from collections.abc import Callable

from attrs import define

from sockd.client.errors import TimedOut, Unreachable
from sockd.client.input import Source
from sockd.client.streams import Stream


@define(eq=False)
class Sending:
    """One direction, and the reading of the other, whose wait begins when all is sent."""

    source: Source
    stream: Stream
    wait: float
    """Seconds of silence after which no answer comes."""
    monotonic_ns: Callable[[], int]
    keeps_open: bool = False
    is_behind: bool = False
    """Whether there are bytes that have been read and not been sent."""
    _is_sent: bool = False
    _since_ns: int = 0
    """When the silence began, once all is sent."""

    async def send(self) -> None:
        """Send it all, then say so."""
        try:
            while data := await self.source.read():
                self.is_behind = True
                self.stream.write(data)
                await self.stream.drained()
                self.is_behind = False
        except Unreachable:
            return  # what the server has said before is there to read
        self._is_sent = True
        self._since_ns = self.monotonic_ns()
        if not self.keeps_open:
            self.stream.finish()

    async def read(self) -> bytes:
        """What comes next; b"" at the end. Raises TimedOut."""
        while True:
            left = self.wait - self._silent()
            try:
                data = await self.stream.read(max(0.0, left) if self._is_sent else self.wait)
            except TimedOut:
                if self._is_sent and self._silent() >= self.wait:
                    raise
            else:
                self._since_ns = self.monotonic_ns()
                return data

    def _silent(self) -> float:
        return (self.monotonic_ns() - self._since_ns) / 1e9
