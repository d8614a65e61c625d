"""Datagram ports that no datagram can stop: at most 32 a pass, and no errno closes them.

Twisted's own port reads until it has 262,144 bytes, so empty datagrams hold the reactor for ever,
and closes for good at an errno it does not know. `DatagramPort` serves a socket that is already
bound, for IPv4, IPv6 and Unix datagrams alike, on any reactor that has `addReader`; it stands on no
private part of Twisted. (`sockd.reactor.udp` has what `listenUDP` of our own reactor returns.)
"""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from twisted.internet import main
from twisted.internet.abstract import FileDescriptor
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import IAddress, IDelayedCall, IListeningPort, ISystemHandle
from twisted.logger import Logger
from zope.interface import implementer

from sockd.reactor import sockaddr, unreached
from sockd.reactor.ancillary import NOTHING, Told, Wanted
from sockd.reactor.audience import Audience
from sockd.reactor.clocks import ClockReading
from sockd.reactor.mmsg import BATCH
from sockd.reactor.sockaddr import Address
from sockd.reactor.wire import (
    MAX_DATAGRAM,
    Answer,
    Datagram,
    Destination,
    Wire,
    open_wire,
)

ERRORS_EVERY = 16
"""Passes after which errors are looked for though datagrams come: they take room in the same buffer
of the kernel."""


class Receiver(Protocol):
    """What is told of datagrams: a Twisted `DatagramProtocol` has all of it.

    One that has `datagramsReceived(batch)` too gets a list of `Datagram` a pass instead, and can
    answer with `write_batch`. One that has `wants_told`, which is a `Wanted`, is told that of each.
    One that has `unreached(address)` is told whom the network says that it does not reach.
    """

    def datagramReceived(self, datagram: bytes, addr: Any, /) -> None:
        """One datagram, and (host, port)."""

    def makeConnection(self, transport: Any, /) -> None:
        """The port is there."""

    def doStop(self) -> None:
        """The port is gone."""


class Turns(FileDescriptor):
    """What our ports share: a pass hands on what waits, then sends what the protocol has written.

    `counts` has what went wrong (see `Wire`). While a datagram is being handed on, `asked` is the
    address it was sent to (where the socket has several), `pid` and `uid` the process and the user
    who sent it (Unix sockets), and `told` what the protocol wants to be told of it.
    """

    reactor: Any
    protocol: Any
    maxPacketSize: int
    asked: Destination | None = None
    pid: int | None = None
    uid: int | None = None
    told: Told | None = None
    _sender: Address | None = None
    _wire: Wire
    _written: list[Answer] | None = None
    _next: IDelayedCall | None = None
    _wants_more = False
    _is_held = False
    _handed = 0
    """Batches that were handed on."""
    _log = Logger()

    @property
    def counts(self) -> Counter[str]:
        """What went wrong."""
        return self._wire.counts

    @property
    def read_at(self) -> ClockReading:
        """Both clocks right after what is being handed on was read (`Wanted.TIME`)."""
        return self._wire.read_at

    def doRead(self) -> None:
        """Hand on what waits, at most `BATCH` datagrams, none after `BATCH_BYTES`."""
        if not self.connected or self._is_held:
            return
        self._flush()  # where a protocol turns the reactor
        self._written = []
        try:
            if batch := self._wire.receive():
                self._handed += 1
                self._hand_on(batch)
        finally:
            self._flush()
            self._written = None
        if self._wire.has_rest and self._wants_more and not self._is_held:
            # nothing need come any more that would make the descriptor readable
            super().stopReading()
            self._plan()

    def startReading(self) -> None:
        """Hand on what comes, and before that what is left of a batch."""
        self._wants_more = True
        if self._is_held:
            return
        if self._wire.has_rest:
            self._plan()
        else:
            super().startReading()

    def stopReading(self) -> None:
        """Hand on nothing more, not even what is left of a batch."""
        self._wants_more = False
        self._pause()

    @property
    def has_rest(self) -> bool:
        """Whether some of what was read has not been handed on yet."""
        return self._wire.has_rest

    def take_rest(self) -> None:
        """Hand that on now: less than a batch, and nothing that still waits at the socket."""
        while self._wire.has_rest and self.connected and not self._is_held:
            self.doRead()

    def hold(self) -> None:
        """For the protocol, which has enough to do: hand on nothing until `release`."""
        if not self._is_held:
            self._is_held = True
            self._pause()

    def release(self) -> None:
        """Go on, unless reading was stopped."""
        if self._is_held:
            self._is_held = False
            if self._wants_more:
                self.startReading()

    def _pause(self) -> None:
        if self._next is not None:
            self._next.cancel()
            self._next = None
        super().stopReading()

    def connectionLost(self, reason: Any = None) -> None:
        """Close the socket and tell the protocol; what it has written is sent."""
        self._flush()
        self.stopReading()
        super().connectionLost(reason)

    def write_batch(self, answers: Sequence[Answer]) -> Sequence[Answer]:
        """Send datagrams, in order; returns those that the kernel did not take. Never raises."""
        self._flush()
        return self._wire.send(answers)

    def write_many(self, data: bytes, addresses: Sequence[Address]) -> int:
        """Send one datagram to each address; returns how many the kernel took. Never raises.

        The reactor waits meanwhile, about 3 ms for 1000 addresses: give it no more in a pass.
        """
        self._flush()
        return self._wire.send_many(data, addresses)

    def write_all(
        self, data: bytes, audience: Audience, first: int = 0, last: int | None = None
    ) -> int:
        """The same for those of an audience from number `first` to before `last`.

        Half of the time of `write_many`: their addresses are in place.
        """
        self._flush()
        return self._wire.send_all(data, audience, first, last)

    def write_to(self, parts: Sequence[bytes], address: Address | None) -> Sequence[int]:
        """Send datagrams to one address, or where the socket is connected to, in order.

        Returns the numbers of those that the kernel did not take. Never raises.
        """
        self._flush()
        return self._wire.send_to(parts, address)

    def _plan(self) -> None:
        if self._next is None:
            self._next = self.reactor.callLater(0, self._go_on)

    def _go_on(self) -> None:
        self._next = None
        super().startReading()
        self.doRead()

    def _hand_on(self, batch: Sequence[Datagram]) -> None:
        all_at_once = getattr(self.protocol, "datagramsReceived", None)
        if all_at_once is not None:
            self._tell(all_at_once, batch)
            return
        for data, self._sender, self.asked, self.pid, self.uid, self.told in batch:
            self._tell(self.protocol.datagramReceived, data[: self.maxPacketSize], self._sender)
            if not self.connected:
                break
        self._sender = self.asked = self.pid = self.uid = self.told = None

    def _tell(self, receive: Callable[..., None], *args: object) -> None:
        try:
            receive(*args)
        except Exception:  # noqa: BLE001 - a protocol's fault costs its datagram, not the port
            self._log.failure("error in {protocol}", protocol=self.logPrefix())

    def _collect(self, data: bytes, address: Address, source: Destination | None) -> None:
        """Have it sent at the end of the pass, an answer from the address that was asked."""
        if source is None and address == self._sender:
            source = self.asked
        assert self._written is not None
        self._written.append((data, address, source))
        if len(self._written) == BATCH:
            self._flush()

    def _flush(self) -> None:
        if self._written:
            written, self._written = self._written, []
            self._wire.send(written)


@implementer(IListeningPort, ISystemHandle)
class DatagramPort(Turns):
    """A bound datagram socket that feeds a `DatagramProtocol`. `in_batches`: where that can be."""

    maxPacketSize = MAX_DATAGRAM

    def __init__(
        self, sock: socket.socket, protocol: Receiver, reactor: Any, *, in_batches: bool = True
    ) -> None:
        super().__init__(reactor)
        self.socket = sock
        self.protocol = protocol
        self.is_local = sock.family == socket.AF_UNIX
        self._wire = open_wire(sock, lambda _: None, in_batches, wanted(protocol))
        self._errors = unreached.watch(sock) if hasattr(protocol, "unreached") else None
        self._passes = 0

    @property
    def last_error(self) -> str:
        """Why the kernel did not take a datagram, the last time that it did not."""
        return self._wire.last_error

    @property
    def last_errno(self) -> int:
        """The same as a number."""
        return self._wire.last_errno

    def getHandle(self) -> socket.socket:
        """The socket."""
        return self.socket

    def fileno(self) -> int:
        """The descriptor to be watched: the socket's, or one that hides its errors."""
        return self.socket.fileno() if self._errors is None else self._errors.fileno()

    def getHost(self) -> IAddress:
        """Where it listens."""
        if self.is_local:
            return UNIXAddress(self.socket.getsockname())
        kind = IPv6Address if self.socket.family == socket.AF_INET6 else IPv4Address
        return kind("UDP", *sockaddr.bound_to(self.socket))

    def startListening(self) -> None:
        """Begin to read."""
        self.socket.setblocking(False)
        self.connected = True
        self.protocol.makeConnection(self)
        self.startReading()

    def stopListening(self) -> Any:
        """Stop reading and close the socket. Returns a Deferred or None, as Twisted's ports do."""
        if self.connected and not self.disconnecting:
            self.disconnecting = True
            self.loseConnection()
        return self.deferred if hasattr(self, "deferred") else None

    def doRead(self) -> None:
        """As `Turns.doRead`; and errors that wait, which make a socket readable, too."""
        before = self._handed
        super().doRead()
        if self._errors is not None and self.connected:
            self._passes += 1
            if self._handed == before or self._passes % ERRORS_EVERY == 0:
                for address in unreached.read(self.socket):
                    self._tell(self.protocol.unreached, address)

    def loseConnection(self, connDone: Any = main.CONNECTION_DONE) -> None:
        """As `stopListening`: nothing waits to be sent."""
        self.stopReading()
        if self.connected:
            self.connectionLost(None)

    def connectionLost(self, reason: Any = None) -> None:
        """Close the socket and tell the protocol."""
        super().connectionLost(reason)
        self.connected = False
        try:
            self.protocol.doStop()
        finally:  # whatever it raises, its port is to be had again
            self.socket.close()
            if self._errors is not None:
                self._errors.close()

    def logPrefix(self) -> str:
        """Whose log lines these are."""
        return type(self.protocol).__name__

    def write(  # type: ignore[override]  # a FileDescriptor's write takes no address
        self, data: bytes, addr: Address, source: Destination | None = None
    ) -> bool:
        """Send one datagram; False where the kernel did not take it. Never raises.

        In a pass that hands datagrams on it is sent at the end of the pass, an answer from the
        address that was asked. `source` is an earlier `asked`, for an answer that is sent later.
        """
        if self._written is None:
            return not self._wire.send([(data, addr, source)])
        self._collect(data, addr, source)
        return True


def wanted(protocol: object) -> Wanted:
    wants: Wanted = getattr(protocol, "wants_told", NOTHING)
    return wants
