"""TLS on the socket: how it ends, from either side, by halves, in order, cut, or by what came."""

from __future__ import annotations

import socket
import struct
from contextlib import suppress
from typing import Any

import pytest
import pytest_twisted
from OpenSSL import SSL
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.threads import deferToThread

from sockd.reactor.secure import AFTER_END_BYTES
from tests.helpers import LogRecorder, held_by, until
from tests.reactor.secure_streams import (
    Cut,
    CutHalves,
    Halves,
    Noting,
    Shaken,
    calling,
    close_notify,
    dialled,
    raw_end,
    secure_port,
    shake_hands,
    talking,
    tcp_end,
    try_hands,
)
from tests.reactor.streams import MEGABYTE, TEXT, turns
from tests.security.tls_records import TLS_1_2, TLS_1_3, TLSPeer

pytestmark = pytest.mark.uvloop

SMALL = 8192
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER with which a close is a reset."""
VERSIONS = pytest.mark.parametrize("version", [TLS_1_2, TLS_1_3], ids=["1.2", "1.3"])


# our end


@VERSIONS
@pytest_twisted.ensureDeferred
async def test_our_end_waits_for_the_peer_s_whose_words_are_dropped(version: int) -> None:
    async with talking(Noting, version) as (peer, protocol):
        protocol.wire.write(b"bye")
        protocol.wire.loseConnection()
        assert await deferToThread(peer.receive_all) == b"bye"
        peer.send(peer.writer.data(b"never heard"))
        await turns(20)
        assert not protocol.lost
        close_notify(peer)
        await until(lambda: protocol.lost)
        assert protocol.lost.check(ConnectionDone)
        assert not protocol.received
        assert await deferToThread(tcp_end, peer.wire) == "end"


@pytest_twisted.ensureDeferred
async def test_a_peer_that_does_not_end_may_say_so_much_more() -> None:
    async with talking(Noting) as (peer, protocol):
        protocol.wire.loseConnection()
        record = 16_384
        for _ in range(AFTER_END_BYTES // record):
            await deferToThread(peer.send, peer.writer.data(bytes(record)))
        await turns(50)
        assert not protocol.lost
        peer.send(peer.writer.data(b"x"))
        await until(lambda: protocol.lost)
        assert protocol.lost.check(ConnectionDone)


@pytest_twisted.ensureDeferred
async def test_what_is_written_after_the_end_is_nobody_s_and_harms_nothing() -> None:
    async with talking(Shaken) as (peer, protocol):
        await until(lambda: protocol.is_shaken)
        protocol.wire.write(b"all")
        protocol.wire.loseConnection()
        protocol.wire.write(b"late")
        protocol.wire.writeSequence([b"later"])
        assert await deferToThread(peer.receive_all) == b"all"
        protocol.wire.write(b"much later")
        protocol.wire.writeSequence([b"later"])
        await turns(5)
        close_notify(peer)
        await until(lambda: protocol.lost)
        assert protocol.lost.check(ConnectionDone)
        protocol.wire.write(b"too late")
        protocol.wire.loseConnection()
        protocol.wire.abortConnection()


@pytest_twisted.ensureDeferred
async def test_the_end_before_the_handshake_is_an_abort_where_nothing_was_said() -> None:
    async with secure_port(Shaken) as port:
        with dialled(port.address) as sock:
            protocol = await port.first()
            protocol.wire.loseConnection()
            await until(lambda: protocol.lost)
            assert protocol.lost.check(ConnectionAborted)
            assert await deferToThread(tcp_end, sock) == "reset"


@pytest.mark.parametrize("pauses", [False, True])
@pytest_twisted.ensureDeferred
async def test_what_was_said_before_the_handshake_comes_before_the_end(pauses: bool) -> None:
    class Brief(Shaken):
        def connectionMade(self) -> None:
            if pauses:
                self.wire.pauseProducing()
            self.wire.write(b"hello")
            self.wire.loseConnection()
            self.wire.write(b"never said")

    async with talking(Brief) as (peer, protocol):
        assert await deferToThread(peer.receive_all) == b"hello"
        close_notify(peer)
        await until(lambda: protocol.lost)
        assert protocol.lost.check(ConnectionDone)


@pytest_twisted.ensureDeferred
async def test_the_end_in_the_end_of_the_handshake_is_told_in_order() -> None:
    class Brief(Shaken):
        def handshakeCompleted(self) -> None:
            self.wire.write(b"hello")
            self.wire.loseConnection()

    async with talking(Brief) as (peer, protocol):
        assert await deferToThread(peer.receive_all) == b"hello"
        close_notify(peer)
        await until(lambda: protocol.lost)
        assert protocol.lost.check(ConnectionDone)


# the peer's end


@VERSIONS
@pytest_twisted.ensureDeferred
async def test_the_peer_s_end_is_answered_and_told(version: int) -> None:
    async with talking(Noting, version) as (peer, protocol):
        peer.send(peer.writer.data(b"bye"))
        close_notify(peer)
        assert await deferToThread(raw_end, peer) == "finished"
        await until(lambda: protocol.lost)
        assert protocol.received == b"bye"
        assert protocol.lost.check(ConnectionDone)


@pytest_twisted.ensureDeferred
async def test_what_waits_is_sent_after_the_peer_s_end() -> None:
    async with talking(Shaken, buffer=SMALL) as (peer, protocol):
        await until(lambda: protocol.is_shaken)
        protocol.wire.write(TEXT)
        assert held_by(protocol.wire)
        close_notify(peer)
        await turns(10)
        assert bool(await deferToThread(peer.receive_all) == TEXT)
        await until(lambda: protocol.lost)
        assert protocol.lost.check(ConnectionDone)


@pytest.mark.parametrize(
    ("make", "reason"), [(Noting, ConnectionLost), (Halves, ConnectionLost), (Cut, ConnectionDone)]
)
@pytest_twisted.ensureDeferred
async def test_tcp_s_end_without_tls_s_own_is_a_loss_unless_that_is_taken(
    make: Any, reason: Any
) -> None:
    async with talking(make) as (peer, protocol):
        peer.send(peer.writer.data(b"hello"))
        peer.wire.shutdown(socket.SHUT_WR)
        await until(lambda: protocol.lost)
        assert protocol.received == b"hello"
        assert protocol.lost.check(reason)


@pytest_twisted.ensureDeferred
async def test_half_a_record_before_tcp_s_end_is_a_loss() -> None:
    async with talking(Cut) as (peer, protocol):
        peer.send(peer.writer.data(b"hello")[:-1])
        peer.wire.shutdown(socket.SHUT_WR)
        await until(lambda: protocol.lost)
        assert not protocol.received


@pytest_twisted.ensureDeferred
async def test_a_reset_is_a_loss() -> None:
    async with talking(Noting) as (peer, protocol):
        peer.wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        peer.wire.close()
        await until(lambda: protocol.lost)
        assert protocol.lost.check(ConnectionLost)


@pytest_twisted.ensureDeferred
async def test_a_reset_is_a_loss_though_one_writes_at_that_moment() -> None:
    async with talking(Shaken) as (peer, protocol):
        await until(lambda: protocol.is_shaken)
        peer.wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        peer.wire.close()
        protocol.wire.write(b"hello")
        protocol.wire.write(TEXT)
        await until(lambda: protocol.lost)
        assert protocol.lost.check(ConnectionLost)


# halves


@pytest.mark.parametrize("make", [Halves, CutHalves])
@VERSIONS
@pytest_twisted.ensureDeferred
async def test_the_peer_s_half_ends_and_ours_goes_on(version: int, make: Any) -> None:
    async with talking(make, version) as (peer, protocol):
        peer.send(peer.writer.data(b"question"))
        close_notify(peer)
        await until(lambda: protocol.ended)
        assert protocol.ended == ["read"]
        protocol.wire.resumeProducing()  # nothing is told twice
        await turns(10)
        protocol.wire.write(b"answer")
        assert await deferToThread(peer.receive) == b"answer"
        protocol.wire.loseConnection()
        assert await deferToThread(raw_end, peer) == "finished"
        await until(lambda: protocol.lost)
        assert protocol.ended == ["read"]
        assert protocol.lost.check(ConnectionDone)


@pytest_twisted.ensureDeferred
async def test_tcp_s_end_is_the_peer_s_half_where_that_is_taken() -> None:
    async with talking(CutHalves) as (peer, protocol):
        peer.send(peer.writer.data(b"question"))
        peer.wire.shutdown(socket.SHUT_WR)
        await until(lambda: protocol.ended)
        protocol.wire.write(b"answer")
        protocol.wire.loseConnection()
        assert await deferToThread(peer.receive_all) == b"answer"
        await until(lambda: protocol.lost)
        assert protocol.lost.check(ConnectionDone)


@VERSIONS
@pytest_twisted.ensureDeferred
async def test_our_half_ends_and_the_peer_s_goes_on(version: int) -> None:
    async with talking(Halves, version, SMALL) as (peer, protocol):
        await until(lambda: protocol.is_shaken)
        protocol.wire.write(TEXT)
        protocol.wire.loseWriteConnection()
        assert bool(await deferToThread(peer.receive_all) == TEXT)
        await until(lambda: protocol.ended)
        protocol.wire.write(b"nobody's")
        assert await deferToThread(tcp_end, peer.wire) == "end"
        peer.send(peer.writer.data(b"answer"))
        await until(lambda: protocol.received)
        close_notify(peer)
        await until(lambda: len(protocol.ended) == 2)
        protocol.wire.loseConnection()
        await until(lambda: protocol.lost)
        assert protocol.ended == ["write", "read"]
        assert protocol.lost.check(ConnectionDone)


@pytest_twisted.ensureDeferred
async def test_our_half_may_end_before_the_handshake() -> None:
    class Mute(Halves):
        def connectionMade(self) -> None:
            self.wire.write(b"one word")
            self.wire.loseWriteConnection()

    async with talking(Mute) as (peer, protocol):
        assert await deferToThread(peer.receive_all) == b"one word"
        peer.send(peer.writer.data(b"answer"))
        await until(lambda: protocol.received == b"answer")


@pytest_twisted.ensureDeferred
async def test_a_fault_in_the_end_of_a_half_ends_it_for_that_reason(log: LogRecorder) -> None:
    class Boom(Exception):
        """A fault."""

    class Faulty(Halves):
        def readConnectionLost(self) -> None:
            raise Boom

    async with talking(Faulty) as (peer, protocol):
        close_notify(peer)
        await until(lambda: protocol.lost)
        assert protocol.lost.check(Boom)
    assert len(log.flush_faults()) == 1


# the descriptor


@pytest.mark.parametrize("ends", ["loseConnection", "abortConnection"])
@pytest_twisted.ensureDeferred
async def test_a_closed_descriptor_is_never_touched_again(ends: str) -> None:
    """Another connection has its number at once, and whoever kept OpenSSL's part writes to it."""
    pairs: list[tuple[socket.socket, socket.socket]] = []

    class Keeps(Shaken):
        def handshakeCompleted(self) -> None:
            super().handshakeCompleted()
            self.handle = self.wire.getHandle()
            self.number = self.wire.fileno()

        def connectionLost(self, reason: Any = None) -> None:
            pairs.append(socket.socketpair())
            self.touch()
            super().connectionLost(reason)

        def touch(self) -> None:
            with suppress(SSL.Error):
                self.handle.send(b"secret")
            with suppress(SSL.Error):
                self.handle.shutdown()

    async with talking(Keeps) as (peer, protocol):
        await until(lambda: protocol.is_shaken)
        getattr(protocol.wire, ends)()
        with suppress(ConnectionError):
            close_notify(peer)
        await until(lambda: protocol.lost)
        [pair] = pairs
        assert protocol.number in {one.fileno() for one in pair}
        protocol.touch()
        del protocol.handle
        for one in pair:
            one.setblocking(False)
            with pytest.raises(BlockingIOError):
                one.recv(1)
        for one in pair:
            one.close()


@pytest_twisted.ensureDeferred
async def test_who_connects_and_leaves_leaves_nothing() -> None:
    async with secure_port(Shaken) as port:
        for _ in range(20):
            with dialled(port.address) as sock:
                await deferToThread(TLSPeer, sock)
        await until(lambda: len(port.protocols) == 20 and all(one.lost for one in port.protocols))
        assert not [one for one in port.protocols if one.wire._tls is not None]


@pytest_twisted.ensureDeferred
async def test_a_connector_is_told_of_the_end_after_its_protocol() -> None:
    async with calling(Shaken) as (sock, protocol, factory):
        with await deferToThread(shake_hands, sock) as peer:
            await until(lambda: protocol.is_shaken)
            assert not factory.lost
            peer.send(b"x" * MEGABYTE)
            await until(lambda: len(protocol.received) == MEGABYTE)
        await until(lambda: factory.lost)
        assert protocol.lost


@pytest_twisted.ensureDeferred
async def test_a_client_that_is_aborted_when_it_is_made_says_nothing() -> None:
    class Shy(Shaken):
        def connectionMade(self) -> None:
            self.wire.abortConnection()

    async with calling(Shy) as (sock, protocol, _):
        await deferToThread(try_hands, sock)
        await until(lambda: protocol.lost)
        assert protocol.lost.check(ConnectionAborted)
