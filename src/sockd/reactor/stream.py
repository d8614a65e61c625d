"""Twisted's own stream transports, without what makes them slow.

Twisted's keep what is written, ask to be told when the socket takes it, are told so in the next
turn, write it, and ask not to be told any more: that costs more than a message. These write at
once, and ask only for what the kernel did not take. And each reactor calls a transport through
several steps of its own; these are watched by a `Poller` (`sockd.reactor.poller`), which calls them
itself. All else, above all the contract of twisted.internet.interfaces, is Twisted's own code.

A server's connection is watched only if it goes on after `connectionMade`: a service that says one
thing and closes needs nothing else, and its words leave together with the end.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from select import EPOLLIN, EPOLLOUT
from socket import MSG_MORE
from typing import TYPE_CHECKING, Any

from twisted.internet import main, tcp, unix
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IFileDescriptorReceiver, ILoggingContext
from twisted.python import context, log
from twisted.python.failure import Failure
from twisted.python.log import ILogContext

# in the words of Twisted's reactors, which are not those of `main.CONNECTION_DONE`
_DONE, _LOST = Failure(ConnectionDone()), Failure(ConnectionLost())


if TYPE_CHECKING:
    _Own = tcp.Connection
else:
    _Own = object  # it comes last: what is here goes before it


class Polled(_Own):
    """What these transports do differently from Twisted's own, before which it is put."""

    reactor: Any
    wanted = 0
    """What it is to be watched for."""
    watched_at = -1
    """The descriptor at which it is watched; -1 where it is not."""
    _watched_for = 0
    _may_be_watched = True
    """False while `connectionMade` runs, and after the end."""
    _sends_at_once = False
    """Whether nothing is in the way of writing to the socket."""
    _how: int = 0
    """Flags for `send`."""
    _has_failed = False
    """Whether writing has failed; the next turn ends the connection."""
    _is_counted = False
    """Whether a push producer is to be held after each `bufferSize` bytes."""
    _counted = 0
    """Bytes since it was last held."""

    connected: int
    producer: Any

    def startReading(self) -> None:
        """Read what comes."""
        self._want(self.wanted | EPOLLIN)

    def stopReading(self) -> None:
        """Read no more."""
        self._want(self.wanted & ~EPOLLIN)

    def startWriting(self) -> None:
        """Write in the next turn."""
        self._want(self.wanted | EPOLLOUT)

    def stopWriting(self) -> None:
        """Nothing waits to be written, or nothing that waits will be."""
        self._want(self.wanted & ~EPOLLOUT)
        self._decide()

    def write(self, data: bytes) -> None:
        """Send bytes. What the kernel does not take now is kept."""
        if not self._sends_at_once:
            self._buffer()
            super().write(data)
            return
        if not isinstance(data, bytes):
            raise TypeError("Data must be bytes")
        try:
            sent = self.socket.send(data, self._how)
        except BlockingIOError:
            sent = 0
        except OSError:  # told once: a read that follows would look like an orderly end
            self._has_failed = True
            sent = 0
        if sent < len(data):
            self._keep(data[sent:])
        elif self._is_counted:
            self._count(sent)

    def writeSequence(self, iovec: Iterable[bytes]) -> None:
        """Send pieces as one."""
        if self._sends_at_once:
            try:
                data = b"".join(iovec)
            except TypeError:
                raise TypeError("Data must be bytes") from None
            self.write(data)
        else:
            self._buffer()
            super().writeSequence(iovec)

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Twisted's own, which pauses a producer when more than `bufferSize` bytes wait.

        A peer may take as much as a push producer writes, so that nothing ever waits: it is held
        after `bufferSize` bytes until the next turn. One with a true attribute `bounds_itself` is
        not, and is paused as soon as anything waits.
        """
        if self.producer is None:
            self._is_counted = streaming and not getattr(producer, "bounds_itself", False)
            self._sends_at_once = self._sends_at_once and streaming
        super().registerProducer(producer, streaming)
        if self.producer is producer and not (streaming or self._writeDisconnected):
            # what was written before may all be sent: nothing else would have it asked again
            self.startWriting()

    def unregisterProducer(self) -> None:
        """The producer is done."""
        super().unregisterProducer()
        self._is_counted = False
        self._decide()

    def startTLS(self, contextFactory: Any, normal: bool = True) -> None:
        """Go on in TLS, Twisted's own, on top of this connection."""
        self._buffer()
        super().startTLS(contextFactory, normal)
        self._decide()  # nothing goes to the socket but by TLS

    def connectionLost(self, reason: Failure) -> None:
        """The connection is over."""
        self._leave()
        super().connectionLost(reason)

    def ends(self, why: BaseException, is_read: bool) -> None:
        """From the poller: reading or writing has come to its end."""
        if why is not main.CONNECTION_DONE:
            self.connectionLost(_LOST if why is main.CONNECTION_LOST else Failure(why))
        elif self._has_failed:
            self.connectionLost(_LOST)
        elif is_read:
            self.stopReading()
            self.readConnectionLost(_DONE)
        else:
            self.connectionLost(_DONE)

    def fails(self, error: BaseException) -> None:
        """From the poller: what was called for it has raised this. Raises nothing itself."""
        log.err(Failure(error))
        try:
            self.connectionLost(Failure(error))
        except BaseException:  # noqa: BLE001 - one's fault is not the others'
            log.err()

    def _closeWriteConnection(self) -> None:
        self._sends_at_once = False
        super()._closeWriteConnection()

    def _want(self, wanted: int) -> None:
        self.wanted = wanted
        if self._may_be_watched and wanted != self._watched_for:
            self.reactor.poller.watch(self, wanted)
            self._watched_for = wanted

    def _leave(self) -> None:
        """Be watched no more, whatever is asked for from now on."""
        self.wanted = 0
        self.reactor.poller.watch(self, 0)
        self._may_be_watched = False
        self._sends_at_once = False

    def _buffer(self) -> None:
        """Have something to keep in what is written: most connections never need it."""
        if not self._tempDataLen:
            self._tempDataBuffer = []

    def _keep(self, data: bytes) -> None:
        self._sends_at_once = False
        self._tempDataBuffer = [data]
        self._tempDataLen = len(data)
        self.startWriting()
        if self.producer is not None and (not self._is_counted or len(data) > self.bufferSize):
            self._hold()

    def _count(self, sent: int) -> None:
        self._counted += sent
        if self._counted > self.bufferSize:
            self._sends_at_once = False
            self.startWriting()
            self._hold()

    def _hold(self) -> None:
        self.producerPaused = True
        self.producer.pauseProducing()

    def _decide(self) -> None:
        """Whether what is written may go to the socket at once."""
        waits = self.dataBuffer or self._tempDataLen
        ends = self._aborting or self._writeDisconnected or not self.connected
        pulls = self.producer is not None and not self.streamingProducer
        self._sends_at_once = not (waits or ends or pulls or self.TLS)
        self._counted = 0

    # a context of Twisted's log while a protocol runs: whose line it is, made out only when asked

    def copy(self) -> dict[Any, Any]:
        """As a dict's: Twisted adds to it what it calls with a context."""
        try:
            system = self.logPrefix()
        except BaseException:  # noqa: BLE001 - as Twisted: a fault there does not keep from logging
            system = "(buggy logPrefix method)"
        base = context.defaultContextDict
        return {**base, ILogContext: {**base[ILogContext], "system": system}}

    def __getitem__(self, key: Any) -> Any:
        return self.copy()[key]


class Accepted(Polled):
    """A connection that a port has accepted, with as little as that takes."""

    connected = 1
    wanted = EPOLLIN
    _may_be_watched = False
    _sends_at_once = True
    _how: int = MSG_MORE
    """While `connectionMade` runs: what is said leaves together with the end that may follow, in
    one segment. If none follows, TCP_NODELAY sends it."""
    _tempDataLen = 0
    _tempDataBuffer: Any = ()  # see `_buffer`
    _addressType: Any = IPv4Address
    _last_name = ""
    """What the protocol was called, once it is gone."""

    def __init__(
        self,
        sock: socket.socket,
        protocol: Any,
        client: Any,
        server: Any,
        sessionno: int,
        reactor: Any,
    ) -> None:
        # not Twisted's own, which does and keeps much that few ask for
        sock.setblocking(False)
        self.socket = sock
        self.protocol = protocol
        self.client = client
        self.server = server
        self.sessionno = sessionno
        self.hostname = client[0]
        if len(client) != 2:
            self._addressType = IPv6Address
        self.reactor = reactor

    def doRead(self) -> Any:
        """From the poller: hand on what has come. Returns why the connection is over, if it is."""
        try:
            data = self.socket.recv(self.bufferSize)
        except BlockingIOError:
            return None
        except OSError:
            return main.CONNECTION_LOST
        if not data:
            return main.CONNECTION_DONE
        self.protocol.dataReceived(data)
        return None

    def startReading(self) -> None:
        """Read what comes. Whoever says so in `connectionMade` has it watched at once."""
        if not (self._may_be_watched or self.disconnected):
            self._go_on()
        super().startReading()

    def begin(self) -> None:
        """`connectionMade` is over: the end already, or the beginning of being watched."""
        if self._may_be_watched or self.disconnected or self.socket.fileno() < 0:
            return
        if self.disconnecting and self._sends_at_once and self.producer is None:
            self.connectionLost(_DONE)
        else:
            self._go_on()

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Whether small writes go out at once: they do, unless it is switched off."""
        if not (enabled or self._may_be_watched or self.disconnected):
            self._go_on()
        super().setTcpNoDelay(enabled)

    def _go_on(self) -> None:
        self._may_be_watched = True
        self._how = 0
        self.setTcpNoDelay(True)
        try:
            self._want(self.wanted)
        except OSError:  # the kernel cannot watch one more
            log.err()
            self.connectionLost(_LOST)

    def connectionLost(self, reason: Failure) -> None:
        """The connection is over: close the socket, and tell."""
        if self.disconnected:
            return
        self._leave()
        self.disconnected = 1
        self.connected = 0
        producer, self.producer = self.producer, None
        try:
            if producer is not None:
                producer.stopProducing()
        finally:
            self._closeSocket(reason.value.__class__ is not ConnectionAborted)
            del self.socket
            try:
                self.protocol.connectionLost(reason)
            finally:
                self._last_name = type(self.protocol).__name__
                del self.protocol

    def fileno(self) -> int:
        """The descriptor; -1 once it is closed."""
        return -1 if self.disconnected else self.socket.fileno()

    @property
    def logstr(self) -> str:  # type: ignore[override]
        """Whose log lines these are: `PROTOCOL,NUMBER,HOST`."""
        return f"{self._last_name or _name(self.protocol)},{self.sessionno},{self.hostname}"

    def __repr__(self) -> str:
        if self.disconnected:
            return f"<{type(self).__name__} #{self.sessionno}, lost>"
        local = self.socket.getsockname()
        where = repr(local) if self.socket.family == socket.AF_UNIX else local[1]
        return f"<{type(self.protocol).__name__} #{self.sessionno} on {where}>"


class Local(Polled):
    """Over a Unix socket, which can carry descriptors."""

    _sendmsgQueue: list[int]

    def sendFileDescriptor(self, fileno: int) -> None:
        """Send a descriptor with the next byte that is written; one must be written."""
        self._sends_at_once = False
        self._buffer()
        super().sendFileDescriptor(fileno)  # type: ignore[misc]

    def doWrite(self) -> Any:
        """From the poller: send what waits. Returns why the connection is over, if it is."""
        waits = self.dataBuffer or self._tempDataLen
        if self._sendmsgQueue and not (waits or self.disconnecting or self._writeDisconnecting):
            self.stopWriting()  # until there is a byte to go with
            return None
        return super().doWrite()

    def _decide(self) -> None:
        super()._decide()
        self._sends_at_once = self._sends_at_once and not self._sendmsgQueue


class Connection(Accepted, tcp.Server):
    """A TCP connection that a port has accepted."""


class LocalConnection(Local, Accepted, unix.Server):
    """A connection over a Unix socket that a port has accepted."""

    def __init__(self, sock: socket.socket, protocol: Any, client: Any, *rest: Any) -> None:
        super().__init__(sock, protocol, (client, None), *rest)
        self._sendmsgQueue = []

    def doRead(self) -> Any:
        """From the poller; descriptors that come are closed unless the protocol wants them."""
        receives = IFileDescriptorReceiver.providedBy(self.protocol)
        return unix.Server.doRead(self) if receives else super().doRead()


class _Dialled(Polled):
    """A connection that is made from here."""

    def _connectDone(self) -> None:
        self._sends_at_once = True
        self.setTcpNoDelay(True)
        super()._connectDone()  # type: ignore[misc]


class Client(_Dialled, tcp.Client):
    """A TCP connection that is made from here."""


class LocalClient(Local, _Dialled, unix.Client):
    """A connection over a Unix socket that is made from here."""


def _name(protocol: Any) -> str:
    """What a protocol is called in the log."""
    named = ILoggingContext.providedBy(protocol)
    return str(protocol.logPrefix()) if named else type(protocol).__name__
