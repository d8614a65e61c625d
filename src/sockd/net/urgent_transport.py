"""Urgent data of a connection of Twisted's, on any reactor: see `sockd.net.urgent`.

A reactor asks a transport to read and to write: an `Urgent` answers in its place, and so knows what
stands before a mark, in both directions.
"""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet import main, tcp
from twisted.internet.interfaces import ISSLTransport
from twisted.logger import Logger

from sockd.net.urgent import BYTE, IS_HERE, Told, UrgentSocket, UrgentWatch

_log = Logger()


def works_on(transport: Any) -> bool:
    """Whether a transport of Twisted's can have urgent data: TCP without TLS, on Linux."""
    return (
        IS_HERE
        and isinstance(transport, tcp.Connection)
        and not ISSLTransport.providedBy(transport)
        # in memory it has no socket
        and getattr(transport.getHandle(), "type", None) == socket.SOCK_STREAM
        and transport.getHandle().family in (socket.AF_INET, socket.AF_INET6)
    )


class Urgent:
    """Urgent data of a connection: where `works_on` says so, from `connectionMade` to its end.

    After `loseConnection` nothing is told. What `told` raises is logged, and aborts the connection.
    """

    def __init__(
        self, transport: Any, watch: UrgentWatch, told: Told, *, in_place: bool = False
    ) -> None:
        self._transport = transport
        self._watch = watch
        self._told = told
        self._socket = UrgentSocket(transport.getHandle(), self._tell, in_place=in_place)
        self._marks: list[int] = []
        """Bytes that wait before each urgent byte that waits, those bytes with them."""
        self.descriptor = transport.fileno()
        transport.doRead = self._read
        watch.add(self)

    def stop(self) -> None:
        """Notice no more. Once `connectionLost` has been called at the latest."""
        self._watch.remove(self)
        self._socket.stop()
        if vars(self._transport).get("doRead") == self._read:
            del self._transport.doRead

    def look(self) -> None:
        """From the watch: an urgent byte may have come."""
        if not (self._is_over or self._transport.disconnecting):
            self._socket.look()

    def discard(self) -> int:
        """See `UrgentSocket.discard`."""
        return self._socket.discard()

    @property
    def ahead(self) -> int:
        """See `UrgentSocket.ahead`."""
        return self._socket.ahead

    def peek(self, most: int) -> bytes:
        """See `UrgentSocket.peek`."""
        return self._socket.peek(most)

    @property
    def is_coming(self) -> bool:
        """See `UrgentSocket.is_coming`. Nothing wakes us for this: who does not read looks."""
        return self._socket.is_coming

    def send(self, byte: bytes = BYTE) -> None:
        """Send an urgent byte behind all that was written."""
        transport = self._transport
        if self._is_over or transport._writeDisconnected:
            return
        if not self._waiting:
            try:
                if self._socket.send(byte):
                    return
            except OSError:
                return  # a read will tell
        getattr(transport, "keep", transport.write)(byte)
        self._marks.append(self._waiting)
        transport.writeSomeData = self._write_some

    def _tell(self, byte: bytes) -> None:
        # what this raises must end the connection, not the watch, nor pass for the kernel's
        try:
            self._told(byte)
        except BaseException:  # noqa: BLE001 - as Twisted: it ends that connection
            _log.failure("an urgent byte was not received well")
            self._transport.abortConnection()

    @property
    def _is_over(self) -> bool:
        return not self._transport.connected or self._transport._aborting

    @property
    def _waiting(self) -> int:
        transport = self._transport
        return int(len(transport.dataBuffer) - transport.offset + transport._tempDataLen)

    def _read(self) -> Any:
        """In place of the transport's `doRead`."""
        transport = self._transport
        if transport.disconnecting:
            return None  # Twisted's own reactors do not see that it was closed in this very pass
        try:
            data = self._socket.read(transport.bufferSize)
        except BlockingIOError:
            return None
        except OSError:
            return main.CONNECTION_LOST
        return None if data is None else transport._dataReceived(data)

    def _write_some(self, data: Any) -> Any:
        """In place of the transport's `writeSomeData`, while an urgent byte waits."""
        before = self._marks[0] - 1
        if before:
            sent = type(self._transport).writeSomeData(self._transport, memoryview(data)[:before])
            if not isinstance(sent, int) or sent < 0:
                return sent
        else:
            try:
                sent = int(self._socket.send(bytes(data[:1])))
            except OSError:
                return main.CONNECTION_LOST
        self._marks = [left for mark in self._marks if (left := mark - sent)]
        if not self._marks:
            del self._transport.writeSomeData
        return sent
