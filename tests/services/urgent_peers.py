"""Clients of `urgent` that a test sends and reads by, over real connections."""

from __future__ import annotations

import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from twisted.internet.task import deferLater

from sockd.daemon.instance import RunningInstance
from sockd.services.urgent import MOST_READ
from sockd.testing.running import running_reactor
from sockd.testing.sockets import address_of, serve
from tests.contract.samples import reported
from tests.helpers import until

BUFFER = 32 * 1024
"""Bytes of the kernel's, so that who does not read is soon full."""
LONGEST_REPORT = 4 * MOST_READ + len(b"got 1024 bytes of normal data: \r\n")


async def turn() -> None:
    """Let the reactor have its turn."""
    await deferLater(running_reactor(), 0)


def small(sock: socket.socket) -> None:
    """Give it small buffers."""
    for name in (socket.SO_SNDBUF, socket.SO_RCVBUF):
        sock.setsockopt(socket.SOL_SOCKET, name, BUFFER)


class Peer:
    """A client that sends what it likes, and reads when it likes; nothing of it waits."""

    def __init__(self, instance: RunningInstance) -> None:
        self.instance = instance
        [listener] = instance.listeners
        self.socket = socket.socket()
        small(self.socket)
        self.socket.connect(address_of(listener))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.came = b""
        self.saw_end = False

    def send(self, data: bytes) -> None:
        assert self.socket.send(data) == len(data)

    def send_urgent(self, byte: bytes = b"!") -> None:
        assert self.socket.send(byte, socket.MSG_OOB) == 1

    def end(self) -> None:
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def read(self) -> None:
        with suppress(BlockingIOError):
            while data := self.socket.recv(65536):
                self.came += data
            self.saw_end = True

    @property
    def lines(self) -> list[str]:
        """The reports that have come."""
        self.read()
        return self.came.decode().split("\r\n")[:-1]

    async def until_reports(self, count: int) -> list[str]:
        await until(lambda: len(self.lines) >= count)
        return self.lines

    async def until_end(self) -> list[str]:
        """All reports, to the end."""
        await until(self.has_ended)
        return self.lines

    def has_ended(self) -> bool:
        """Whether the service has ended its half, and all of it has come."""
        self.read()
        return self.saw_end

    async def until_told(self, ordinary: bytes) -> None:
        """Until the service has told of so much ordinary data."""
        await until(lambda: told(self.lines)[0].replace(b"!", b"") == ordinary)

    @property
    def session(self) -> Any:
        """The service's side of it."""
        [found] = self.instance.context.guard.sessions
        return found

    async def until_there(self) -> Any:
        """The service's side of it, once it is there, with small buffers."""
        await until(lambda: self.instance.context.guard.sessions)
        small(self.session.transport.getHandle())
        return self.session


@asynccontextmanager
async def served(listen: str = "tcp:0:interface=127.0.0.1", **table: Any) -> AsyncIterator[Peer]:
    """A client of an instance; it is over without a fault, and nothing is watched any more."""
    async with serve("urgent", listen, **table) as instance:
        peer = Peer(instance)
        with peer.socket:
            yield peer
        guard, watch = instance.context.guard, instance.context.world.urgent
        await until(lambda: not guard.sessions)
        assert not guard.counts["errors"]
        assert not watch._watched
        assert watch.fileno() == -1


def told(lines: list[str]) -> tuple[bytes, bytes]:
    """The ordinary data and the urgent bytes of reports."""
    normal, urgent_bytes = reported("".join(f"{line}\r\n" for line in lines).encode())
    return normal, urgent_bytes
