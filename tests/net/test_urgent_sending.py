"""An urgent byte is sent where it was written, whatever waits; the receiver is a plain program."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

from sockd.net.urgent import UrgentWatch
from tests.helpers import held_by, until
from tests.memory import REACTOR
from tests.net.hearing import Hearing
from tests.net.urgent_wires import Plain
from tests.reactor.streams import MEGABYTE, TEXT, dialled, listening, turns

KERNEL_BYTES = 256 * 1024
"""What the kernel may hold at each end."""
PIECE = bytes(range(128)) * 512


@asynccontextmanager
async def sending() -> AsyncIterator[tuple[Hearing, Plain]]:
    """A connection on the reactor, and a plain program's end."""
    watch = UrgentWatch(REACTOR)
    async with listening(lambda: Hearing(watch)) as port:
        with dialled(port.address) as sock:
            sender = await port.first()
            # or else the kernel may have room for all that is written here
            sender.wire.getHandle().setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KERNEL_BYTES)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, KERNEL_BYTES)
            yield sender, Plain(sock)
        await until(lambda: port.protocols[0].lost)


async def comes(plain: Plain, expected: bytes, *, ends: bool = False) -> None:
    """Read until all of that has come."""
    await until(lambda: plain.read() >= len(expected) and (plain.has_ended or not ends))
    assert plain.data == expected


@pytest_twisted.ensureDeferred
async def test_where_nothing_waits_it_stands_between_what_was_written() -> None:
    async with sending() as (sender, plain):
        sender.wire.write(b"ab")
        sender.urgent.send()
        sender.wire.write(b"cd")
        await comes(plain, b"ab!cd")
        assert plain.marks == [2]


@pytest_twisted.ensureDeferred
async def test_it_stands_behind_what_waits() -> None:
    async with sending() as (sender, plain):
        sender.wire.write(TEXT)
        sender.urgent.send(b"?")
        sender.wire.write(b"after")
        assert held_by(sender.wire)
        await comes(plain, TEXT + b"?after")
        assert plain.marks == [len(TEXT)]
        # it goes on as if there had been nothing
        assert "writeSomeData" not in vars(sender.wire)
        sender.wire.write(b"more")
        await comes(plain, TEXT + b"?aftermore")


@pytest_twisted.ensureDeferred
async def test_it_stands_behind_what_was_written_in_part() -> None:
    async with sending() as (sender, plain):
        sender.wire.write(TEXT)
        await until(lambda: plain.read() > MEGABYTE)
        await until(lambda: sender.wire.offset)
        sender.urgent.send()
        sender.wire.write(b"after")
        await comes(plain, TEXT + b"!after")
        assert plain.marks == [len(TEXT)]


@pytest_twisted.ensureDeferred
async def test_several_that_wait_stand_in_their_places() -> None:
    async with sending() as (sender, plain):
        expected, places = b"", []
        for byte in (b"1", b"2", b"3"):
            for _ in range(2):  # those next to each other, too
                sender.wire.write(TEXT[:MEGABYTE])
                sender.urgent.send(byte)
                expected += TEXT[:MEGABYTE]
                places.append(len(expected))
                expected += byte
        await comes(plain, expected)
        # a mark counts no more when the next is known
        assert set(plain.marks) <= set(places)
        assert plain.marks[-1] == places[-1]


@pytest_twisted.ensureDeferred
async def test_several_next_to_each_other_come_as_bytes_and_the_last_is_urgent() -> None:
    async with sending() as (sender, plain):
        sender.wire.write(TEXT)
        for byte in (b"1", b"2", b"3"):
            sender.urgent.send(byte)
        await comes(plain, TEXT + b"123")
        assert plain.marks[-1] == len(TEXT) + 2


@pytest_twisted.ensureDeferred
async def test_where_the_kernel_has_no_room_it_waits() -> None:
    async with sending() as (sender, plain):
        count = 0
        with suppress(BlockingIOError):
            while True:
                count += sender.wire.getHandle().send(PIECE[: len(PIECE) // 2])
        sender.urgent.send()
        sender.wire.write(b"after")
        await until(lambda: plain.read() >= count + 6)
        assert plain.data[count:] == b"!after"
        assert plain.marks == [count]


@implementer(IPushProducer)
class Producer:
    """Writes while it may."""

    def __init__(self, sender: Hearing) -> None:
        self.sender = sender
        self.written = b""
        self.is_paused = False
        self.pieces = 300

    def resumeProducing(self) -> None:
        self.is_paused = False
        while self.pieces and not self.is_paused:
            self.pieces -= 1
            self.written += PIECE
            self.sender.wire.write(PIECE)

    def pauseProducing(self) -> None:
        self.is_paused = True

    def stopProducing(self) -> None:
        self.pieces = 0


@pytest_twisted.ensureDeferred
async def test_it_stands_behind_what_a_producer_wrote_before_it_was_paused() -> None:
    async with sending() as (sender, plain):
        producer = Producer(sender)
        sender.wire.registerProducer(producer, True)
        producer.resumeProducing()
        assert producer.is_paused
        await turns(40)  # ours pauses it where the kernel has no room, and nothing waits
        place = len(producer.written)
        sender.urgent.send()
        producer.written += b"!"
        await until(lambda: plain.read() and not producer.pieces)
        await comes(plain, producer.written)
        assert plain.marks == [place]
        sender.wire.unregisterProducer()


class Pulled(Producer):
    """Writes a piece when asked, and an urgent byte in the middle of all."""

    def resumeProducing(self) -> None:
        if not self.pieces:
            self.sender.wire.unregisterProducer()
            return
        self.pieces -= 1
        self.written += PIECE
        self.sender.wire.write(PIECE)
        if self.pieces == 100:
            self.sender.urgent.send()
            self.written += b"!"


@pytest_twisted.ensureDeferred
async def test_it_stands_behind_what_a_pull_producer_wrote() -> None:
    async with sending() as (sender, plain):
        producer = Pulled(sender)
        sender.wire.registerProducer(producer, False)
        await until(lambda: plain.read() and not producer.pieces)
        await comes(plain, producer.written)
        assert plain.marks == [200 * len(PIECE)]


LEAVE: dict[str, Callable[[Any], object]] = {
    "close": lambda wire: wire.loseConnection(),
    "end": lambda wire: wire.loseWriteConnection(),
}


@pytest.mark.parametrize("text", [TEXT, b"short"], ids=["much", "nothing waits"])
@pytest.mark.parametrize("leave", LEAVE)
@pytest_twisted.ensureDeferred
async def test_it_is_sent_though_the_connection_is_to_end_when_all_is_sent(
    leave: str, text: bytes
) -> None:
    async with sending() as (sender, plain):
        sender.wire.write(text)
        LEAVE[leave](sender.wire)
        sender.urgent.send()
        await comes(plain, text + b"!", ends=True)
        assert plain.marks == [len(text)]


@pytest.mark.parametrize("leave", LEAVE)
@pytest_twisted.ensureDeferred
async def test_it_is_sent_before_the_connection_is_told_to_end(leave: str) -> None:
    async with sending() as (sender, plain):
        sender.wire.write(TEXT)
        sender.urgent.send()
        LEAVE[leave](sender.wire)
        await comes(plain, TEXT + b"!", ends=True)
        assert plain.marks == [len(TEXT)]


@pytest_twisted.ensureDeferred
async def test_it_is_sent_though_urgent_bytes_are_noticed_no_more() -> None:
    async with sending() as (sender, plain):
        sender.wire.write(TEXT)
        sender.urgent.send()
        sender.urgent.stop()
        await comes(plain, TEXT + b"!")
        assert plain.marks == [len(TEXT)]


@pytest_twisted.ensureDeferred
async def test_into_a_half_that_has_ended_nothing_is_sent() -> None:
    async with sending() as (sender, plain):
        sender.wire.write(b"ab")
        sender.wire.loseWriteConnection()
        await comes(plain, b"ab", ends=True)
        sender.urgent.send()
        assert not held_by(sender.wire)
        plain.sock.send(b"go on")
        await until(lambda: sender.received == b"go on")


@pytest.mark.parametrize("text", [TEXT, b""], ids=["much waits", "nothing waits"])
@pytest_twisted.ensureDeferred
async def test_into_a_connection_that_is_over_nothing_is_sent(text: bytes) -> None:
    async with sending() as (sender, _):
        sender.wire.write(text)
        wire = sender.wire
        held = held_by(wire)
        wire.abortConnection()
        sender.urgent.send()
        await until(lambda: sender.lost)
        sender.urgent.send()
        assert held_by(wire) <= held


@pytest.mark.parametrize("text", [TEXT, b""], ids=["much waits", "nothing waits"])
@pytest_twisted.ensureDeferred
async def test_a_peer_that_is_gone_ends_the_connection_in_which_it_waits(text: bytes) -> None:
    async with sending() as (sender, plain):
        sender.wire.write(text)
        sender.urgent.send()
        plain.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        plain.sock.close()
        sender.urgent.send()
        await until(lambda: sender.lost)
