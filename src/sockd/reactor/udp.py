"""What `listenUDP` of our reactor returns: Twisted's own port, read and answered in batches."""

from __future__ import annotations

import errno
import socket
from typing import Any

from twisted.internet import udp
from twisted.internet.error import UnsupportedAddressFamily

from sockd.reactor import sockaddr
from sockd.reactor.datagram import Turns, wanted
from sockd.reactor.sockaddr import Address
from sockd.reactor.wire import open_wire

LONGEST = {socket.AF_INET: 65_507, socket.AF_INET6: 65_527}
"""Bytes of data that one UDP datagram can carry: 65,535 less the headers (RFC 768, RFC 8200)."""


class UDPPort(Turns, udp.MulticastPort):
    """A port that a reactor's `listenUDP` and `listenMulticast` return, as Twisted's own is.

    What a protocol writes while a datagram is handed on is sent at the end of the pass; what the
    kernel then says is counted and not raised.
    """

    def _bindSocket(self) -> None:
        super()._bindSocket()
        self._wire = open_wire(self.socket, self._receive_failed, True, wanted(self.protocol))

    def write(self, datagram: bytes, addr: Address | None = None) -> None:
        """Send one datagram; without an address where the port is connected.

        Raises InvalidAddressError, MessageLengthError; OSError where it is sent at once.
        """
        if addr is not None and self._can_wait(datagram, addr):
            self._collect(datagram, addr, None)
        else:
            self._flush()
            super().write(datagram, addr)

    def _can_wait(self, datagram: object, addr: Address) -> bool:
        """Whether it is sent at the end of the pass; nothing of it is to be raised."""
        if self._written is None or self._connectedAddr or not isinstance(datagram, bytes):
            return False
        try:
            sockaddr.WRITE[self.addressFamily](addr)
        except (OSError, TypeError, ValueError):
            return False
        return len(datagram) <= LONGEST[self.addressFamily]

    def _receive_failed(self, error: OSError) -> None:
        if self._connectedAddr and error.errno == errno.ECONNREFUSED:
            self.protocol.connectionRefused()


class DatagramReactor:
    """The part of a reactor that makes datagram ports: mix it into one that has `addReader`."""

    def listenUDP(
        self, port: int, protocol: Any, interface: str = "", maxPacketSize: int = 8192
    ) -> UDPPort:
        """Listen on UDP. Raises CannotListenError."""
        return self.listenMulticast(port, protocol, interface, maxPacketSize)

    def listenMulticast(
        self,
        port: int,
        protocol: Any,
        interface: str = "",
        maxPacketSize: int = 8192,
        listenMultiple: bool = False,
    ) -> UDPPort:
        """Listen on UDP, for multicast groups too. Raises CannotListenError."""
        reactor: Any = self
        return _started(UDPPort(port, protocol, interface, maxPacketSize, reactor, listenMultiple))

    def adoptDatagramPort(
        self, fileDescriptor: int, addressFamily: int, protocol: Any, maxPacketSize: int = 8192
    ) -> UDPPort:
        """Listen on a UDP socket that is bound already."""
        if addressFamily not in sockaddr.SIZE:
            raise UnsupportedAddressFamily(addressFamily)
        return _started(
            UDPPort._fromListeningDescriptor(
                self, fileDescriptor, addressFamily, protocol, maxPacketSize
            )
        )


def _started(port: UDPPort) -> UDPPort:
    port.startListening()
    return port
