"""Urgent data of the client's connections, over real sockets."""

from __future__ import annotations

import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from fcntl import ioctl
from pathlib import Path

import pytest_twisted
from attrs import define, field

from sockd.client.asking import Asking
from sockd.client.net.channels import SocketChannel
from sockd.client.net.dial import dial
from sockd.client.net.streams import Stream, unacknowledged
from sockd.client.net.urgent import MOST_AHEAD, UrgentChannel
from sockd.client.targets import Target, Transport
from sockd.testing.running import running_reactor, until
from tests.client.peers import Server, call, serving

MUCH = 8_000_000
"""Bytes: more than both kernels hold."""
SIOCATMARK = 0x8905


@define(eq=False)
class Both:
    """A connection of the client's, and the plain socket at its other end."""

    stream: Stream
    other: socket.socket
    told: list[bytes] = field(factory=list)
    """Urgent bytes that the client was told of."""
    got: bytearray = field(factory=bytearray)
    """What has come to the other end."""
    marks: list[int] = field(factory=list)
    """Where in that urgent bytes stand."""

    @property
    def channel(self) -> UrgentChannel:
        """The client's."""
        found = self.stream.channel
        assert isinstance(found, UrgentChannel)
        return found

    def take(self) -> int:
        """Read at the other end, in whose stream urgent bytes stay; how much is there."""
        try:
            self.other.recv(1, socket.MSG_PEEK)
            (is_at_mark,) = struct.unpack("i", ioctl(self.other, SIOCATMARK, bytes(4)))
            if is_at_mark:
                self.marks.append(len(self.got))
            self.got += self.other.recv(1 if is_at_mark else 65_536)
        except BlockingIOError:
            pass
        return len(self.got)

    def say(self, data: bytes) -> None:
        """Send from the other end."""
        self.other.setblocking(True)
        self.other.sendall(data)
        self.other.setblocking(False)

    def mark(self, byte: bytes = b"!") -> None:
        """Send an urgent byte from there."""
        assert self.other.send(byte, socket.MSG_OOB) == 1


@asynccontextmanager
async def connected() -> AsyncIterator[Both]:
    """Both ends."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        stream = await call(listening.getsockname()[1], has_urgent=True)
        other, _ = listening.accept()
        with other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)
            other.setblocking(False)
            both = Both(stream, other)
            both.channel.on_urgent = both.told.append
            yield both
            stream.close()


# sending


@pytest_twisted.ensureDeferred
async def test_an_urgent_byte_goes_out_at_once_where_nothing_waits() -> None:
    async with connected() as both:
        both.stream.write(b"before")
        both.channel.send_urgent(b"?")
        both.stream.write(b"after")
        await until(lambda: both.take() == 12)
        assert (bytes(both.got), both.marks) == (b"before?after", [6])


@pytest_twisted.ensureDeferred
async def test_an_urgent_byte_stands_behind_all_that_was_written_and_before_what_follows() -> None:
    async with connected() as both:
        both.stream.write(b"x" * MUCH)
        assert both.stream.waiting
        both.channel.send_urgent()
        both.stream.write(b"after")
        await until(lambda: both.take() == MUCH + 6)
        await both.stream.drained()
        assert both.got == b"x" * MUCH + b"!after"
        assert both.marks == [MUCH]


@pytest_twisted.ensureDeferred
async def test_little_is_ahead_of_an_urgent_byte_in_the_kernel() -> None:
    async with connected() as both:
        both.stream.write(bytes(MUCH))
        # what has not been acknowledged was not sent: there is no room at the other end
        await until(lambda: unacknowledged(both.channel.socket) >= MOST_AHEAD)
        assert unacknowledged(both.channel.socket) <= 4 * MOST_AHEAD


@pytest_twisted.ensureDeferred
async def test_each_of_several_that_wait_is_urgent_in_its_place() -> None:
    async with connected() as both:
        both.stream.write(b"x" * MUCH)
        both.channel.send_urgent()
        both.stream.write(b"y" * MUCH)
        both.channel.send_urgent()
        await until(lambda: both.take() == 2 * MUCH + 2)
        # of two that are on their way at once the kernel knows the last one's place alone
        assert both.marks[-1] == 2 * MUCH + 1
        assert both.got == b"x" * MUCH + b"!" + b"y" * MUCH + b"!"


@pytest_twisted.ensureDeferred
async def test_after_the_end_no_urgent_byte_is_sent() -> None:
    async with connected() as both:
        both.stream.finish()
        both.channel.send_urgent()
        both.stream.close()
        both.channel.send_urgent()
        both.channel.look()
        await until(lambda: both.other.recv(10) == b"")


# noticing


@pytest_twisted.ensureDeferred
async def test_an_urgent_byte_alone_is_told_and_is_no_data() -> None:
    async with connected() as both:
        both.mark(b"?")
        await until(lambda: both.told)
        both.say(b"data")
        assert await both.stream.read() == b"data"
        assert both.told == [b"?"]


@pytest_twisted.ensureDeferred
async def test_an_urgent_byte_is_told_though_nothing_is_read() -> None:
    async with connected() as both:
        both.stream.pause()
        both.say(b"before")
        both.mark()
        both.say(b"after")
        await until(lambda: both.told)
        both.stream.resume()
        assert await both.stream.read_exactly(11) == b"beforeafter"
        assert both.told == [b"!"]


@pytest_twisted.ensureDeferred
async def test_what_came_before_the_mark_can_be_dropped_and_no_more() -> None:
    async with connected() as both:
        dropped: list[int] = []
        both.channel.on_urgent = lambda _: dropped.append(both.channel.discard())
        both.stream.pause()
        both.say(b"x" * 1000)
        both.mark()
        both.say(b"after")
        await until(lambda: dropped)
        both.stream.resume()
        assert await both.stream.read_exactly(5) == b"after"
        assert dropped == [1000]
        both.mark()  # with nothing before it
        await until(lambda: len(dropped) == 2)
        both.say(b"and on")
        assert await both.stream.read() == b"and on"
        assert dropped == [1000, 0]


@pytest_twisted.ensureDeferred
async def test_an_urgent_byte_right_before_the_end_is_told_before_it() -> None:
    async with connected() as both:
        both.stream.pause()
        both.say(b"data")
        both.mark()
        both.other.close()
        await until(lambda: both.told)
        both.stream.resume()
        assert await both.stream.read_all(100) == b"data"


# where there is none


@pytest_twisted.ensureDeferred
async def test_only_tcp_without_tls_has_it_and_only_on_request(tmp_path: Path) -> None:
    async with serving(Server()) as server:
        stream = await call(server.port)
        assert type(stream.channel) is SocketChannel
        stream.close()
    async with serving(Server(), path=str(tmp_path / "it")):
        target = Target(Transport.UNIX, path=str(tmp_path / "it"))
        stream = await dial(running_reactor(), target, Asking(wait=30.0), has_urgent=True)
        assert type(stream.channel) is SocketChannel
        stream.close()
