"""Ports on the running reactor, what they make, and plain sockets as their clients."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Any

from twisted.internet.protocol import Factory, Protocol

from tests.helpers import until
from tests.memory import REACTOR
from tests.processes import PATIENCE

MEGABYTE = 2**20
TEXT = bytes(range(256)) * (8 * MEGABYTE // 256)
"""More than the kernel takes at once; what is lost or out of order shows."""


class Keeping(Protocol):
    """Keeps what it sees."""

    def __init__(self) -> None:
        self.received = b""
        self.lost: Any = None

    @property
    def wire(self) -> Any:
        """The transport, of whatever kind."""
        return self.transport

    def dataReceived(self, data: bytes) -> None:
        self.received += data

    def connectionLost(self, reason: Any = None) -> None:
        self.lost = reason


class Echo(Keeping):
    """Sends back."""

    def dataReceived(self, data: bytes) -> None:
        super().dataReceived(data)
        self.wire.write(data)


class Port:
    """A port on the running reactor, and the protocols that it has made."""

    def __init__(self, make: Callable[[], Any], where: str) -> None:
        self.protocols: list[Any] = []
        self._make = make
        factory = Factory.forProtocol(self._made)
        if "/" in where or "\0" in where:
            self.port = REACTOR.listenUNIX(where, factory)
            self.address: Any = where
        else:
            self.port = REACTOR.listenTCP(0, factory, interface=where)
            self.address = (where, self.port.getHost().port)

    def _made(self) -> Any:
        self.protocols.append(self._make())
        return self.protocols[-1]

    async def first(self) -> Any:
        """The first of the protocols, once it is connected."""
        await until(lambda: self.protocols and self.protocols[0].transport)
        return self.protocols[0]


@asynccontextmanager
async def listening(make: Callable[[], Any], where: str = "127.0.0.1") -> AsyncIterator[Port]:
    """A port: at an IP address, or with the path or the abstract name of a Unix socket."""
    port = Port(make, where)
    try:
        yield port
    finally:
        await port.port.stopListening()


@contextmanager
def dialled(address: Any, name: str | bytes = "") -> Iterator[socket.socket]:
    """A client's socket, perhaps with a name of its own."""
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    if family == socket.AF_INET and ":" in address[0]:
        family = socket.AF_INET6
    with socket.socket(family) as sock:
        sock.settimeout(PATIENCE)
        if name:
            sock.bind(name)
        sock.connect(address)
        yield sock


def next_turn(call: Callable[[], object]) -> None:
    """Have something called in the next turn of the reactor, in each turn once."""
    loop = getattr(REACTOR, "_asyncioEventloop", None)
    soon = partial(REACTOR.callLater, 0) if loop is None else loop.call_soon
    soon(call)


async def turns(count: int) -> None:
    """So many turns of the reactor."""
    done = 0

    def turn() -> None:
        nonlocal done
        done += 1
        if done < count:
            next_turn(turn)

    turn()
    await until(lambda: done == count)
