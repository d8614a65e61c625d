"""A datagram port of the client: it hears of errors of the network, too."""

from __future__ import annotations

import select
import socket
from collections.abc import Callable, Sequence
from typing import Any

from attrs import define, field

from sockd.reactor.ancillary import Wanted
from sockd.reactor.clocks import ClockReading
from sockd.reactor.datagram import DatagramPort
from sockd.reactor.wire import BatchWire, Datagram, Stamped

MOST_READS = 512
"""Batches that are read at once where all has to be read: 16,384 datagrams, more than wait."""


@define
class Handed:
    """What the port tells, and to whom."""

    wants_told: Wanted
    came: Callable[[Sequence[Datagram], ClockReading], None]
    """Is given both clocks, too, right after the batch was read."""
    stamped: Callable[[list[Stamped], ClockReading], None]
    """The same, where the time is all that is told."""
    errors_wait: Callable[[], object]
    _port: WatchedPort = field(init=False)

    def datagramsReceived(self, batch: Sequence[Datagram]) -> None:
        self.came(batch, self._port.read_at)

    def datagramReceived(self, datagram: bytes, addr: Any, /) -> None:
        """Never: the port has `datagramsReceived`."""

    def makeConnection(self, transport: Any, /) -> None:
        """The port is there."""
        self._port = transport

    def doStop(self) -> None:
        """The port is gone."""


class WatchedPort(DatagramPort):
    """Reads the queue of errors too. Watched by an epoll of its own, whose descriptor is readable
    while anything happens: several reactors take an error at a descriptor for its end.
    """

    def __init__(self, sock: socket.socket, protocol: Handed, reactor: Any) -> None:
        super().__init__(sock, protocol, reactor)
        self._watch = select.epoll()
        self._watch.register(sock.fileno(), select.EPOLLIN)

    def fileno(self) -> int:
        """Of the epoll."""
        return self._watch.fileno()

    def doRead(self) -> None:
        """Hand on errors of the network, then what waits."""
        for _, events in self._watch.poll(0, 1):
            if events & select.EPOLLERR:
                self.protocol.errors_wait()
        wire = self._wire
        if not (self.connected and isinstance(wire, BatchWire) and wire.is_timed):
            super().doRead()
        elif stamped := wire.receive_stamped():
            self._tell(self.protocol.stamped, stamped, wire.read_at)

    def read_all(self) -> None:
        """Hand on all that waits now; what comes meanwhile has its bound.

        Whoever is told may close it.
        """
        for _ in range(MOST_READS):
            if not self.connected or not self._watch.poll(0, 1):
                break
            self.doRead()

    def connectionLost(self, reason: Any = None) -> None:
        """Close both."""
        super().connectionLost(reason)
        self._watch.close()
