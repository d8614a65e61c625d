"""Twisted on its stock reactor, by its documentation: `twisted_peer.py KIND`."""

import os
import sys
from pathlib import Path
from time import ctime
from typing import Any

from twisted.internet import reactor as installed
from twisted.internet.interfaces import ITransport, IUDPTransport
from twisted.internet.protocol import DatagramProtocol, Factory, Protocol
from twisted.internet.ssl import PrivateCertificate
from twisted.protocols.basic import LineOnlyReceiver


class Echo(Protocol):
    """Bytes back."""

    transport: ITransport

    def dataReceived(self, data: bytes) -> None:
        self.transport.write(data)


class Reverse(LineOnlyReceiver):
    """Lines back, reversed."""

    def lineReceived(self, line: bytes) -> None:
        self.sendLine(line[::-1])


class Daytime(Protocol):
    """The time, then the end."""

    transport: ITransport

    def connectionMade(self) -> None:
        self.transport.write(ctime().encode() + b"\r\n")
        self.transport.loseConnection()


class UDPEcho(DatagramProtocol):
    """Datagrams back."""

    transport: IUDPTransport

    def datagramReceived(self, datagram: bytes, addr: tuple[str, int]) -> None:
        self.transport.write(datagram, addr)


PROTOCOLS = {"reverse": Reverse, "daytime": Daytime}

kind = sys.argv[1]
reactor: Any = installed
factory = Factory.forProtocol(PROTOCOLS.get(kind, Echo))
if kind == "udp-echo":
    port = reactor.listenUDP(0, UDPEcho(), interface="127.0.0.1")
elif kind == "tls-echo":
    certificate = PrivateCertificate.loadPEM(Path(os.environ["CERTIFICATE"]).read_text())
    port = reactor.listenSSL(0, factory, certificate.options(), interface="127.0.0.1")
else:
    port = reactor.listenTCP(0, factory, interface="127.0.0.1")
print(port.getHost().port, flush=True)
reactor.run()
