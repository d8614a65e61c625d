"""Streams on the running reactor, and the process around them, as who uses them relies on.

Clients are plain sockets. What only sockd's own reactor promises is skipped on the others.
"""

from __future__ import annotations

import errno
import fcntl
import gc
import os
import resource
import select
import signal
import socket
import ssl
import struct
import sys
import time
import weakref
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.abstract import FileDescriptor
from twisted.internet.address import UNIXAddress
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.error import (
    CannotListenError,
    ConnectionDone,
    FileDescriptorOverrun,
    ProcessDone,
)
from twisted.internet.interfaces import IFileDescriptorReceiver, IPushProducer
from twisted.internet.protocol import Factory, ProcessProtocol, Protocol
from twisted.internet.threads import deferToThread
from zope.interface import implementer

from sockd.reactor.stream import MOST_EVENTS
from sockd.reactor.uv import UvloopReactor
from tests.helpers import PATIENCE, LogRecorder, until
from tests.memory import REACTOR
from tests.processes import Running, running
from tests.reactor.twins import server_context
from tests.security.hosts import wait_until
from tests.servers import Wire

OURS = pytest.mark.skipif(
    not isinstance(REACTOR, UvloopReactor), reason="only sockd's own reactor promises it"
)
MEGABYTE = 2**20
TEXT = bytes(range(256)) * (8 * MEGABYTE // 256)
"""More than the kernel takes at once; what is lost or out of order shows."""

TCP_INFO_BYTES, TCP_INFO_SEGS_IN = 192, 140
"""Linux's struct tcp_info, and where it counts the segments that have come."""
SIOCOUTQNSD = 0x894B
"""Tells how many bytes wait to be sent (linux/sockios.h)."""
MORE_SECONDS = 0.2
"""How long the kernel waits for more where MSG_MORE has promised it (TCP_RTO_MIN)."""


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


def unsent(sock: socket.socket) -> int:
    """How many bytes the kernel keeps that it has not sent yet."""
    return int.from_bytes(fcntl.ioctl(sock, SIOCOUTQNSD, bytes(4)), sys.byteorder)


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


# addresses


@OURS
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


@OURS
@pytest_twisted.ensureDeferred
async def test_a_turn_serves_so_many_connections_and_the_others_have_the_next() -> None:
    """What else the loop has to do does not wait for a crowd; none of the crowd is forgotten."""
    crowd = MOST_EVENTS * 3 // 2
    served: list[int] = []

    class One(Keeping):
        def dataReceived(self, data: bytes) -> None:
            super().dataReceived(data)
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
    assert max(served) == MOST_EVENTS
    assert all(one.received == b"x" for one in port.protocols)


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
        with Wire(port.address) as peer:
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
        with Wire(port.address) as peer:
            protocol = await port.first()
            await turns(3)
            assert unsent(protocol.wire.getHandle()) == 0
            assert await deferToThread(peer.receive, len("welcome")) == b"welcome"


# ends


class Mute(Protocol):
    """Leaves, and takes the time that this takes."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.seconds = 0.0

    def connectionMade(self) -> None:
        wire: Any = self.transport
        wire.loseConnection()

    def connectionLost(self, reason: Any = None) -> None:
        self.seconds = time.monotonic() - self.began


class Short(Mute):
    """Says one thing and leaves."""

    def connectionMade(self) -> None:
        wire: Any = self.transport
        wire.write(b"hello")
        super().connectionMade()


@OURS
@pytest_twisted.ensureDeferred
async def test_who_says_one_thing_and_leaves_sends_one_segment() -> None:
    """The end of the stream goes with the words: as many segments as from who says nothing."""
    received = [await segments_from(make) for make in (Short, Mute)]
    assert received[0] == received[1] > 0


async def segments_from(make: type[Mute]) -> int:
    """How many segments come from a server that ends its connection at once.

    If this machine paused it meanwhile, the kernel has sent the words when it was tired of waiting
    for the end: that counts for nothing.
    """
    seconds = MORE_SECONDS
    while seconds >= MORE_SECONDS:
        count, seconds = await visit(make)
    return count


async def visit(make: type[Mute]) -> tuple[int, float]:
    """How many segments come to who reads to the end, and how long the server took to leave."""
    async with listening(make) as port:
        with dialled(port.address) as peer:
            while await deferToThread(peer.recv, 10):
                pass
            info = peer.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, TCP_INFO_BYTES)
        served = await port.first()
        await until(lambda: served.seconds)
    return struct.unpack_from("=I", info, TCP_INFO_SEGS_IN)[0], served.seconds


class Replies(Protocol):
    """Sends back, and keeps nothing."""

    def dataReceived(self, data: bytes) -> None:
        wire: Any = self.transport
        wire.write(data)


@pytest.mark.parametrize("make", [Short, Replies])
@pytest.mark.parametrize("is_local", [False, True], ids=["tcp", "unix"])
@pytest_twisted.ensureDeferred
async def test_a_connection_that_is_over_needs_no_garbage_collector(
    make: type[Protocol], is_local: bool, tmp_path: Path
) -> None:
    async with listening(make, f"{tmp_path}/service" if is_local else "127.0.0.1") as port:
        gc.disable()
        try:
            with dialled(port.address) as peer:
                wire = weakref.ref((await port.first()).transport)
                if make is Replies:
                    peer.send(b"hello")
                assert await deferToThread(peer.recv, 10) == b"hello"
            port.protocols.clear()
            await until(lambda: wire() is None)
        finally:
            gc.enable()


@pytest_twisted.ensureDeferred
async def test_a_connection_has_a_name_in_the_log_after_its_end() -> None:
    async with listening(Keeping) as port:
        with dialled(port.address):
            protocol = await port.first()
        await until(lambda: protocol.lost)
    assert protocol.wire.logPrefix() == "Keeping,0,127.0.0.1"
    assert repr(protocol.wire)


@pytest_twisted.ensureDeferred
async def test_a_port_that_has_stopped_is_free_and_its_connections_go_on() -> None:
    port = Port(Echo, "127.0.0.1")
    number = port.port.getHost().port
    with Wire(port.address) as peer:
        await port.first()
        await port.port.stopListening()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(port.address)
        again = REACTOR.listenTCP(number, Factory.forProtocol(Echo), interface="127.0.0.1")
        await again.stopListening()
        peer.send(b"hello")
        assert await deferToThread(peer.receive, 5) == b"hello"
    await until(lambda: port.protocols[0].lost)


@pytest_twisted.ensureDeferred
async def test_a_port_that_is_taken_is_told_by_the_call_itself() -> None:
    async with listening(Keeping) as port:
        with pytest.raises(CannotListenError) as caught:
            REACTOR.listenTCP(port.address[1], Factory(), interface="127.0.0.1")
    assert caught.value.socketError.errno == errno.EADDRINUSE


class Boom(Exception):
    """A fault of a protocol."""


@pytest_twisted.ensureDeferred
async def test_a_fault_ends_its_own_connection_and_is_logged_once(log: LogRecorder) -> None:
    class Faulty(Echo):
        def dataReceived(self, data: bytes) -> None:
            if data == b"boom":
                raise Boom
            super().dataReceived(data)

    async with listening(Faulty) as port:
        with Wire(port.address) as other:
            bystander = await port.first()
            with Wire(port.address) as peer:
                peer.send(b"boom")
                assert await deferToThread(peer.receive) == b""
            await until(lambda: port.protocols[1].lost)
            other.send(b"hello")
            assert await deferToThread(other.receive, 5) == b"hello"
        await until(lambda: bystander.lost)
    assert port.protocols[1].lost.check(Boom)
    [text] = log.fault_texts()
    assert "Boom" in text
    log.flush_faults()


@OURS
@pytest_twisted.ensureDeferred
async def test_a_factory_that_fails_costs_that_connection_alone(log: LogRecorder) -> None:
    answers: list[Callable[[], Any]] = [Echo]

    def make() -> Any:
        if not answers:
            raise Boom
        return answers.pop()()

    async with listening(make) as port:
        with Wire(port.address) as served, Wire(port.address) as failed:
            assert await deferToThread(failed.receive) == b""
            served.send(b"hello")
            assert await deferToThread(served.receive, 5) == b"hello"
        await until(lambda: port.protocols[0].lost)
    [fault] = log.flush_faults()
    assert fault["log_failure"].check(Boom)


@OURS
@pytest_twisted.ensureDeferred
async def test_an_adopted_connection_goes_on_though_its_protocol_failed_at_first() -> None:
    """The fault is the caller's to hear of."""
    made: list[Any] = []

    class Faulty(Echo):
        def connectionMade(self) -> None:
            made.append(self)
            raise Boom

    factory = Factory.forProtocol(Faulty)
    with socket.create_server(("127.0.0.1", 0)) as server, Wire(server.getsockname()) as peer:
        accepted, _ = server.accept()
        with accepted, pytest.raises(Boom):
            REACTOR.adoptStreamConnection(accepted.fileno(), socket.AF_INET, factory)
        peer.send(b"hello")
        assert await deferToThread(peer.receive, 5) == b"hello"
    await until(lambda: made[0].lost)
    assert made[0].lost.check(ConnectionDone)
    assert made[0].wire.fileno() == -1


@OURS
@pytest_twisted.ensureDeferred
async def test_a_protocol_that_fails_again_in_the_end_ends_nobody_else(log: LogRecorder) -> None:
    """However grave it says that it is."""

    class Grave(Echo):
        def dataReceived(self, data: bytes) -> None:
            if data == b"boom":
                raise SystemExit
            super().dataReceived(data)

        def connectionLost(self, reason: Any = None) -> None:
            super().connectionLost(reason)
            if self.received != b"hello":
                raise SystemExit

    async with listening(Grave) as port:
        with Wire(port.address) as other:
            await port.first()
            with Wire(port.address) as peer:
                peer.send(b"boom")
                assert await deferToThread(peer.receive) == b""
            other.send(b"hello")
            assert await deferToThread(other.receive, 5) == b"hello"
        await until(lambda: all(one.lost for one in port.protocols))
    assert [text.count("SystemExit") > 0 for text in log.fault_texts()] == [True, True]
    log.flush_faults()


@OURS
@pytest.mark.parametrize("ends", ["loseConnection", "abortConnection"])
@pytest_twisted.ensureDeferred
async def test_who_closes_the_socket_itself_is_told_of_the_end(ends: str, log: LogRecorder) -> None:
    class Closing(Keeping):
        def dataReceived(self, data: bytes) -> None:
            self.wire.getHandle().close()
            getattr(self.wire, ends)()

    async with listening(Closing) as port:
        with Wire(port.address) as peer:
            peer.send(b"x")
            assert await deferToThread(peer.receive) == b""
        protocol = await port.first()
        await until(lambda: protocol.lost)
    assert all("Bad file descriptor" in text for text in log.fault_texts())
    log.flush_faults()


@pytest_twisted.ensureDeferred
async def test_what_is_no_bytes_is_refused_whether_or_not_something_waits() -> None:
    refused = []

    class Writing(Keeping):
        def connectionMade(self) -> None:
            for _ in range(2):
                for data in ("text", bytearray(b"x"), memoryview(b"x")):
                    with pytest.raises(TypeError, match="Data must be bytes"):
                        self.wire.write(data)
                    refused.append(data)
                self.wire.write(TEXT)
            self.wire.abortConnection()

    async with listening(Writing) as port:
        with dialled(port.address):
            protocol = await port.first()
            await until(lambda: protocol.lost)
    assert len(refused) == 6


@pytest_twisted.ensureDeferred
async def test_in_connection_made_the_socket_is_as_later() -> None:
    seen = []

    class Looking(Keeping):
        def connectionMade(self) -> None:
            with suppress(BlockingIOError):
                self.wire.getHandle().recv(1)
            self.wire.setTcpNoDelay(False)
            seen.append(self.wire.getTcpNoDelay())

    async with listening(Looking) as port:
        with dialled(port.address):
            protocol = await port.first()
            await turns(3)
            seen.append(protocol.wire.getTcpNoDelay())
    assert seen == [False, False]


@OURS
@pytest_twisted.ensureDeferred
async def test_a_name_for_the_log_that_fails_keeps_nothing_from_the_log(log: LogRecorder) -> None:
    class Nameless(Keeping):
        def logPrefix(self) -> str:
            raise Boom("no name")

        def dataReceived(self, data: bytes) -> None:
            raise Boom("no data")

    try:
        async with listening(Nameless) as port:
            with Wire(port.address) as peer:
                peer.send(b"x")
                assert await deferToThread(peer.receive) == b""
                await until(lambda: port.protocols[0].lost)
        assert "no data" in " ".join(log.fault_texts())
    finally:
        log.flush_faults()


@implementer(IPushProducer)
class Upgrading(Keeping):
    """Goes over to TLS when it is asked to, while a producer is registered."""

    def dataReceived(self, data: bytes) -> None:
        super().dataReceived(data)
        if data == b"upgrade":
            self.wire.registerProducer(self, True)
            self.wire.write(b"go")
            self.wire.startTLS(server_context())
            self.wire.write(b"secret")

    def resumeProducing(self) -> None:
        """It has nothing more."""

    def pauseProducing(self) -> None:
        """As above."""

    def stopProducing(self) -> None:
        """As above."""


@pytest_twisted.ensureDeferred
async def test_nothing_leaves_in_the_clear_once_tls_has_been_started() -> None:
    def talk(address: Any) -> tuple[bytes, bytes]:
        with dialled(address) as peer:
            peer.send(b"upgrade")
            clear = peer.recv(100)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            with context.wrap_socket(peer, suppress_ragged_eofs=True) as secure:
                return clear, secure.recv(100)

    async with listening(Upgrading) as port:
        assert await deferToThread(talk, port.address) == (b"go", b"secret")
        await until(lambda: port.protocols[0].lost)


# descriptors


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


@OURS
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
        with Wire(port.address) as peer:
            peer.send(b"?")
            protocol = await port.first()
            await until(lambda: protocol.lost)
    assert protocol.lost.check(FileDescriptorOverrun)


# the process


SERVER = """
import sys
from twisted.application.reactors import installReactor
reactor = installReactor(sys.argv[1])
from twisted.internet.protocol import Factory, Protocol
class Echo(Protocol):
    def dataReceived(self, data):
        self.transport.write(data)
port = reactor.listenTCP(0, Factory.forProtocol(Echo), interface="127.0.0.1")
reactor.addSystemEventTrigger("after", "shutdown", print, "stopped", flush=True)
reactor.callWhenRunning(print, "port", port.getHost().port, flush=True)
reactor.run()
print("over", flush=True)
"""
CLOCK = """
import sys, time
from twisted.application.reactors import installReactor
reactor = installReactor(sys.argv[1])
def bounds():
    low = time.monotonic()
    now = reactor.seconds()
    return now - time.monotonic(), now - low
first = bounds()
time.time = lambda: 0.0
second = bounds()
# a date in seconds is exact to a quarter of a microsecond
assert max(first[0], second[0]) <= min(first[1], second[1]) + 1e-6, (first, second)
"""


@contextmanager
def serving() -> Iterator[tuple[Running, tuple[str, int]]]:
    """A process that serves echo on the reactor that the suite runs on; and its address."""
    with running([sys.executable, "-c", SERVER, os.environ["SOCKD_TEST_REACTOR"]]) as child:
        port = int(child.wait_for(r"port (\d+)\n")[1])
        yield child, ("127.0.0.1", port)


def echoes(address: tuple[str, int]) -> bool:
    """Whether a connection is served, and not closed."""
    with Wire(address) as peer:
        peer.send(b"hello")
        return peer.receive(5) == b"hello"


def test_a_server_goes_on_when_descriptors_have_run_out() -> None:
    """Those that come too many are closed, and the next that there is room for is served."""
    with serving() as (child, address):
        limit = len(list(Path(f"/proc/{child.pid}/fd").iterdir())) + 10
        resource.prlimit(child.pid, resource.RLIMIT_NOFILE, (limit, limit))
        with ExitStack() as stack:
            peers = [stack.enter_context(Wire(address)) for _ in range(60)]
            for peer in peers:
                peer.send(b"x")
            answers = [peer.receive(1) for peer in peers]
        assert 0 < answers.count(b"x") < len(peers)
        assert set(answers) == {b"x", b""}
        # until the server has seen that they are gone
        wait_until(lambda: echoes(address), "there is room again", PATIENCE)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_a_signal_stops_the_reactor_in_order(number: signal.Signals) -> None:
    with serving() as (child, address), Wire(address) as peer:
        assert echoes(address)
        child.process.send_signal(number)
        child.wait_for("stopped\nover")
        assert child.wait() == 0
        assert peer.receive() == b""


@OURS
def test_the_reactor_s_seconds_go_on_when_the_clock_is_set() -> None:
    with running([sys.executable, "-c", CLOCK, os.environ["SOCKD_TEST_REACTOR"]]) as child:
        assert child.wait() == 0, child.text()


class Child(ProcessProtocol):
    """Keeps why it ended."""

    def __init__(self) -> None:
        self.ended: Any = None

    def processEnded(self, reason: Any) -> None:
        self.ended = reason


@pytest_twisted.ensureDeferred
async def test_children_that_end_at_once_are_reaped_and_told_each() -> None:
    children = [Child() for _ in range(20)]
    for child in children:
        REACTOR.spawnProcess(child, "/bin/true", ["true"])
    await until(lambda: all(child.ended for child in children))
    assert all(child.ended.check(ProcessDone) for child in children)
