"""Streams on the running reactor: their addresses, their beginnings, and whose turn it is."""

from __future__ import annotations

import fcntl
import os
import select
import socket
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from time import monotonic

import pytest
import pytest_twisted
from twisted.internet.abstract import FileDescriptor
from twisted.internet.address import UNIXAddress
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Protocol
from twisted.internet.threads import deferToThread

from sockd.reactor.poller import MOST_EVENTS, PASS_SECONDS
from sockd.testing.sockets import Connection
from tests.helpers import until
from tests.processes import PATIENCE
from tests.reactor.streams import (
    MEGABYTE,
    TEXT,
    Echo,
    Keeping,
    dialled,
    listening,
    next_turn,
    turns,
)

SIOCOUTQNSD = 0x894B
"""Tells how many bytes wait to be sent (linux/sockios.h)."""


def unsent(sock: socket.socket) -> int:
    """How many bytes the kernel keeps that it has not sent yet."""
    return int.from_bytes(fcntl.ioctl(sock, SIOCOUTQNSD, bytes(4)), sys.byteorder)


# addresses


@pytest.mark.uvloop
@pytest.mark.parametrize("name", ["s", "so", "soc", "sock", "socks", b"\0", b"\0abc", b"\0abcd"])
@pytest_twisted.ensureDeferred
async def test_a_local_peer_may_have_a_name_however_short(
    name: str | bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names in the kernel are strings, bytes and tuples; a length alone tells none from another."""
    monkeypatch.chdir(tmp_path)
    async with listening(Echo, f"{tmp_path}/service") as port:
        for own in (name, ""):
            with dialled(port.address, own) as peer:
                peer.send(b"hello")
                assert await deferToThread(peer.recv, 10) == b"hello"
        assert port.protocols[0].wire.hostname == (name or "")


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@pytest_twisted.ensureDeferred
async def test_both_ends_of_a_tcp_connection_have_their_addresses(host: str) -> None:
    async with listening(Keeping, host) as port:
        with dialled(port.address) as peer:
            wire = (await port.first()).wire
            ours, theirs = wire.getHost(), wire.getPeer()
            assert (ours.host, ours.port) == port.address
            assert (theirs.host, theirs.port) == peer.getsockname()[:2]
            assert ours.type == theirs.type == "TCP"


@pytest.mark.parametrize("abstract", [False, True], ids=["path", "abstract name"])
@pytest_twisted.ensureDeferred
async def test_both_ends_of_a_local_connection_have_their_addresses(
    abstract: bool, tmp_path: Path
) -> None:
    where = f"\0sockd-{os.getpid()}-{tmp_path.name}" if abstract else f"{tmp_path}/service"
    name = f"{where}-client"
    async with listening(Keeping, where) as port:
        with dialled(where, name):
            wire = (await port.first()).wire
            assert wire.getHost() == UNIXAddress(where.encode())
            assert wire.getPeer() == UNIXAddress(name.encode())


@pytest_twisted.ensureDeferred
async def test_options_of_a_connection_can_be_set_and_seen_in_its_socket() -> None:
    async with listening(Keeping) as port:
        with dialled(port.address):
            wire = (await port.first()).wire
            handle = wire.getHandle()
            for enabled in (True, False):
                wire.setTcpNoDelay(enabled)
                wire.setTcpKeepAlive(enabled)
                assert bool(wire.getTcpNoDelay()) is bool(wire.getTcpKeepAlive()) is enabled
                assert bool(handle.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)) is enabled
                assert bool(handle.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)) is enabled


# turns


class Counting(Protocol):
    """Counts the bytes that come in each turn of the reactor."""

    turn = 0
    """Which turn it is, for all of them."""

    def __init__(self) -> None:
        self.counts: Counter[int] = Counter()

    def dataReceived(self, data: bytes) -> None:
        self.counts[Counting.turn] += len(data)


@pytest.mark.parametrize("clients", [1, 20])
@pytest.mark.parametrize("is_local", [False, True], ids=["tcp", "unix"])
@pytest_twisted.ensureDeferred
async def test_a_flood_is_handed_on_one_read_a_turn(
    clients: int, is_local: bool, tmp_path: Path
) -> None:
    """However much of it lies ready, and of however many connections."""
    most = FileDescriptor.bufferSize
    where = f"{tmp_path}/service" if is_local else "127.0.0.1"
    goes_on = True

    def turn() -> None:
        Counting.turn += 1
        if goes_on:
            next_turn(turn)

    async with listening(Counting, where) as port:
        port.port.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2 * MEGABYTE)
        with ExitStack() as stack:
            sent = 0
            for _ in range(clients):
                peer = stack.enter_context(dialled(port.address))
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * MEGABYTE)
                peer.setblocking(False)
                sent += peer.send(bytes(MEGABYTE))
            turn()
            await until(lambda: sum(one.counts.total() for one in port.protocols) == sent)
            goes_on = False
    assert sent > clients * most
    for protocol in port.protocols:
        assert max(protocol.counts.values()) <= most


async def most_in_a_turn(crowd: int, work: Callable[[], object]) -> int:
    """How many of a crowd, each of whom has sent a byte, are served in one turn at most."""
    served: list[int] = []

    class One(Keeping):
        def dataReceived(self, data: bytes) -> None:
            super().dataReceived(data)
            work()
            served[-1] += 1

    def turn() -> None:
        served.append(0)
        if sum(served) < crowd:
            next_turn(turn)

    async with listening(One) as port:
        with ExitStack() as stack:
            peers: list[socket.socket] = []
            while len(peers) < crowd:  # a few at a time: the port's queue is short
                peers.append(stack.enter_context(dialled(port.address)))
                await until(lambda: len(port.protocols) == len(peers))
            turn()
            for peer in peers:
                peer.send(b"x")
            for one in port.protocols:  # all of it lies ready before the next turn
                assert select.select([one.wire.getHandle()], [], [], PATIENCE)[0]
            await until(lambda: sum(served) == crowd)
        await until(lambda: all(one.lost for one in port.protocols))
    assert all(one.received == b"x" for one in port.protocols)
    return max(served)


@pytest.mark.uvloop
@pytest_twisted.ensureDeferred
async def test_a_turn_serves_so_many_connections_and_the_others_have_the_next() -> None:
    """What else the loop has to do does not wait for a crowd; none of the crowd is forgotten."""
    assert await most_in_a_turn(MOST_EVENTS * 3 // 2, lambda: None) <= MOST_EVENTS


@pytest.mark.uvloop
@pytest_twisted.ensureDeferred
async def test_a_turn_ends_when_its_time_is_over_and_the_others_have_the_next() -> None:
    def work() -> None:
        until = monotonic() + PASS_SECONDS * 0.75
        while monotonic() < until:
            pass

    assert await most_in_a_turn(24, work) <= 2


@pytest_twisted.ensureDeferred
async def test_nothing_is_delivered_to_who_has_paused_in_connection_made() -> None:
    """Nor the end of file, though both were there before."""

    class Paused(Keeping):
        def connectionMade(self) -> None:
            self.wire.pauseProducing()

    async with listening(Paused) as port:
        with dialled(port.address) as peer:
            peer.send(b"hello")
            peer.shutdown(socket.SHUT_WR)
            protocol = await port.first()
            await turns(20)
            assert (protocol.received, protocol.lost) == (b"", None)
            protocol.wire.resumeProducing()
            await until(lambda: protocol.lost)
    assert protocol.received == b"hello"
    assert protocol.lost.check(ConnectionDone)


@pytest.mark.parametrize("leaves", [False, True], ids=["open", "closed at once"])
@pytest.mark.parametrize("is_local", [False, True], ids=["tcp", "unix"])
@pytest_twisted.ensureDeferred
async def test_much_that_is_written_in_connection_made_arrives_whole(
    leaves: bool, is_local: bool, tmp_path: Path
) -> None:
    class Much(Keeping):
        def connectionMade(self) -> None:
            for start in range(0, len(TEXT), MEGABYTE):
                self.wire.write(TEXT[start : start + MEGABYTE])
            if leaves:
                self.wire.loseConnection()

    where = f"{tmp_path}/service" if is_local else "127.0.0.1"
    async with listening(Much, where) as port:
        with Connection(port.address) as peer:
            received = await deferToThread(peer.receive, None if leaves else len(TEXT))
        protocol = await port.first()
        await until(lambda: protocol.lost)
    assert received == TEXT
    assert protocol.lost.check(ConnectionDone)


@pytest_twisted.ensureDeferred
async def test_a_greeting_leaves_at_once_where_the_connection_goes_on() -> None:
    """It waits for an end that may follow, but not for longer than `connectionMade`."""

    class Greeter(Keeping):
        def connectionMade(self) -> None:
            self.wire.write(b"wel")
            self.wire.write(b"come")

    async with listening(Greeter) as port:
        with Connection(port.address) as peer:
            protocol = await port.first()
            await turns(3)
            assert unsent(protocol.wire.getHandle()) == 0
            assert await deferToThread(peer.receive, len("welcome")) == b"welcome"
