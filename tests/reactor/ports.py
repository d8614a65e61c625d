"""Datagram ports on real sockets, read when the test says so."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from attrs import frozen
from twisted.internet.protocol import DatagramProtocol

from sockd.reactor.datagram import DatagramPort
from tests.helpers import PATIENCE
from tests.memory import Loop

LONGEST_UDP = 65_507
"""Bytes of the longest UDP datagram over IPv4."""


@frozen
class Heard:
    """A datagram, and what the port told beside it while it was handed on."""

    data: bytes
    sender: Any
    asked: Any
    uid: int | None


class Listens(DatagramProtocol):
    """Keeps what it hears, and then does what the test wants."""

    noisy = False

    def __init__(self, then: Callable[[bytes, Any], object] | None = None) -> None:
        self.heard: list[Heard] = []
        self.starts = self.stops = 0
        self._then = then

    def startProtocol(self) -> None:
        self.starts += 1

    def stopProtocol(self) -> None:
        self.stops += 1

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        port: Any = self.transport
        self.heard.append(Heard(datagram, addr, port.asked, port.uid))
        if self._then is not None:
            self._then(datagram, addr)


@contextmanager
def listening(sock: Any, protocol: Listens) -> Iterator[DatagramPort]:
    """A port that is read when the test says so."""
    port = DatagramPort(sock, protocol, Loop())  # type: ignore[arg-type]  # has what it needs
    port.startListening()
    try:
        yield port
    finally:
        port.stopListening()
        assert protocol.starts == protocol.stops == 1


def bound(
    address: Any, family: socket.AddressFamily = socket.AF_INET, v6_only: bool = True
) -> socket.socket:
    """A datagram socket: on a port that the kernel chooses, or a path."""
    sock = socket.socket(family, socket.SOCK_DGRAM)
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, v6_only)
    sock.bind(address)
    sock.settimeout(PATIENCE)
    return sock


def hear(port: DatagramPort, protocol: Listens, count: int) -> None:
    """Have the port read, as a reactor does, until the protocol has heard so much."""
    poll = select.poll()
    poll.register(port.socket, select.POLLIN)
    end = time.monotonic() + PATIENCE
    while len(protocol.heard) < count:
        assert poll.poll((end - time.monotonic()) * 1000), f"nothing within {PATIENCE} s"
        port.doRead()
    assert len(protocol.heard) == count
