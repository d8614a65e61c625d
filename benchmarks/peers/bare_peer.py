"""What sockd's services do, on sockd's reactor, without its guards: `bare_peer.py KIND`.

No limit, no counter, no timeout, no log, no back-pressure: the same answers from the least that
Twisted can make of them. What the guards cost is the distance to this.
"""

import sys
from time import time
from typing import Any

from twisted.application.reactors import installReactor
from twisted.internet.interfaces import ITransport, IUDPTransport
from twisted.internet.protocol import DatagramProtocol, Factory, Protocol

from sockd.formats.clock import Zone
from sockd.services.daytime import daytime
from sockd.services.reverse import reverse_block


class Echo(Protocol):
    """Bytes back."""

    transport: ITransport

    def dataReceived(self, data: bytes) -> None:
        self.transport.write(data)


class Reverse(Protocol):
    """Lines back, reversed, a chunk at a time."""

    transport: ITransport
    rest = b""

    def dataReceived(self, data: bytes) -> None:
        lines, end, self.rest = (self.rest + data).rpartition(b"\n")
        if end:
            self.transport.write(reverse_block(lines + end))


class Daytime(Protocol):
    """The time, then the end."""

    transport: ITransport
    zone = Zone("")

    def connectionMade(self) -> None:
        self.transport.write(daytime(time(), self.zone))
        self.transport.loseConnection()


class UDPEcho(DatagramProtocol):
    """Datagrams back."""

    transport: IUDPTransport

    def datagramReceived(self, datagram: bytes, addr: tuple[str, int]) -> None:
        self.transport.write(datagram, addr)


PROTOCOLS = {"reverse": Reverse, "daytime": Daytime}

kind = sys.argv[1]
reactor: Any = installReactor("uvloop")
if kind == "udp-echo":
    port = reactor.listenUDP(0, UDPEcho(), interface="127.0.0.1")
else:
    factory = Factory.forProtocol(PROTOCOLS.get(kind, Echo))
    port = reactor.listenTCP(0, factory, interface="127.0.0.1")
print(port.getHost().port, flush=True)
reactor.run()
