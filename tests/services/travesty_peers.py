"""Clients of `travesty` that a test sends and reads by, over real connections."""

from __future__ import annotations

import fcntl
import socket
import struct
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from termios import FIONREAD
from typing import Any

from twisted.internet.task import deferLater

from sockd.daemon.instance import RunningInstance
from sockd.services.travesty import Stage
from sockd.testing.running import running_reactor
from sockd.testing.sockets import address_of, serve
from tests.helpers import until
from tests.net.urgent_wires import is_at_mark

TEXT = b"the cat sat on the mat. the dog sat on the cat.\r\nthe cat ran, and the dog sat.\r\n"
UNIQUE = len(set(TEXT.split()))
UPLOAD = b"DATA\r\n" + TEXT + b".\r\n"
ENDLESS = b"GENERATE 1000000000\r\n"
LISTEN = "tcp:0:interface=127.0.0.1"


async def turn() -> None:
    """Let the reactor have its turn."""
    await deferLater(running_reactor(), 0)


class Peer:
    """A client that sends what it likes, and reads when it likes; nothing of it waits.

    Urgent bytes stay in their place, and it is known where they are.
    """

    def __init__(self, instance: RunningInstance, buffer: int = 0) -> None:
        self.instance = instance
        self.socket = socket.socket()
        if buffer:
            for name in (socket.SO_SNDBUF, socket.SO_RCVBUF):
                self.socket.setsockopt(socket.SOL_SOCKET, name, buffer)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)
        self.socket.connect(address_of(instance.listeners[0]))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.came = bytearray()
        self.marks: list[int] = []
        """Where the urgent bytes are in what came."""
        self.heard = 0
        """How much of that a test has heard."""
        self.saw_end = False

    def send(self, data: bytes) -> None:
        assert self.socket.send(data) == len(data)

    def urge(self, data: bytes = b"!") -> None:
        """Send something whose last byte is urgent, in one go."""
        assert self.socket.send(data, socket.MSG_OOB) == len(data)

    async def send_all(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            with suppress(BlockingIOError):
                view = view[self.socket.send(view) :]
            await turn()

    def end(self) -> None:
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def read(self, most: int = 1 << 20) -> bool:
        """Take what is there; whether the end has come."""
        with suppress(BlockingIOError):
            while most > 0:
                (size,) = struct.unpack("i", fcntl.ioctl(self.socket, FIONREAD, bytes(4)))
                if not size:
                    if not self.socket.recv(1, socket.MSG_PEEK):
                        self.saw_end = True
                        break
                    continue  # it has come since
                if is_at_mark(self.socket):
                    self.marks.append(len(self.came))
                    size = 1
                data = self.socket.recv(min(size, most))
                self.came += data
                most -= len(data)
        return self.saw_end

    async def line(self) -> str:
        """The next line, no urgent byte in it."""

        def end() -> int:
            self.read()
            assert not self.saw_end or b"\r\n" in self.came[self.heard :], self.came[self.heard :]
            return self.came.find(b"\r\n", self.heard)

        await until(lambda: end() >= 0)
        start, self.heard = self.heard, end() + 2
        assert not [mark for mark in self.marks if start <= mark < self.heard]
        return self.came[start : self.heard - 2].decode()

    async def codes(self, *codes: int) -> str:
        """Lines of these codes and no others come next; returns the last one."""
        line = ""
        for code in codes:
            line = await self.line()
            assert line.startswith(f"{code} "), (codes, line)
        return line

    async def text(self) -> list[bytes]:
        """The words of a text to its end, no urgent byte in it."""
        words: list[bytes] = []
        await self.codes(203)
        while (line := await self.line()) != ".":
            words += line.encode().split()
        return words

    async def mark(self) -> bytes:
        """What comes before the next urgent byte, which is `!`."""
        start = self.heard

        def places() -> list[int]:
            self.read()
            return [mark for mark in self.marks if mark >= start]

        await until(places)
        place = places()[0]
        assert self.came[place : place + 1] == b"!"
        self.heard = place + 1
        return bytes(self.came[start:place])

    async def in_step(self) -> None:
        """The next answer is the one to the next question."""
        for _ in range(2):
            self.send(b"what?\r\n")
            assert "commands: DATA" in await self.codes(500)

    async def bye(self) -> None:
        """Nothing else came: the next command is answered, and the end follows."""
        await self.in_step()
        self.send(b"bye\r\n")
        await self.codes(204)
        await self.nothing_more()

    async def nothing_more(self) -> None:
        """The end is what comes next."""
        await until(self.read)
        assert not self.came[self.heard :]

    async def learn(self, text: bytes = TEXT) -> str:
        """Upload a text that is longer than what the kernel holds, or shorter."""
        await self.send_all(b"DATA\r\n" + text + b".\r\n")
        await self.codes(201)
        return await self.line()

    @property
    def session(self) -> Any:
        """The service's side of the only connection."""
        [found] = self.instance.context.guard.sessions
        return found

    async def until_stage(self, stage: Stage) -> Any:
        await until(lambda: self.session._stage is stage)
        return self.session


@asynccontextmanager
async def served(**table: Any) -> AsyncIterator[RunningInstance]:
    """An instance, after which nothing of its clients is left."""
    async with serve("travesty", LISTEN, **table) as instance:
        yield instance
        await until_nothing_is_left(instance)


@contextmanager
def busy_threads() -> Iterator[None]:
    """All threads of the pool have other things to do: texts wait to be sorted."""
    pool, is_over = running_reactor().getThreadPool(), threading.Event()
    try:
        for _ in range(pool.max):
            pool.callInThread(is_over.wait)
        yield
    finally:
        is_over.set()


async def until_nothing_is_left(instance: RunningInstance) -> None:
    guard, watch, desk = instance.guard, instance.context.world.urgent, instance.context.shared
    await until(lambda: not guard.sessions)
    await until(lambda: not desk._sorted)
    assert (desk._taken, desk._texts) == (0, {})
    assert not guard.counts["errors"]
    assert not watch._watched
    assert watch.fileno() == -1


@asynccontextmanager
async def joined(buffer: int = 0, **table: Any) -> AsyncIterator[Peer]:
    """A client of an instance, greeted."""
    async with served(**table) as instance:
        peer = Peer(instance, buffer)
        with peer.socket:
            await peer.codes(100)
            yield peer
