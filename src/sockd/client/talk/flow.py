"""One connection on which bytes flow in one direction, and how fast: what chargen and discard do.

Throughput is bits of what was carried, without headers and TLS, divided by the time from when the
connection was ready (after TLS) to when the last of them was there:

- what is read: to the moment at which its last byte was read;
- what is sent: to the moment at which the other side had it. If its service closes after our end,
  that is when its end came: then the service has read all. If it does not, it is when our kernel
  had an acknowledgement for all, looked at each `LOOK` seconds: then the other *kernel*
  has all, and the service perhaps has not. `taken_by` says which. What is still in queues of ours
  when a run is stopped does not count as carried.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from attrs import define, field

from sockd.client.errors import BadAnswer, ClientError, TimedOut
from sockd.client.exits import Exit
from sockd.client.net.streams import Stream, unacknowledged
from sockd.client.process import Run
from sockd.client.reach import connect
from sockd.client.report import Counts, Data, HostSummary, Interval, Outcome, Probe, Timing, Value
from sockd.client.targets import Target
from sockd.client.waiting import sleep

LOOK = 0.01
"""Seconds between two looks at whether the kernel's queue is empty: so exact is that moment."""
BLOCK = 256 * 1024
"""Bytes of one write: more would only wait for a socket, less would be many calls."""


@define(eq=False)
class FlowHost:
    """One host that bytes come from or go to, on one connection."""

    run: Run
    target: Target
    carry: Callable[[FlowHost, Stream], Awaitable[None]]
    """Carries them all. Raises ClientError."""
    is_outward: bool = False
    values: dict[str, Value] = field(factory=dict)
    notes: list[str] = field(factory=list)
    _stream: Stream | None = None
    _carried: int = 0
    _until_ns: int | None = None
    _told: int = 0
    _timing: Timing | None = None
    _is_closed: bool = False

    @property
    def has_answered(self) -> bool:
        """Whether anything was carried, or all of nothing."""
        _ = self.size  # which looks
        return self._until_ns is not None

    @property
    def size(self) -> int:
        """Bytes that were carried so far."""
        if self.is_outward and self._stream is not None and not self._is_closed:
            self._look(self._stream)
        return self._carried

    def carried(self, size: int, at_ns: int | None) -> None:
        """So many bytes in all were carried by this moment of the monotonic clock."""
        self._carried = max(size, self._carried)
        self._until_ns = at_ns

    def out(self, data: bytes) -> None:
        """Bytes for the user."""
        self.run.report(Data(target=self.target.name, data=data))

    @property
    def fault(self) -> ClientError | None:
        """Nothing that `go` does not raise."""
        return None

    async def go(self) -> None:
        """Carry all. Raises ClientError where that failed."""
        error = None
        stream = self._stream = await connect(self.run, self.target)
        try:
            await self.carry(self, stream)
        except ClientError as failed:
            error = failed
            raise
        finally:
            self._end(stream, error)

    def _end(self, stream: Stream, error: ClientError | None) -> None:
        """It is over, or was stopped: what was carried is counted before the end."""
        if self.is_outward and self._until_ns is None:
            self._look(stream)
        self._timing, self._is_closed = stream.timing, True
        stream.close()
        self.run.report(
            Probe(
                target=self.target.name,
                transport=self.target.transport,
                address=stream.peer,
                port=self.target.port or None,
                outcome=Outcome.ANSWERED if error is None else Outcome.FAILED,
                size=self._carried,
                values=self.values,
                timing=self._timing,
                reason=None if error is None else str(error),
            )
        )

    def _look(self, stream: Stream) -> None:
        """How much of what was sent is there by now."""
        gone = stream.bytes_sent - stream.waiting - unacknowledged(stream.channel.socket)
        if gone > self._carried:
            self.carried(gone, self.run.monotonic_ns())

    def rate(self) -> int | None:
        """Bits a second; None where nothing was carried."""
        if self._stream is None or self._until_ns is None or not self._carried:
            return None
        return self._carried * 8 * 1_000_000_000 // max(1, self._until_ns - self._stream.opened_ns)

    def interval(self, from_ns: int, to_ns: int) -> Interval | None:
        """What was carried since the last call."""
        size = self.size
        fresh, self._told = size - self._told, size
        return Interval(
            target=self.target.name, from_ns=from_ns, to_ns=to_ns, counts=self._counts(fresh)
        )

    def summary(self, error: ClientError | None) -> HostSummary:
        """What is known of it so far."""
        stream, size = self._stream, self.size
        took = None
        if stream is not None and self._until_ns is not None:
            took = self._until_ns - stream.opened_ns
        code = error.exit if error else Exit.ANSWERED if self.has_answered else Exit.TIMEOUT
        return HostSummary(
            target=self.target.name,
            transport=self.target.transport,
            address=stream.peer if stream else None,
            port=self.target.port or None,
            counts=self._counts(size, is_whole=True, has_failed=error is not None),
            timing=self._timing,
            rate_bps=self.rate(),
            values={**self.values, **({} if took is None else {"took_ns": took})},
            notes=tuple(self.notes),
            exit=code,
            error=None if error is None else str(error),
        )

    def _counts(self, size: int, is_whole: bool = False, has_failed: bool = False) -> Counts:
        return Counts(
            sent=int(is_whole),
            received=int(is_whole and self.has_answered and not has_failed),
            failed=int(is_whole and has_failed),
            bytes_sent=size if self.is_outward else 0,
            bytes_received=0 if self.is_outward else size,
        )


async def send_all(host: FlowHost, stream: Stream, size: int) -> None:
    """Send so many bytes as fast as they are taken, and our end; then wait until all are there.

    Raises TimedOut where the other side takes nothing for the wait, BadAnswer where it speaks.
    """
    wait, block, left = host.run.asking.wait, bytes(BLOCK), size
    while left:
        part = block if left >= BLOCK else block[:left]
        stream.write(part)
        await stream.drained(wait)
        left -= len(part)
        await sleep(host.run.reactor, 0)  # others have their turn, and what comes is read
        _be_silent(host, stream)
    stream.finish()
    await _taken(host, stream, size)


async def _taken(host: FlowHost, stream: Stream, size: int) -> None:
    """Wait until the service has closed, or at least the other kernel has all."""
    reactor, wait = host.run.reactor, host.run.asking.wait
    queued = unacknowledged(stream.channel.socket)
    emptied_ns, end = None, reactor.seconds() + wait
    while reactor.seconds() < end:
        try:
            data = await stream.read(LOOK)
        except TimedOut:
            left = stream.on_the_way
            if left < queued:  # it takes, if slowly
                queued, end = left, reactor.seconds() + wait
            if not left and emptied_ns is None:
                emptied_ns = host.run.monotonic_ns()
            continue
        _be_silent(host, stream)
        if not data:
            host.values["taken_by"] = "service"
            host.carried(size, host.run.monotonic_ns())
            return
    if emptied_ns is None:
        raise TimedOut(f"{host.target} took nothing more within {wait:g} s")
    host.values["taken_by"] = "kernel"
    host.notes.append("it did not close after our end: its kernel has all, its service perhaps not")
    host.carried(size, emptied_ns)


def _be_silent(host: FlowHost, stream: Stream) -> None:
    if stream.bytes_received:
        raise BadAnswer(f"{host.target} said something: a service that discards is silent")
