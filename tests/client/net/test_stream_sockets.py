"""A connection as a coroutine sees it, over real sockets."""

from __future__ import annotations

import socket
import time

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred

from sockd.client.errors import TimedOut, Unreachable
from sockd.client.net.streams import MOST_BUFFERED
from sockd.testing.running import until
from tests.client.peers import Peer, Server, call, echo, serving


@pytest_twisted.ensureDeferred
async def test_what_is_written_is_answered_and_the_end_is_told() -> None:
    async with serving(Server(received=echo)) as server:
        began = time.monotonic_ns()
        stream = await call(server.port)
        stream.write(b"hello")
        assert await stream.read_exactly(5) == b"hello"
        assert stream.first_byte_ns is not None
        assert began < stream.opened_ns < stream.first_byte_ns <= time.monotonic_ns()
        stream.finish()
        stream.finish()
        stream.write(b"too late")
        assert await stream.read() == b""
        assert bytes(server.peer.got) == b"hello"
        stream.close()


@pytest_twisted.ensureDeferred
async def test_after_the_end_of_sending_an_answer_is_read() -> None:
    def answer(peer: Peer) -> None:
        peer.wire.write(b"of %d bytes" % len(peer.got))
        peer.wire.loseConnection()

    async with serving(Server(finished=answer)) as server:
        stream = await call(server.port)
        stream.write(b"x" * 1_000_000)
        stream.finish()
        await stream.drained()
        assert await stream.read_all(100) == b"of 1000000 bytes"
        stream.close()


@pytest_twisted.ensureDeferred
async def test_much_goes_both_ways_while_who_reads_is_slow() -> None:
    async with serving(Server(received=echo)) as server:
        stream = await call(server.port)
        sent = bytes(range(256)) * 4096 * 8
        stream.write(sent)
        stream.finish()
        assert stream.waiting > 0
        await until(lambda: stream.bytes_received >= MOST_BUFFERED)
        assert stream.bytes_received < 2 * MOST_BUFFERED
        assert await stream.read_all(len(sent)) == sent
        stream.close()


@pytest_twisted.ensureDeferred
async def test_a_reset_is_told() -> None:
    async with serving(Server(received=lambda peer, _: peer.wire.abortConnection())) as server:
        stream = await call(server.port)
        stream.write(b"x")
        with pytest.raises(Unreachable, match=f"127.0.0.1:{server.port} has reset"):
            await stream.read()
        stream.write(b"x")
        stream.write(b"x")
        with pytest.raises(Unreachable):
            await stream.drained()
        stream.close()


@pytest_twisted.ensureDeferred
async def test_a_reset_that_a_write_was_told_of_is_no_end() -> None:
    async with serving(Server(received=lambda peer, _: peer.wire.abortConnection())) as server:
        stream = await call(server.port)
        stream.pause()  # so that the write is told first
        stream.write(b"x")
        await until(lambda: server.peers and server.peer.is_lost)

        def is_told() -> bool:
            stream.write(b"x")
            return stream.channel.write_error is not None

        await until(is_told)
        stream.resume()
        with pytest.raises(Unreachable):
            await stream.read()
        stream.close()


@pytest_twisted.ensureDeferred
async def test_a_reset_is_told_to_who_waits_to_send_and_then_to_who_reads() -> None:
    async with serving(Server(connected=lambda peer: peer.wire.pauseProducing())) as server:
        stream = await call(server.port)
        stream.pause()
        stream.write(b"x" * 32_000_000)  # more than both kernels hold
        sending = Deferred.fromCoroutine(stream.drained())
        await until(lambda: server.peers)
        server.peer.wire.abortConnection()
        with pytest.raises(Unreachable):
            await sending
        assert stream.waiting == 0
        stream.resume()
        with pytest.raises(Unreachable):
            await stream.read()
        stream.close()


@pytest_twisted.ensureDeferred
async def test_the_answer_of_a_server_that_closes_early_is_read() -> None:
    def answer(peer: Peer) -> None:
        peer.wire.write(b"go away")
        peer.wire.stopReading()
        peer.wire.loseConnection()

    async with serving(Server(connected=answer)) as server:
        stream = await call(server.port)

        def cannot_be_sent() -> bool:
            stream.write(b"x" * 10_000)
            return stream.channel.write_error is not None

        await until(cannot_be_sent)
        assert await stream.read_exactly(7) == b"go away"
        stream.close()


@pytest_twisted.ensureDeferred
async def test_who_aborts_resets_the_connection() -> None:
    async with serving(Server(received=echo)) as server:
        stream = await call(server.port)
        stream.write(b"x")
        await stream.read()
        stream.abort()
        await until(lambda: server.peer.is_lost)
        assert not server.peer.is_finished


@pytest_twisted.ensureDeferred
async def test_the_kernel_tells_its_own_round_trip() -> None:
    async with serving(Server(received=echo)) as server:
        stream = await call(server.port)
        for _ in range(10):
            stream.write(b"x")
            await stream.read()
        known = stream.tcp_info()
        assert known is not None
        assert 0 < known.rtt_us < 60_000_000
        assert known.rttvar_us >= 0
        assert 0 <= known.retransmits < 1000
        stream.close()


@pytest_twisted.ensureDeferred
async def test_what_is_written_goes_out_at_once() -> None:
    async with serving(Server(received=echo)) as server:
        stream = await call(server.port)
        assert stream.channel.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        stream.close()


@pytest_twisted.ensureDeferred
async def test_a_server_that_says_nothing_is_not_waited_for() -> None:
    async with serving(Server()) as server:
        stream = await call(server.port)
        with pytest.raises(TimedOut):
            await stream.read(0.01)
        stream.close()
