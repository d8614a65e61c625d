"""A datagram port that no datagram can stop: at most 32 a turn, and no errno closes it.

Twisted's own port reads until it has 262,144 bytes, so empty datagrams hold the reactor for ever,
cuts at 8192 bytes, and closes for good at an errno it does not know. This one serves any reactor
that has `addReader`, on a socket that is already bound. IPv4, IPv6 and Unix datagrams alike.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import sys
from collections import Counter
from contextlib import suppress
from typing import Any, Protocol

from twisted.internet import main
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.base import BasePort
from twisted.internet.interfaces import IAddress, IListeningPort, IReactorFDSet, ISystemHandle
from twisted.logger import Logger
from zope.interface import implementer

BATCH = 32
"""Datagrams read in one turn of the reactor, empty ones counted: timers and others go on."""
BATCH_BYTES = 65_536
"""Bytes after which a turn is over too: 32 of the longest datagrams can be work for a second."""
MAX_DATAGRAM = 65_535
"""Longest datagram that is taken whole: what UDP can carry. A longer Unix datagram is dropped."""
_IP_PKTINFO = getattr(socket, "IP_PKTINFO", 8)
_IPV6_RECVPKTINFO = getattr(socket, "IPV6_RECVPKTINFO", 49)
_IPV6_PKTINFO = getattr(socket, "IPV6_PKTINFO", 50)
_ANCILLARY_BYTES = 128
"""Room for what the kernel says beside a datagram: its destination, its sender's credentials."""

Address = tuple[str, int]
"""Where a datagram came from: host and port. A Unix peer is (path, 0), "" if it is unbound."""
Destination = tuple[int, int, bytes]
"""The address that was asked, as ancillary data: the answer leaves from it."""


class Receiver(Protocol):
    """What is told of datagrams: a Twisted `DatagramProtocol` has all of it."""

    def datagramReceived(self, datagram: bytes, addr: Any, /) -> None:
        """One datagram, and (host, port)."""

    def makeConnection(self, transport: Any, /) -> None:
        """The port is there."""

    def doStop(self) -> None:
        """The port is gone."""


@implementer(IListeningPort, ISystemHandle)
class DatagramPort(BasePort):
    """A bound datagram socket that feeds a `DatagramProtocol`.

    `counts` has what went wrong: `receive NAME` and `send NAME` by errno name, `dropped` (the
    kernel's buffer was full when sending), `truncated` (longer than `MAX_DATAGRAM`).
    While a datagram is being handed on, `asked` is the address it was sent to (where the socket has
    several), and `pid` and `uid` the process and the user who sent it (Unix sockets).
    """

    def __init__(self, sock: socket.socket, protocol: Receiver, reactor: IReactorFDSet) -> None:
        super().__init__(reactor)
        self.socket = sock
        self.protocol = protocol
        self.counts: Counter[str] = Counter()
        self.asked: Destination | None = None
        self.is_local = sock.family == socket.AF_UNIX
        self.pid: int | None = None
        self.uid: int | None = None
        self.last_error = ""
        self._tells_more = self.is_local or sock.family == socket.AF_INET6
        if not self.is_local and _ask_for_destination(sock):
            self._tells_more = True
        if self.is_local:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._log = Logger()

    def getHandle(self) -> socket.socket:
        """The socket."""
        return self.socket

    def fileno(self) -> int:
        """The socket's descriptor."""
        return self.socket.fileno()

    def getHost(self) -> IAddress:
        """Where it listens."""
        name = self.socket.getsockname()
        if self.is_local:
            return UNIXAddress(name)
        kind = IPv6Address if self.socket.family == socket.AF_INET6 else IPv4Address
        return kind("UDP", *name[:2])

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

    def loseConnection(self, connDone: Any = main.CONNECTION_DONE) -> None:
        """As `stopListening`: nothing waits to be sent."""
        self.stopReading()
        if self.connected:
            self.connectionLost(None)

    def connectionLost(self, reason: Any = None) -> None:
        """Close the socket and tell the protocol."""
        super().connectionLost(reason)
        self.connected = False
        self.protocol.doStop()
        self.socket.close()

    def logPrefix(self) -> str:
        """Whose log lines these are."""
        return type(self.protocol).__name__

    def doRead(self) -> None:
        """Hand on what waits, at most `BATCH` datagrams, none after `BATCH_BYTES`."""
        size = 0
        for _ in range(BATCH):
            if size >= BATCH_BYTES:
                return
            try:
                if self._tells_more:
                    data, sender = self._receive_message()
                else:
                    data, sender = self.socket.recvfrom(MAX_DATAGRAM)
            except BlockingIOError:
                return
            except OSError as error:
                if not self.connected:
                    return
                self.counts[f"receive {_errno_name(error)}"] += 1
                continue
            if data is None:
                self.counts["truncated"] += 1
                self.asked = self.pid = self.uid = None
                continue
            size += len(data)
            try:
                self.protocol.datagramReceived(data, sender)
            except Exception:  # noqa: BLE001 - a protocol's fault costs its datagram, not the port
                self._log.failure("error in {protocol}", protocol=self.logPrefix())
            self.asked = self.pid = self.uid = None
            if not self.connected:
                return

    def write(  # type: ignore[override]  # a FileDescriptor's write takes no address
        self, data: bytes, addr: Address, source: Destination | None = None
    ) -> bool:
        """Send one datagram, from the address that was asked; whether the kernel took it.

        `source` is an earlier `asked`, for an answer that is sent later. Never raises.
        """
        destination = source or self.asked
        try:
            if destination is not None:
                self.socket.sendmsg([data], [destination], 0, addr)
            else:
                self.socket.sendto(data, addr[0] if self.is_local else addr)
        except BlockingIOError:
            self.last_error = "the send buffer is full"
            self.counts["dropped"] += 1
            return False
        except OSError as error:
            self.last_error = error.strerror or str(error)
            self.counts[f"send {_errno_name(error)}"] += 1
            return False
        return True

    def _receive_message(self) -> tuple[bytes | None, Address]:
        """A datagram with what the kernel tells beside it; None for one that is cut off."""
        data, ancillary, flags, sender = self.socket.recvmsg(MAX_DATAGRAM, _ANCILLARY_BYTES)
        if ancillary:
            self._read_ancillary(ancillary)
        return (None if flags & socket.MSG_TRUNC else data), self._address(sender)

    def _address(self, sender: Any) -> Address:
        if self.is_local:
            path = sender or ""
            return (os.fsdecode(path), 0)  # bytes, where the name is outside the file system
        host, port = sender[:2]
        if len(sender) == 4 and sender[3] and "%" not in host:
            host = f"{host}%{sender[3]}"
        return (host, port)

    def _read_ancillary(self, ancillary: list[tuple[int, int, bytes]]) -> None:
        for level, kind, data in ancillary:
            if level == socket.IPPROTO_IP and kind == _IP_PKTINFO:
                # in_pktinfo: interface, local address (the one to answer from), header address
                _, local, _ = struct.unpack("=I4s4s", data[:12])
                self.asked = (level, kind, struct.pack("=I4s4s", 0, local, b"\0" * 4))
            elif level == socket.IPPROTO_IPV6 and kind == _IPV6_PKTINFO:
                # in6_pktinfo: address, interface; nothing can be sent from a group
                local = bytes(16) if data[0] == 0xFF else data[:16]
                self.asked = (level, kind, local + data[16:20])
            elif level == socket.SOL_SOCKET and kind == socket.SCM_CREDENTIALS:
                self.pid, self.uid, _ = struct.unpack("=iII", data[:12])
            elif level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                _close_all(data)


def _ask_for_destination(sock: socket.socket) -> bool:
    """On a wildcard address: have the kernel tell which address each datagram was sent to."""
    host = sock.getsockname()[0]
    if host not in ("0.0.0.0", "::") or not sys.platform.startswith("linux"):
        return False
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVPKTINFO, 1)
    else:
        sock.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
    return True


def _close_all(sent: bytes) -> None:
    """Close descriptors that came with a datagram: kept, they would use up the daemon's own."""
    for (descriptor,) in struct.iter_unpack("=i", sent):
        with suppress(OSError):  # closed all the same
            os.close(descriptor)


def _errno_name(error: OSError) -> str:
    return errno.errorcode.get(error.errno or 0, str(error.errno))
