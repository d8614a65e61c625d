"""A Twisted reactor on uvloop: `twistd -r uvloop`, and what sockd uses where it is there.

Timers, threads, processes, descriptors: all that is Twisted's asyncio reactor, on uvloop's event
loop. Streams are watched and written in fewer steps than Twisted's (`sockd.reactor.stream`),
datagrams come in batches (`sockd.reactor.udp`). Importing this raises ImportError where uvloop is
not installed, or the system has no epoll; `sockd.reactor.entry` looks at Twisted first.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import time
from collections.abc import Callable
from select import EPOLLIN, EPOLLOUT
from typing import Any

import uvloop
from attrs import define
from twisted.internet import process, tcp, unix
from twisted.internet._signals import SignalHandling, _MultiSignalHandling
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.asyncioreactor import AsyncioSelectorReactor
from twisted.internet.base import ReactorBase
from twisted.internet.error import UnsupportedAddressFamily
from twisted.internet.interfaces import IConnector
from twisted.internet.main import installReactor
from twisted.logger import Logger
from twisted.python.failure import Failure

from sockd.reactor.accepting import LocalPort, Port
from sockd.reactor.polled import Polled, tls_on_socket
from sockd.reactor.poller import Poller
from sockd.reactor.stream import Client, Connection, LocalClient
from sockd.reactor.udp import DatagramReactor

_log = Logger()


class _Connector(tcp.Connector):
    def _makeTransport(self) -> Any:
        return Client(self.host, self.port, self.bindAddress, self, self.reactor)


class _LocalConnector(unix.Connector):
    def _makeTransport(self) -> Any:
        return LocalClient(self.address, self, self.reactor, self.checkPID)


@define
class _ReapChildren:
    """Ends of child processes are noticed by a signal handler.

    Twisted has the kernel write to a descriptor of its own instead; uvloop takes that place while
    it runs.
    """

    call_soon: Callable[..., object]

    def install(self) -> None:
        """Begin; children that ended before are reaped now."""
        signal.signal(signal.SIGCHLD, lambda *_: self.call_soon(process.reapAllProcesses))
        signal.siginterrupt(signal.SIGCHLD, False)
        process.reapAllProcesses()

    def uninstall(self) -> None:
        """Notice no more."""
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)


class UvloopReactor(DatagramReactor, AsyncioSelectorReactor):
    """Twisted's reactor on a uvloop event loop of its own."""

    local_port = LocalPort

    def __init__(self) -> None:
        self.loop = uvloop.new_event_loop()
        asyncio.set_event_loop(self.loop)
        self.loop.set_exception_handler(_report)
        self.poller = Poller()
        self.loop.add_reader(self.poller.fileno(), self.poller.poll)
        # The time of day when the reactor was made, and what has passed since: no clock setting
        # moves a timer, and what takes the reactor's seconds for a date (twisted.web) gets one.
        began = time.time() - time.monotonic()
        self.seconds = lambda: began + time.monotonic()
        super().__init__(self.loop)

    def _signalsFactory(self) -> SignalHandling:
        base = ReactorBase._signalsFactory(self)
        return _MultiSignalHandling((base, _ReapChildren(self.loop.call_soon_threadsafe)))

    # IReactorFDSet; what is polled is watched there

    def addReader(self, reader: Any) -> None:
        """Read from it."""
        if isinstance(reader, Polled):
            reader.startReading()
        else:
            super().addReader(reader)

    def addWriter(self, writer: Any) -> None:
        """Write to it."""
        if isinstance(writer, Polled):
            writer.startWriting()
        else:
            super().addWriter(writer)

    def removeReader(self, reader: Any) -> None:
        """Read from it no more."""
        if isinstance(reader, Polled):
            reader.stopReading()
        else:
            super().removeReader(reader)

    def removeWriter(self, writer: Any) -> None:
        """Write to it no more."""
        if isinstance(writer, Polled):
            writer.stopWriting()
        else:
            super().removeWriter(writer)

    def getReaders(self) -> list[Any]:
        """What is read from."""
        return [*super().getReaders(), *self.poller.watched(EPOLLIN)]

    def getWriters(self) -> list[Any]:
        """What is written to."""
        return [*super().getWriters(), *self.poller.watched(EPOLLOUT)]

    def removeAll(self) -> list[Any]:
        """Serve nothing any more; returns what was read from or written to, connections too."""
        return [*super().removeAll(), *self.poller.remove_all()]

    # IReactorTCP, IReactorUNIX, IReactorSocket; what fails is raised as by Twisted's own

    def listenTCP(self, port: Any, factory: Any, backlog: int = 50, interface: str = "") -> Any:
        """Listen on TCP."""
        return self._listen(Port(port, factory, backlog, interface, self))

    def connectTCP(
        self, host: str, port: int, factory: Any, timeout: float = 30.0, bindAddress: Any = None
    ) -> IConnector:
        """Connect over TCP."""
        connector = _Connector(host, port, factory, timeout, bindAddress, self)
        connector.connect()
        return connector

    def listenSSL(
        self,
        port: Any,
        factory: Any,
        contextFactory: Any,
        backlog: int = 50,
        interface: str = "",
    ) -> Any:
        """Listen on TCP, for TLS."""
        if (secure := tls_on_socket()) is None:
            return super().listenSSL(port, factory, contextFactory, backlog, interface)
        tls = secure.factory_of(contextFactory, False, self, factory)
        return self._listen(secure.SecurePort(port, tls, backlog, interface, self))

    def connectSSL(
        self,
        host: str,
        port: int,
        factory: Any,
        contextFactory: Any,
        timeout: float = 30.0,
        bindAddress: Any = None,
    ) -> Any:
        """Connect over TCP, for TLS."""
        if (secure := tls_on_socket()) is None:
            return super().connectSSL(host, port, factory, contextFactory, timeout, bindAddress)
        tls = secure.factory_of(contextFactory, True, self, factory)
        connector = secure.SecureConnector(host, port, tls, timeout, bindAddress, self)
        connector.connect()
        return connector

    def connectUNIX(
        self, address: Any, factory: Any, timeout: float = 30.0, checkPID: Any = 0
    ) -> IConnector:
        """Connect to a Unix socket."""
        connector = _LocalConnector(address, factory, timeout, self, checkPID)
        connector.connect()
        return connector

    def listenUNIX(
        self, address: Any, factory: Any, backlog: int = 50, mode: int = 0o666, wantPID: Any = 0
    ) -> Any:
        """Listen on a Unix socket."""
        return self._listen(LocalPort(address, factory, backlog, mode, self, wantPID))

    def adoptStreamPort(self, fileDescriptor: int, addressFamily: int, factory: Any) -> Any:
        """Listen on a socket that is bound and listens already."""
        if addressFamily not in self._supportedAddressFamilies:
            raise UnsupportedAddressFamily(addressFamily)
        if addressFamily == socket.AF_UNIX:
            return self._listen(LocalPort._fromListeningDescriptor(self, fileDescriptor, factory))
        return self._listen(
            Port._fromListeningDescriptor(self, fileDescriptor, addressFamily, factory)
        )

    def adoptStreamConnection(self, fileDescriptor: int, addressFamily: int, factory: Any) -> Any:
        """Serve a socket that is connected already."""
        if addressFamily not in (socket.AF_INET, socket.AF_INET6):
            return super().adoptStreamConnection(fileDescriptor, addressFamily, factory)
        sock = socket.fromfd(fileDescriptor, addressFamily, socket.SOCK_STREAM)
        kind = IPv4Address if addressFamily == socket.AF_INET else IPv6Address
        try:
            peer = tcp._getpeername(sock)
            protocol = factory.buildProtocol(kind("TCP", *peer))
        except BaseException:
            sock.close()
            raise
        if protocol is None:
            sock.close()
            return None
        connection = Connection(sock, protocol, peer, None, peer[1], self)
        try:
            protocol.makeConnection(connection)
        finally:
            connection.begin()
        return connection

    def _listen(self, port: Any) -> Any:
        port.startListening()
        return port


def _report(loop: Any, context: dict[str, Any]) -> None:
    """What goes wrong in a callback of the loop belongs in Twisted's log."""
    error = context.get("exception")
    if error is None:
        _log.error("{message}", message=context["message"])
    else:
        _log.error(
            "{message}",
            message=context["message"],
            log_failure=Failure(error, type(error), error.__traceback__),
        )


def install() -> None:
    """Make it the process's reactor, as the module of every reactor does."""
    installReactor(UvloopReactor())
