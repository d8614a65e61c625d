"""Connections with urgent data on the running reactor, and their peers."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from twisted.internet.interfaces import IHalfCloseableProtocol
from zope.interface import implementer

from sockd.net.urgent import UrgentWatch
from sockd.net.urgent_transport import Urgent
from tests.helpers import until
from tests.memory import REACTOR
from tests.reactor.streams import Keeping, dialled, listening


class Watch(UrgentWatch):
    """Counts how often it is woken."""

    def __init__(self, reactor: Any = REACTOR) -> None:
        super().__init__(reactor)
        self.wakes = 0

    def doRead(self) -> None:
        self.wakes += 1
        super().doRead()


@implementer(IHalfCloseableProtocol)
class Hearing(Keeping):
    """Keeps what it sees and is told; does besides what it is asked to."""

    stops = True
    """Whether it stops when the connection is lost."""

    def __init__(self, watch: UrgentWatch, do: Callable[[Hearing], object] | None = None) -> None:
        super().__init__()
        self.watch, self.do = watch, do
        self.told = b""
        self.ahead: list[int] = []
        """How many bytes had been received when each byte was told of."""
        self.has_ended = False
        self.on_data: Callable[[Hearing], object] | None = None

    def connectionMade(self) -> None:
        self.urgent = Urgent(self.transport, self.watch, self.told_of)

    def told_of(self, byte: bytes) -> None:
        self.told += byte
        self.ahead.append(len(self.received))
        if self.do is not None:
            self.do(self)

    def stop_and_lose(self) -> None:
        """Be told no more, and close."""
        self.urgent.stop()
        self.wire.loseConnection()

    def dataReceived(self, data: bytes) -> None:
        super().dataReceived(data)
        if self.on_data is not None:
            self.on_data(self)

    def readConnectionLost(self) -> None:
        self.has_ended = True
        self.wire.loseConnection()

    def writeConnectionLost(self) -> None:
        """Nothing: the peer may go on."""

    def connectionLost(self, reason: Any = None) -> None:
        super().connectionLost(reason)
        if self.stops:
            self.urgent.stop()


class Sender:
    """A peer that is a plain socket."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.sent = 0
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, *pieces: bytes | str) -> None:
        """Send bytes; of a text the last character is urgent."""
        for piece in pieces:
            data = piece.encode("latin-1") if isinstance(piece, str) else piece
            self.sock.send(data, socket.MSG_OOB if isinstance(piece, str) else 0)
            self.sent += len(data)


@asynccontextmanager
async def hearing(
    do: Callable[[Hearing], object] | None = None, watch: UrgentWatch | None = None
) -> AsyncIterator[tuple[Hearing, Sender]]:
    """A connection on the reactor, and its peer."""
    it = watch or Watch()
    async with listening(lambda: Hearing(it, do)) as port:
        with dialled(port.address) as sock:
            yield await port.first(), Sender(sock)
        heard = port.protocols[0]
        if heard.wire.connected:
            heard.wire.resumeProducing()  # or else it would not see the end
        await until(lambda: heard.lost)
