"""Datagram ports on real sockets, read when the test says so."""

from __future__ import annotations

import errno
import select
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from attrs import frozen
from twisted.internet.protocol import DatagramProtocol

from sockd.reactor.ancillary import Told
from sockd.reactor.datagram import DatagramPort
from sockd.reactor.udp import UDPPort
from tests.memory import ASKER, Loop
from tests.processes import PATIENCE

PLAIN, WILDCARD = "127.0.0.1", "0.0.0.0"
"""A port on the second address also asks the kernel where each datagram was sent to."""
LONGEST_UDP = 65_507
"""Bytes of the longest UDP datagram over IPv4."""
RECEIVE_BUFFER = 4 * 1024 * 1024
"""Bytes that may wait at a port, as in the daemon."""
BOTH_WAYS = [pytest.param(True, id="in batches"), pytest.param(False, id="one by one")]
"""How a port may use its socket: what comes of it is the same."""


@frozen
class Heard:
    """A datagram, and what the port told beside it while it was handed on."""

    data: bytes
    sender: Any
    asked: Any
    uid: int | None
    told: Told | None = None


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
        self.heard.append(Heard(datagram, addr, port.asked, port.uid, port.told))
        if self._then is not None:
            self._then(datagram, addr)


@contextmanager
def listening(
    sock: Any, protocol: DatagramProtocol, in_batches: bool = True
) -> Iterator[DatagramPort]:
    """A port that is read when the test says so."""
    loop = Loop()
    port = DatagramPort(sock, protocol, loop, in_batches=in_batches)
    port.startListening()
    try:
        yield port
    finally:
        port.stopListening()
        assert not loop._readers
        assert not loop.getDelayedCalls()


def bound(
    address: Any, family: socket.AddressFamily = socket.AF_INET, v6_only: bool = True
) -> socket.socket:
    """A datagram socket: on a port that the kernel chooses, or a path."""
    sock = socket.socket(family, socket.SOCK_DGRAM)
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, v6_only)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
    sock.bind(address)
    sock.settimeout(PATIENCE)
    return sock


def hear(port: DatagramPort, protocol: Listens, count: int) -> None:
    """Have the port read, as a reactor does, until the protocol has heard so much."""
    poll = select.poll()
    poll.register(port.socket, select.POLLIN)
    end = time.monotonic() + PATIENCE
    while len(protocol.heard) < count:
        rest = port.reactor.getDelayedCalls()  # what was read already
        assert rest or poll.poll((end - time.monotonic()) * 1000), f"nothing within {PATIENCE} s"
        port.doRead()
    assert len(protocol.heard) == count


def delivered() -> None:
    """Wait for all that was sent over the loopback so far: it comes in order, but perhaps late."""
    with bound((PLAIN, 0)) as here:
        here.sendto(b"", here.getsockname())
        here.recv(1)


def read_when_ready(port: DatagramPort | UDPPort) -> None:
    """Have the port read once there is a datagram, or an error of one."""
    poll = select.poll()
    poll.register(port.socket, select.POLLIN)
    assert poll.poll(PATIENCE * 1000), f"nothing within {PATIENCE} s"
    port.doRead()


class ScriptedSocket:
    """A socket that gives and takes datagrams one by one, and fails when its script says so."""

    family = socket.AF_INET

    def __init__(self, host: str = PLAIN) -> None:
        self.host = host
        self.family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.arriving: deque[bytes | OSError] = deque()
        self.failing: deque[OSError] = deque()
        self.sent: list[bytes] = []
        self.beside: list[Any] = []
        self.sent_beside: list[Any] = []

    def recvmsg(self, size: int, room: int) -> tuple[bytes, list[Any], int, Any]:
        if not self.arriving:
            raise BlockingIOError(errno.EAGAIN, "nothing there")
        found = self.arriving.popleft()
        if isinstance(found, OSError):
            raise found
        asker = ("2001:db8::9", 50_009, 0, 0) if ":" in self.host else ASKER
        return found[:size], self.beside, 0, asker

    def sendto(self, data: bytes, to: Any) -> int:
        if self.failing:
            raise self.failing.popleft()
        self.sent.append(data)
        return len(data)

    def sendmsg(self, data: Sequence[bytes], ancillary: Any, flags: int, to: Any) -> int:
        self.sent_beside = ancillary
        return self.sendto(b"".join(data), to)

    def getsockname(self) -> tuple[str, int]:
        return (self.host, 2007)

    def setsockopt(self, level: int, name: int, value: Any) -> None:
        """Options change nothing here."""

    def setblocking(self, flag: bool) -> None:
        assert not flag

    def fileno(self) -> int:
        return -1

    def close(self) -> None:
        self.arriving.clear()


def send(port: DatagramPort, *datagrams: bytes) -> None:
    """Have them wait at the port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for data in datagrams:
            sender.sendto(data, ("127.0.0.1", port.socket.getsockname()[1]))
    delivered()


@contextmanager
def nobody() -> Iterator[Any]:
    """An address where nobody listens: it is taken, by a socket that hears itself alone."""
    with bound((PLAIN, 0)) as taken:
        taken.connect(taken.getsockname())
        yield taken.getsockname()


def turns(port: DatagramPort, protocol: Listens, count: int) -> list[int]:
    """How many datagrams each of so many turns hands on."""
    found = []
    for _ in range(count):
        before = len(protocol.heard)
        port.doRead()
        found.append(len(protocol.heard) - before)
    return found


def names(count: int) -> list[bytes]:
    """Datagrams that can be told from one another."""
    return [b"%d" % number for number in range(count)]
