"""Descriptors that go with the bytes of a local stream."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.error import (
    ConnectionDone,
    FileDescriptorOverrun,
)
from twisted.internet.interfaces import IFileDescriptorReceiver
from twisted.internet.protocol import Factory
from twisted.internet.threads import deferToThread
from zope.interface import implementer

from sockd.testing.sockets import Connection
from tests.helpers import until
from tests.memory import REACTOR
from tests.reactor.streams import Keeping, dialled, listening, turns


@implementer(IFileDescriptorReceiver)
class Receiving(Keeping):
    """Takes descriptors."""

    def __init__(self) -> None:
        super().__init__()
        self.descriptors: list[int] = []

    def fileDescriptorReceived(self, descriptor: int) -> None:
        self.descriptors.append(descriptor)


@pytest_twisted.ensureDeferred
async def test_descriptors_come_over_a_local_connection_in_order(tmp_path: Path) -> None:
    async with listening(Receiving, f"{tmp_path}/service") as port:
        with dialled(port.address) as peer, (tmp_path / "one").open("wb") as one:
            with (tmp_path / "two").open("wb") as two:
                socket.send_fds(peer, [b"x"], [one.fileno(), two.fileno()])
            protocol = await port.first()
            await until(lambda: protocol.received)
        await until(lambda: protocol.lost)
    names = []
    for descriptor in protocol.descriptors:
        names.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        os.close(descriptor)
    assert names == ["one", "two"]


@pytest_twisted.ensureDeferred
async def test_descriptors_that_nobody_asked_for_are_closed(tmp_path: Path) -> None:
    async with listening(Keeping, f"{tmp_path}/service") as port:
        with dialled(port.address) as peer:
            reader, writer = os.pipe()
            socket.send_fds(peer, [b"x"], [writer])
            os.close(writer)
            protocol = await port.first()
            await until(lambda: protocol.received)
            # the end of the pipe comes when nobody has its other end
            assert await deferToThread(os.read, reader, 1) == b""
            os.close(reader)
        await until(lambda: protocol.lost)


@pytest_twisted.ensureDeferred
async def test_a_descriptor_goes_with_each_byte_that_is_written(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"hello")

    class Sending(Keeping):
        def dataReceived(self, data: bytes) -> None:
            with file.open("rb") as opened:
                self.duplicates = [os.dup(opened.fileno()) for _ in range(3)]
            for descriptor in self.duplicates:
                self.wire.sendFileDescriptor(descriptor)
            self.wire.write(b"abcdef")

    def receive(peer: socket.socket) -> tuple[bytes, list[int]]:
        received, descriptors = b"", []
        while len(received) < 6:
            data, some, *_ = socket.recv_fds(peer, 6, 3)
            received += data
            descriptors += some
        return received, descriptors

    async with listening(Sending, f"{tmp_path}/service") as port:
        with dialled(port.address) as peer:
            peer.send(b"?")
            received, descriptors = await deferToThread(receive, peer)
        protocol = await port.first()
        await until(lambda: protocol.lost)
    assert received == b"abcdef"
    assert [os.pread(one, 5, 0) for one in descriptors] == [b"hello"] * 3
    for descriptor in (*descriptors, *protocol.duplicates):
        os.close(descriptor)


@pytest_twisted.ensureDeferred
async def test_a_client_sends_a_descriptor_over_a_local_connection(tmp_path: Path) -> None:
    class Giving(Keeping):
        def connectionMade(self) -> None:
            self.wire.sendFileDescriptor(0)
            self.wire.write(b"x")

    async with listening(Receiving, f"{tmp_path}/service") as port:
        client = await UNIXClientEndpoint(REACTOR, port.address).connect(
            Factory.forProtocol(Giving)
        )
        protocol = await port.first()
        await until(lambda: protocol.received)
        client.wire.loseConnection()
        await until(lambda: protocol.lost and client.lost)
    assert (protocol.received, len(protocol.descriptors)) == (b"x", 1)
    os.close(protocol.descriptors[0])


@pytest.mark.uvloop
@pytest_twisted.ensureDeferred
async def test_a_descriptor_waits_for_a_byte_that_is_written_later(tmp_path: Path) -> None:
    """Whatever else happens to the connection meanwhile; a byte never leaves without it."""

    class Waiting(Keeping):
        def dataReceived(self, data: bytes) -> None:
            super().dataReceived(data)
            self.wire.sendFileDescriptor(0)
            self.wire.unregisterProducer()

    async with listening(Waiting, f"{tmp_path}/service") as port:
        with dialled(port.address) as peer:
            peer.send(b"?")
            protocol = await port.first()
            await until(lambda: protocol.received)
            await turns(3)
            assert not protocol.lost
            protocol.wire.unregisterProducer()
            protocol.wire.write(b"x")
            data, descriptors, *_ = await deferToThread(socket.recv_fds, peer, 10, 3)
        await until(lambda: protocol.lost)
    assert (data, len(descriptors)) == (b"x", 1)
    os.close(descriptors[0])


@pytest_twisted.ensureDeferred
async def test_descriptors_wait_for_a_peer_that_does_not_read_yet(tmp_path: Path) -> None:
    class Full(Keeping):
        def dataReceived(self, data: bytes) -> None:
            super().dataReceived(data)
            self.filled = 0
            with suppress(BlockingIOError):
                while True:
                    self.filled += self.wire.getHandle().send(bytes(4096), socket.MSG_DONTWAIT)
            self.wire.sendFileDescriptor(0)
            self.wire.write(b"abc")
            self.wire.loseConnection()

    def receive(peer: socket.socket, size: int) -> tuple[bytes, int]:
        received, count = b"", 0
        while len(received) < size:
            data, descriptors, *_ = socket.recv_fds(peer, size, 3)
            received += data
            count += len(descriptors)
            for descriptor in descriptors:
                os.close(descriptor)
        return received.lstrip(b"\0"), count

    async with listening(Full, f"{tmp_path}/service") as port:
        with dialled(port.address) as peer:
            peer.send(b"?")
            protocol = await port.first()
            await until(lambda: protocol.received)
            await turns(20)
            assert not protocol.lost
            assert await deferToThread(receive, peer, protocol.filled + 3) == (b"abc", 1)
            await until(lambda: protocol.lost)
    assert protocol.lost.check(ConnectionDone)


@pytest_twisted.ensureDeferred
async def test_more_descriptors_than_bytes_end_the_connection(tmp_path: Path) -> None:
    class Overrunning(Keeping):
        def dataReceived(self, data: bytes) -> None:
            self.wire.sendFileDescriptor(0)
            self.wire.sendFileDescriptor(0)
            self.wire.write(b"x")

    async with listening(Overrunning, f"{tmp_path}/service") as port:
        with Connection(port.address) as peer:
            peer.send(b"?")
            protocol = await port.first()
            await until(lambda: protocol.lost)
    assert protocol.lost.check(FileDescriptorOverrun)
