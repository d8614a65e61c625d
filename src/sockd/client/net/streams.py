"""A connection as a coroutine sees it."""

from __future__ import annotations

import fcntl
import socket
import struct
import sys
import termios
import time
from collections.abc import Callable

from attrs import define, evolve, field, frozen
from twisted.internet.defer import Deferred

from sockd.client.errors import BadAnswer, ClientError, TimedOut
from sockd.client.net.channels import Channel
from sockd.client.net.loop import Timers
from sockd.client.report import Timing

MOST_BUFFERED = 256 * 1024
"""Bytes that wait to be read by the coroutine: then the network waits, and at half of it goes on.
Four of a channel's reads: a fast sender is not stopped for each of them."""
_TCP_INFO = struct.Struct("=8x24I")
"""Linux, `struct tcp_info` up to `tcpi_total_retrans`."""
_INT = struct.Struct("=i")
_RTT, _RTTVAR, _RETRANSMITS = 15, 16, 23

Hook = Callable[[bytes], object]


@frozen
class _Deadline:
    at: float
    """By the timers' clock."""
    wait: float
    """Seconds that it was set to, for messages."""


@frozen
class TcpInfo:
    """What the kernel knows of a TCP connection. Times are microseconds."""

    rtt_us: int
    """Its smoothed round trip."""
    rttvar_us: int
    retransmits: int
    """Segments that were sent again, since the beginning."""


@define(eq=False, kw_only=True)
class Stream:
    """Reads wait `wait` seconds if nothing else is said. One coroutine reads at a time.

    What is read raises TimedOut, or Unreachable where the connection broke, after all that came
    before has been read. An attribute that ends in `_ns` is monotonic time.
    """

    timers: Timers
    channel: Channel
    name: str
    """Of the other side as the user named it, with the port."""
    peer: str
    """Its address, without the port; a path."""
    port: int | None = None
    wait: float
    steps: Timing = field(factory=Timing)
    """How long it took to get here."""
    began_ns: int = 0
    """When it was asked for."""
    opened_ns: int = field(factory=time.monotonic_ns)
    """When it was ready, after TLS."""
    first_byte_ns: int | None = None
    last_byte_ns: int | None = None
    is_cut: bool = False
    """Whether TLS's end did not come before TCP's: somebody may have cut the text short."""
    bytes_sent: int = 0
    """As they were written; some may wait."""
    bytes_received: int = 0
    on_write: Hook | None = None
    on_read: Hook | None = None
    """Gets b"" at the end."""
    _buffer: bytearray = field(factory=bytearray, init=False)
    _callback: Hook | None = field(default=None, init=False)
    _is_full: bool = field(default=False, init=False)
    """Whether nothing is read as too much waits already."""
    _is_paused: bool = field(default=False, init=False)
    """Whether nothing is read as somebody said so."""
    _is_ended: bool = field(default=False, init=False)
    _error: Exception | None = field(default=None, init=False)
    _is_closed: bool = field(default=False, init=False)
    _news: Deferred[None] | None = field(default=None, init=False)
    """Of the coroutine that reads."""
    _room: list[Deferred[None]] = field(factory=list, init=False)
    """Of those that wait until all is sent."""

    def __attrs_post_init__(self) -> None:
        self.channel.receiver = self

    # reading

    async def read(self, wait: float | None = None) -> bytes:
        """All that has come, as soon as there is any; b"" at the end."""
        await self._have(self._deadline(wait))
        return self._take(len(self._buffer))

    async def read_exactly(self, count: int, wait: float | None = None) -> bytes:
        """So many bytes, within the wait. Raises BadAnswer where the end comes before."""
        found, end = bytearray(), self._deadline(wait)
        while len(found) < count:
            await self._have(end)
            part = self._take(count - len(found))
            if not part:
                raise BadAnswer(f"{self.name} ended after {len(found)} of {count} bytes")
            found += part
        return bytes(found)

    async def read_all(self, limit: int, wait: float | None = None) -> bytes:
        """All up to the end. The wait is for each piece, so that a long answer may take its time.

        Raises BadAnswer where it is longer than `limit` bytes.
        """
        found = bytearray()
        while part := await self.read(wait):
            found += part
            if len(found) > limit:
                raise BadAnswer(f"{self.name} sent more than {limit} bytes")
        return bytes(found)

    def listen(self, callback: Hook) -> None:
        """Hand each piece to `callback` when it comes, what waits at once; nothing is bounded.

        What it raises ends the reading, and `ended` raises it.
        """
        while self._buffer and self._callback is None:
            self._hand(callback, self._take(len(self._buffer)))
        self._callback = self._callback or callback

    async def ended(self, wait: float | None = None) -> None:
        """Wait for the end, where `listen` reads; as long as it takes if nothing else is said."""
        end = None if wait is None else self._deadline(wait)
        while not self._is_ended:
            await self._hear(end)
        if self._error is not None:
            raise self._error

    def pause(self) -> None:
        """Have the network wait; what has come already can be read."""
        self._is_paused = True
        self.channel.pause()

    def resume(self) -> None:
        """Read again."""
        self._is_paused = False
        if not (self._is_closed or self._is_full):
            self.channel.resume()

    # writing

    def write(self, data: bytes) -> None:
        """Send it, now as far as there is room. Where nothing can be sent, `drained` says so."""
        if data and not self._is_closed:
            self.bytes_sent += len(data)
            if self.on_write is not None:
                self.on_write(data)
            self.channel.write(data)

    async def drained(self, wait: float | None = None) -> None:
        """Wait until the kernel has all that was written.

        Raises Unreachable where nothing can be sent any more (an answer may be there to read), and
        TimedOut where the other side takes nothing.
        """
        while self.channel.waiting and self.channel.write_error is None:
            on_the_way = self.on_the_way
            room: Deferred[None] = Deferred(self._forget)
            self._room.append(room)
            try:
                await self._until(room, self._deadline(wait), "took nothing more")
            except TimedOut:
                if self.on_the_way >= on_the_way:
                    raise
                # slowly, but it takes: the kernel wants more only when much has gone
        if self.channel.write_error is not None:
            raise self.channel.write_error

    @property
    def waiting(self) -> int:
        """Bytes that were written and that the kernel does not have yet."""
        return self.channel.waiting

    @property
    def on_the_way(self) -> int:
        """Bytes that were written and that the other side's kernel has not acknowledged."""
        try:
            return self.channel.waiting + unacknowledged(self.channel.socket)
        except (OSError, ValueError):  # it was closed
            return 0

    def finish(self) -> None:
        """Say that nothing more is sent, after what waits; reading goes on."""
        self.channel.finish()

    def close(self) -> None:
        """End it now. What `drained` has not waited for may be lost."""
        self._leave()
        self.channel.close()
        self._wake()

    def abort(self) -> None:
        """End it now, with a reset."""
        self._leave()
        self.channel.abort()
        self._wake()

    # what is known of it

    @property
    def timing(self) -> Timing:
        """How long each step took, up to now."""
        return evolve(
            self.steps,
            first_byte_ns=_since(self.opened_ns, self.first_byte_ns),
            total_ns=_since(self.began_ns or self.opened_ns, self.last_byte_ns),
        )

    def tcp_info(self) -> TcpInfo | None:
        """What the kernel knows of it; None where it does not tell, or it is closed."""
        if (
            sys.platform != "linux"
            or self._is_closed
            or self.channel.socket.family == socket.AF_UNIX
        ):
            return None
        try:
            raw = self.channel.socket.getsockopt(
                socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO.size
            )
        except OSError:
            return None
        if len(raw) < _TCP_INFO.size:
            return None
        values = _TCP_INFO.unpack(raw)
        return TcpInfo(values[_RTT], values[_RTTVAR], values[_RETRANSMITS])

    # what the channel tells

    def received(self, data: bytes) -> None:
        """From the channel: bytes have come."""
        self.last_byte_ns = time.monotonic_ns()
        if self.first_byte_ns is None:
            self.first_byte_ns = self.last_byte_ns
        self.bytes_received += len(data)
        if self.on_read is not None:
            self.on_read(data)
        if self._callback is not None:
            self._hand(self._callback, data)
            return
        self._buffer += data
        if len(self._buffer) >= MOST_BUFFERED:
            self._is_full = True
            self.channel.pause()
        self._tell()

    def finished(self, is_cut: bool) -> None:
        """From the channel: the other side has finished sending."""
        self.is_cut = is_cut
        self._is_ended = True
        if self.on_read is not None:
            self.on_read(b"")
        self._tell()

    def failed(self, error: ClientError) -> None:
        """From the channel: nothing more comes, and not because the other side has finished."""
        self._error = error
        self._is_ended = True
        self._tell()

    def sent(self) -> None:
        """From the channel: nothing waits to be sent, or nothing can be sent."""
        room, self._room = self._room, []
        for deferred in room:
            deferred.callback(None)

    def _hand(self, callback: Hook, data: bytes) -> None:
        try:
            callback(data)
        except Exception as error:  # noqa: BLE001 - it is raised by `ended`
            self._callback = _nowhere
            self._error, self._is_ended = error, True
            self.channel.pause()
            self._tell()

    def _take(self, most: int) -> bytes:
        part = bytes(self._buffer[:most])
        del self._buffer[:most]
        if self._is_full and len(self._buffer) <= MOST_BUFFERED // 2:
            self._is_full = False
            if not self._is_paused:
                self.resume()
        return part

    async def _have(self, end: _Deadline) -> None:
        """Until bytes wait, or there is an end. Raises what ended it."""
        while not (self._buffer or self._is_ended):
            await self._hear(end)
        if not self._buffer and self._error is not None:
            raise self._error

    async def _hear(self, end: _Deadline | None) -> None:
        assert self._news is None, "one coroutine reads at a time"
        self._news = Deferred(self._forget)
        await self._until(
            self._news, end, "sent no answer" if self.first_byte_ns is None else "fell silent"
        )

    async def _until(self, deferred: Deferred[None], end: _Deadline | None, what: str) -> None:
        if end is None:
            await deferred
            return

        def expire() -> None:
            self._forget(deferred)
            deferred.errback(TimedOut(f"{self.name} {what} within {end.wait:g} s"))

        timer = self.timers.callLater(max(0.0, end.at - self.timers.seconds()), expire)
        try:
            await deferred
        finally:
            if timer.active():
                timer.cancel()

    def _deadline(self, wait: float | None) -> _Deadline:
        wait = self.wait if wait is None else wait
        return _Deadline(self.timers.seconds() + wait, wait)

    def _forget(self, deferred: Deferred[None]) -> None:
        """Nobody waits for it any more."""
        if self._news is deferred:
            self._news = None
        elif deferred in self._room:
            self._room.remove(deferred)

    def _tell(self) -> None:
        news, self._news = self._news, None
        if news is not None:
            news.callback(None)

    def _wake(self) -> None:
        self._tell()
        self.sent()

    def _leave(self) -> None:
        self._is_closed = self._is_ended = True
        self._callback = None
        self._buffer.clear()


def unacknowledged(sock: socket.socket) -> int:
    """Bytes in the kernel that the other side has not acknowledged (SIOCOUTQ); our end is one."""
    raw = fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(_INT.size))
    return int(_INT.unpack(raw)[0])


def _since(began_ns: int, at_ns: int | None) -> int | None:
    return None if at_ns is None else at_ns - began_ns


def _nowhere(data: bytes) -> None:
    """After a callback that failed: what comes is dropped."""
