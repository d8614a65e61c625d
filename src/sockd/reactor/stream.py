"""Stream transports for `sockd.reactor.uv`: Twisted's own, written at once and polled.

A server's connection is watched only if it goes on after `connectionMade`: a service that says one
thing and closes needs nothing else, and its words leave together with the end.
"""

from __future__ import annotations

import socket
from select import EPOLLIN
from socket import MSG_MORE
from typing import Any

from twisted.internet import main, tcp, unix
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import ConnectionAborted
from twisted.internet.interfaces import IFileDescriptorReceiver, ILoggingContext
from twisted.python import log
from twisted.python.failure import Failure

from sockd.reactor.polled import DONE, LOST, Polled


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
            self.connectionLost(DONE)
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
            self.connectionLost(LOST)

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
