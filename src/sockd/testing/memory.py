"""A reactor whose time the test moves, and a network in its memory.

Twisted's own stream transports run on it, so that what is tested is what runs. Nothing here is a
mock: there are no expectations, only ends of wires that a test reads, writes, cuts, or lets hang.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from attrs import frozen
from twisted.internet import tcp
from twisted.internet.error import ConnectionLost
from twisted.internet.posixbase import _DisconnectSelectableMixin
from twisted.internet.protocol import DatagramProtocol
from twisted.internet.task import Clock
from twisted.logger import Logger

from sockd.access.counts import Counts
from sockd.net.datagram import Datagrams
from sockd.reactor.ancillary import Told
from sockd.reactor.sockaddr import Address
from sockd.reactor.wire import Answer, Datagram, Destination
from sockd.testing.running import running_reactor

NOON = 961_265_174.0
"""2000-06-17 18:06:14 UTC, the moment that tests begin at."""
MAX_TURNS = 100_000
TCP_ESTABLISHED, TCP_CLOSE, TCP_CLOSE_WAIT = 1, 7, 8
"""States of a connection, as the kernel numbers them (net/tcp_states.h)."""
ASKER = ("192.0.2.7", 50_007)
"""Who asks in a datagram where a test does not say it."""


class Wall:
    """The clock on the wall: stands still, until somebody sets it."""

    def __init__(self, now: float = NOON) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Loop(_DisconnectSelectableMixin, Clock):
    """A reactor: descriptors in memory, timers that a test advances, real child processes."""

    def __init__(self) -> None:
        super().__init__()
        self._readers: list[Any] = []
        self._writers: list[Any] = []
        self.wall = Wall()
        self.callFromThread = call_from_thread
        self.clients: list[Client] = []
        self.ports: list[MemoryPort] = []

    def addReader(self, reader: Any) -> None:
        if reader not in self._readers:
            self._readers.append(reader)

    def removeReader(self, reader: Any) -> None:
        if reader in self._readers:
            self._readers.remove(reader)

    def addWriter(self, writer: Any) -> None:
        if writer not in self._writers:
            self._writers.append(writer)

    def removeWriter(self, writer: Any) -> None:
        if writer in self._writers:
            self._writers.remove(writer)

    def settle(self) -> None:
        """Turn until nothing is ready and no timer is due."""
        for _ in range(MAX_TURNS):
            if not self._turn():
                return
        raise AssertionError("the loop never comes to rest")

    def advance(self, amount: float) -> None:
        """Let time pass; what falls due on the way happens when it is due."""
        end = self.seconds() + amount
        self.settle()
        while (due := min((call.getTime() for call in self.calls), default=end)) <= end:
            self.rightNow = max(due, self.rightNow)
            self.settle()
            if due == end:
                break
        self.rightNow = end
        self.settle()

    def _turn(self) -> bool:
        due = [call for call in self.calls if call.getTime() <= self.seconds()]
        for call in due:
            if call.active():
                self.calls.remove(call)
                call.called = 1
                call.func(*call.args, **call.kw)
        readable = [reader for reader in self._readers if reader.socket.is_readable]
        for reader in readable:
            self._serve(reader, reader.doRead, True)
        writable = [writer for writer in self._writers if writer.socket.is_writable]
        for writer in writable:
            self._serve(writer, writer.doWrite, False)
        return bool(due or readable or writable)

    def _serve(self, transport: Any, work: Callable[[], Any], is_read: bool) -> None:
        if transport not in (self._readers if is_read else self._writers):
            return
        try:
            why = work()
        except Exception as error:  # noqa: BLE001 - as Twisted's reactors do
            Logger().failure("a transport raised")
            why = error
        if why:
            self._disconnectSelectable(transport, why, is_read)


def call_from_thread(*call: Any) -> None:
    """Threads are real: the running reactor hears of them."""
    running_reactor().callFromThread(*call)


class MemorySocket:
    """The daemon's end of a stream in memory; `Client` is the other one."""

    family = socket.AF_INET

    def __init__(self, uid: int | None = None) -> None:
        self.uid = uid
        self.inbox: deque[bytes] = deque()
        self.has_end = False
        self.is_lost = False
        self.outbox = bytearray()
        self.room: int | None = None
        self.write_ended = False
        self.closed = False
        self.was_reset = False

    @property
    def is_readable(self) -> bool:
        return bool(self.inbox) or self.has_end or self.is_lost

    @property
    def is_writable(self) -> bool:
        return self.room is None or self.room > 0 or self.is_lost

    def recv(self, size: int) -> bytes:
        if self.is_lost:
            raise ConnectionResetError(errno.ECONNRESET, "reset")
        if not self.inbox:
            if self.has_end:
                return b""
            raise BlockingIOError(errno.EAGAIN, "nothing there")
        chunk = self.inbox.popleft()
        if chunk[size:]:
            self.inbox.appendleft(chunk[size:])
        return bytes(memoryview(chunk)[:size])  # a copy, whose memory is the reader's

    def send(self, data: Any) -> int:
        if self.is_lost:
            raise BrokenPipeError(errno.EPIPE, "broken")
        size = len(data) if self.room is None else min(len(data), self.room)
        if data and not size:
            raise BlockingIOError(errno.EAGAIN, "full")
        if self.room is not None:
            self.room -= size
        self.outbox += data[:size]
        return size

    def shutdown(self, how: int) -> None:
        self.write_ended = self.write_ended or how in (socket.SHUT_WR, socket.SHUT_RDWR)

    def setsockopt(self, level: int, name: int, value: Any) -> None:
        self.was_reset = self.was_reset or name == socket.SO_LINGER

    def getsockopt(self, level: int, name: int, size: int = 4) -> Any:
        if (level, name) == (socket.IPPROTO_TCP, socket.TCP_INFO):
            # tcpi_state: 8 bits at 0; tcpi_bytes_acked: 64 bits at 120 (linux/tcp.h)
            state = TCP_CLOSE_WAIT if self.has_end else TCP_ESTABLISHED
            state = TCP_CLOSE if self.is_lost else state
            info = bytes([state]) + bytes(119) + struct.pack("=Q", len(self.outbox))
            return info.ljust(size, b"\0")[:size]
        if (level, name) == (socket.SOL_SOCKET, socket.SO_PEERCRED) and self.uid is not None:
            return struct.pack("=iII", os.getpid(), self.uid, self.uid)
        if (level, name) == (socket.SOL_SOCKET, socket.SO_KEEPALIVE):
            return 1
        raise OSError(errno.ENOPROTOOPT, "not in memory")

    def setblocking(self, flag: bool) -> None:
        assert not flag

    def fileno(self) -> int:
        return -1

    def close(self) -> None:
        self.closed = True


class Client:
    """The other end of a connection: the test."""

    def __init__(
        self, loop: Loop, protocol: Any, takes: int | None = None, uid: int | None = None
    ) -> None:
        self.loop = loop
        self.socket = MemorySocket(uid)
        self.socket.room = takes
        self.protocol = protocol
        self.transport = tcp.Connection(self.socket, protocol, loop)  # type: ignore[arg-type]
        loop.clients.append(self)
        self.transport.connected = 1
        self.transport.startReading()
        protocol.makeConnection(self.transport)
        loop.settle()

    def send(self, *chunks: bytes) -> None:
        """Send; each chunk is one read of the daemon (one above 64 KiB is several)."""
        for chunk in filter(None, chunks):
            self.socket.inbox.append(chunk)
            self.loop.settle()

    def end(self) -> None:
        """End the writing half: the daemon reads to end of file."""
        self.socket.has_end = True
        self.loop.settle()

    def vanish(self) -> None:
        """Be gone: the connection is reset."""
        self.socket.is_lost = True
        if not self.socket.closed:
            self.loop._disconnectSelectable(self.transport, ConnectionLost(), True)
        self.loop.settle()

    def take(self, size: int | None = None) -> None:
        """Read so many bytes more, or whatever comes from now on."""
        self.socket.room = size
        self.loop.settle()

    @property
    def received(self) -> bytes:
        """Everything that came."""
        return bytes(self.socket.outbox)

    @property
    def saw_end(self) -> bool:
        """Whether the daemon has ended its half."""
        return self.socket.write_ended or self.socket.closed

    @property
    def is_closed(self) -> bool:
        """Whether the daemon has closed the connection."""
        return self.socket.closed

    @property
    def held(self) -> int:
        """Bytes that the daemon's transport holds for this client."""
        transport = self.transport
        return len(transport.dataBuffer) - transport.offset + transport._tempDataLen


@frozen
class Sent:
    """A datagram that left: to whom, and from which address where it was told."""

    data: bytes
    to: Address
    source: Destination | None = None


class MemoryPort:
    """A datagram port in memory: a protocol cannot tell it from `DatagramPort`."""

    def __init__(self, protocol: DatagramProtocol, is_local: bool = False) -> None:
        self.protocol = protocol
        self.is_local = is_local
        self.sent: list[Sent] = []
        self.last_error = ""
        self.trouble = ""
        self.unreachable: set[Address] = set()
        self.connected = True
        self.socket = None
        self.is_held = False
        protocol.makeConnection(self)  # type: ignore[arg-type]  # as DatagramPort, which it is not

    def ask(
        self,
        data: bytes,
        sender: Address | None = None,
        *,
        uid: int | None = None,
        pid: int | None = None,
        asked: Destination | None = None,
        told: Told | None = None,
    ) -> list[bytes]:
        """One datagram in; the answers that it got at once."""
        sender = sender or (("/asker", 0) if self.is_local else ASKER)
        return self.ask_at_once((data, sender, asked, pid, uid, told))

    def ask_at_once(self, *batch: Datagram) -> list[bytes]:
        """Datagrams that come in one turn; the answers that they got in it."""
        before = len(self.sent)
        if isinstance(self.protocol, Datagrams):
            self.protocol.datagramsReceived(batch)
        else:
            for data, sender, *_ in batch:
                self.protocol.datagramReceived(data, sender)
        return self.answers[before:]

    @property
    def answers(self) -> list[bytes]:
        """Everything that was sent."""
        return [datagram.data for datagram in self.sent]

    @property
    def counted(self) -> Counts:
        """What the instance's guard has counted."""
        protocol: Any = self.protocol
        counts: Counts = protocol.context.guard.counts
        return counts

    def write(self, data: bytes, addr: Address, source: Destination | None = None) -> bool:
        """Send a datagram; while there is `trouble` the network takes none."""
        return not self.write_batch([(data, addr, source)])

    def write_batch(self, answers: Sequence[Answer]) -> Sequence[Answer]:
        """Send datagrams; returns those that the network did not take."""
        if self.trouble:
            self.last_error = self.trouble
            return answers
        self.sent += [Sent(*answer) for answer in answers if answer[1] not in self.unreachable]
        return [answer for answer in answers if answer[1] in self.unreachable]

    def hold(self) -> None:
        """Hand on nothing for now."""
        self.is_held = True

    def release(self) -> None:
        """Go on."""
        self.is_held = False

    def stopListening(self) -> None:
        """Close."""
        if self.connected:
            self.connected = False
            self.protocol.doStop()
