"""A Twisted reactor on uvloop: `twistd -r uvloop`, and what sockd uses where it is there.

Timers, threads, processes, descriptors: all that is Twisted's asyncio reactor, on uvloop's event
loop. Streams are watched and written in fewer steps than Twisted's (`sockd.reactor.stream`),
datagrams come in batches (`sockd.reactor.udp`). Importing this raises ImportError where uvloop is
not installed, or the system has no epoll; `sockd.reactor.entry` looks at Twisted first.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from select import EPOLLIN, EPOLLOUT
from typing import Any

import uvloop
from twisted.internet import tcp, unix
from twisted.internet._signals import SignalHandling, _MultiSignalHandling
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.base import ReactorBase
from twisted.internet.error import UnsupportedAddressFamily
from twisted.internet.interfaces import IConnector
from twisted.internet.main import installReactor
from twisted.internet.posixbase import _NO_FILEDESC
from twisted.logger import Logger
from twisted.python.failure import Failure

from sockd.reactor.accepting import LocalPort, Port
from sockd.reactor.children import Children, Unignored
from sockd.reactor.polled import Polled, tls_on_socket
from sockd.reactor.poller import Poller
from sockd.reactor.stream import Client, Connection, LocalClient
from sockd.reactor.threads import Asked
from sockd.reactor.timers import TimedReactor
from sockd.reactor.udp import DatagramReactor

_log = Logger()


class _Connector(tcp.Connector):
    def _makeTransport(self) -> Any:
        return Client(self.host, self.port, self.bindAddress, self, self.reactor)


class _LocalConnector(unix.Connector):
    def _makeTransport(self) -> Any:
        return LocalClient(self.address, self, self.reactor, self.checkPID)


class UvloopReactor(DatagramReactor, TimedReactor):
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
        self._asked = Asked(self.loop, self.seconds)
        self._children = Children(self.loop)
        super().__init__(self.loop)

    def _signalsFactory(self) -> SignalHandling:
        return _MultiSignalHandling((ReactorBase._signalsFactory(self), Unignored()))

    # IReactorCore, IReactorFromThreads, IReactorProcess

    def iterate(self, delay: float = 0.0) -> None:
        """Run for so many seconds; for none, what is due and has happened by now."""
        self.runUntilCurrent()
        if delay > 0:
            end = self.loop.call_later(delay, self.loop.stop)
            try:
                self.loop.run_forever()
            finally:
                end.cancel()  # something else may have stopped it
        else:
            self.loop.stop()
            self.loop.run_forever()

    # Twisted's own two differ in the name of the first
    def callFromThread(  # type: ignore[override]
        self, f: Callable[..., Any], *args: object, **kwargs: object
    ) -> None:
        """Call a function in the thread of the reactor."""
        self._asked.add(f, args, kwargs)

    def spawnProcess(self, *args: Any, **kwargs: Any) -> Any:
        """Start a child."""
        child = super().spawnProcess(*args, **kwargs)
        self.watch_child(child.pid)
        return child

    def watch_child(self, pid: int | None) -> None:
        """Have a child reaped when it ends that was made by itself (`process.Process`)."""
        self._children.watch(pid)

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

    def _readOrWrite(self, selectable: Any, read: bool) -> None:
        # Twisted's own lets SystemExit through; the loop drops it, and would call again for ever
        why: Any = None
        if selectable.fileno() == -1:
            why = _NO_FILEDESC
        else:
            try:
                why = selectable.doRead() if read else selectable.doWrite()
            except BaseException as error:  # noqa: BLE001 - as Twisted's others: it ends that one
                _log.failure("Unhandled Error")
                why = error
        if why:
            self._disconnectSelectable(selectable, why, read)

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
        if (securing := tls_on_socket()) is None:
            return super().listenSSL(port, factory, contextFactory, backlog, interface)
        tls = securing.factory_of(contextFactory, False, self, factory)
        return self._listen(securing.SecurePort(port, tls, backlog, interface, self))

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
        if (securing := tls_on_socket()) is None:
            return super().connectSSL(host, port, factory, contextFactory, timeout, bindAddress)
        tls = securing.factory_of(contextFactory, True, self, factory)
        connector = securing.SecureConnector(host, port, tls, timeout, bindAddress, self)
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
