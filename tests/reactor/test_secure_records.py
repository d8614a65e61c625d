"""TLS on the socket: what a turn decrypts, and records without data."""

from __future__ import annotations

import select
import socket
from contextlib import suppress
from functools import partial
from typing import Any

import pytest
import pytest_twisted
from OpenSSL import SSL
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.threads import deferToThread

from sockd.reactor.records import EMPTY_RECORDS, TURN_BYTES, TURN_RECORDS, TooManyRecords
from tests.helpers import held_by, until
from tests.reactor.secure_streams import Halves, Noting, Shaken, talking
from tests.reactor.streams import TEXT, turns
from tests.security.tls_records import (
    NO_RENEGOTIATION,
    TLS_1_2,
    TLS_1_3,
    USER_CANCELED,
    TLSPeer,
)

pytestmark = pytest.mark.uvloop

RECEIVE_BUFFER = 200_000
LONGEST = 16 * 1024
"""Bytes of the longest record."""
SMALL = 8192
VERSIONS = pytest.mark.parametrize("version", [TLS_1_2, TLS_1_3], ids=["1.2", "1.3"])


async def all_at_once(peer: TLSPeer, protocol: Any, *records: bytes) -> None:
    """Have them lie in the kernel before the first is read."""
    protocol.wire.pauseProducing()
    protocol.wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
    await deferToThread(peer.send, *records)
    protocol.wire.resumeProducing()


@VERSIONS
@pytest.mark.parametrize(
    ("size", "longest"),
    [(1, 32), (1000, 32_000), (2048, 65_536), (2049, 31 * 2049), (LONGEST, 65_536)],
)
@pytest_twisted.ensureDeferred
async def test_a_turn_has_so_many_records_and_bytes_and_no_more(
    size: int, longest: int, version: int
) -> None:
    assert longest == min(TURN_RECORDS * size, TURN_BYTES - TURN_BYTES % size)
    async with talking(Noting, version) as (peer, protocol):
        text = TEXT[: min(100, 150_000 // size) * size]
        records = [peer.writer.data(text[at : at + size]) for at in range(0, len(text), size)]
        await all_at_once(peer, protocol, *records)
        await until(lambda: len(protocol.received) == len(text))
        assert protocol.received == text
        assert max(map(len, protocol.reads)) <= longest
        assert len(protocol.reads) > 1


@pytest_twisted.ensureDeferred
async def test_what_lies_ready_takes_few_turns() -> None:
    """It is tried now and then whether there is more than a record."""
    async with talking(Noting) as (peer, protocol):
        await all_at_once(peer, protocol, *(peer.writer.data(b"x") for _ in range(1000)))
        await until(lambda: len(protocol.received) == 1000)
        assert max(map(len, protocol.reads)) == TURN_RECORDS
        assert len(protocol.reads) < 1000 // TURN_RECORDS + 20


# records without data


def updates(peer: TLSPeer, count: int) -> list[bytes]:
    """New keys, again and again, of one side alone."""
    return [peer.writer13.key_update(requested=False) for _ in range(count)]


@pytest.mark.parametrize("more", [0, 1])
@pytest_twisted.ensureDeferred
async def test_a_peer_may_send_so_many_records_without_data_and_no_more(more: int) -> None:
    async with talking(Noting) as (peer, protocol):
        peer.send(*updates(peer, EMPTY_RECORDS + more))
        peer.send(peer.writer.data(b"hello"))
        await until(lambda: protocol.received or protocol.lost)
        if more:
            assert protocol.lost.check(TooManyRecords)
            assert str(EMPTY_RECORDS) in str(protocol.lost.value)
        else:
            assert protocol.received == b"hello"


@pytest_twisted.ensureDeferred
async def test_an_answer_to_one_counts_as_one() -> None:
    async with talking(Noting) as (peer, protocol):
        peer.send(*(peer.writer13.key_update() for _ in range(EMPTY_RECORDS // 2 + 2)))
        await until(lambda: protocol.lost)
        assert protocol.lost.check(TooManyRecords)


@pytest_twisted.ensureDeferred
async def test_each_record_with_data_allows_another_without() -> None:
    async with talking(Noting) as (peer, protocol):
        for _ in range(EMPTY_RECORDS * 3):
            peer.send(*updates(peer, 1), peer.writer.data(b"x"))
        await until(lambda: protocol.lost or len(protocol.received) == EMPTY_RECORDS * 3)
        assert protocol.lost is None


@pytest_twisted.ensureDeferred
async def test_who_has_ended_is_not_held_by_records_without_data() -> None:
    async with talking(Noting) as (peer, protocol):
        protocol.wire.loseConnection()
        assert await deferToThread(peer.receive_all) == b""
        peer.send(*updates(peer, EMPTY_RECORDS + 1))
        await until(lambda: protocol.lost)


@pytest.mark.parametrize(
    ("version", "alert"), [(TLS_1_3, USER_CANCELED), (TLS_1_2, NO_RENEGOTIATION)]
)
@pytest_twisted.ensureDeferred
async def test_warnings_end_it_too(version: int, alert: int) -> None:
    async with talking(Noting, version) as (peer, protocol):
        peer.send(*(peer.writer.alert(alert) for _ in range(EMPTY_RECORDS + 1)))
        await until(lambda: protocol.lost)
        assert not protocol.received


# updates of the keys


def fill_up(wire: Any) -> None:
    """Send until the peer's system takes no more: a record is sent in part."""
    sent = -1
    while sent != wire.offset:
        sent = wire.offset
        wire.doWrite()


@pytest_twisted.ensureDeferred
async def test_a_requested_update_is_answered_and_both_go_on() -> None:
    async with talking(Noting) as (peer, protocol):
        for turn in range(3):
            peer.send(peer.writer13.key_update(), peer.writer.data(b"x"))
            await until(partial(lambda count: len(protocol.received) == count, turn + 1))
            protocol.wire.write(b"answer")
            assert await deferToThread(peer.receive) == b"answer"


@pytest_twisted.ensureDeferred
async def test_an_update_that_is_requested_while_a_write_waits_disturbs_nothing() -> None:
    async with talking(Shaken, buffer=SMALL) as (peer, protocol):
        await until(lambda: protocol.is_shaken)
        protocol.wire.write(TEXT)
        fill_up(protocol.wire)
        peer.send(peer.writer13.key_update(), peer.writer.data(b"x"))
        await until(lambda: protocol.received)
        protocol.wire.write(b"the end")
        protocol.wire.loseConnection()
        assert bool(await deferToThread(peer.receive_all) == TEXT + b"the end")


@pytest_twisted.ensureDeferred
async def test_a_second_one_before_the_first_is_answered_ends_it_if_a_write_waits() -> None:
    """OpenSSL would put the answer into the middle of a record, and notices. No ordinary peer reads
    nothing for as long as it takes to need new keys twice."""
    async with talking(Shaken, buffer=SMALL) as (peer, protocol):
        await until(lambda: protocol.is_shaken)
        protocol.wire.write(TEXT)
        fill_up(protocol.wire)
        peer.send(peer.writer13.key_update(), peer.writer13.key_update())
        await until(lambda: protocol.lost)
        assert protocol.lost.check(SSL.Error)


@pytest_twisted.ensureDeferred
async def test_an_answer_to_an_update_that_cannot_be_written_spins_for_nobody() -> None:
    calls = 0

    class Counted(Shaken):
        """Counts what the poller calls."""

        def count(self, name: str) -> None:
            called = getattr(self.wire, name)

            def counted() -> Any:
                nonlocal calls
                calls += 1
                return called()

            setattr(self.wire, name, counted)

    async with talking(Counted, buffer=SMALL) as (peer, protocol):
        await until(lambda: protocol.is_shaken)
        await fill(protocol.wire.socket)
        protocol.count("doRead")
        protocol.count("doWrite")
        await choke(peer, protocol)
        before = calls
        await turns(200)
        assert calls - before <= 2
        protocol.wire.write(b"x")  # waits, too
        assert held_by(protocol.wire) == 1
        assert protocol.lost is None


async def choke(peer: TLSPeer, protocol: Any) -> None:
    """Ask for new keys until an answer cannot be sent."""

    def is_choked() -> bool:
        if protocol.wire.watched_for != select.EPOLLOUT:
            peer.send(peer.writer13.key_update(), *(peer.writer.data(b"x") for _ in range(2)))
        return bool(protocol.wire.watched_for == select.EPOLLOUT)

    await until(is_choked)


async def fill(sock: socket.socket) -> None:
    """Give the kernel as much as it takes, and as the peer's does."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL)  # it does not grow
    sent = 1
    while sent:
        sent = 0
        with suppress(BlockingIOError):
            while True:
                sent += sock.send(TEXT)
        await turns(20)


@pytest_twisted.ensureDeferred
async def test_a_peer_that_leaves_while_an_answer_to_it_waits_is_noticed() -> None:
    async with talking(Shaken, buffer=SMALL) as (peer, protocol):
        await until(lambda: protocol.is_shaken)
        await fill(protocol.wire.socket)
        await choke(peer, protocol)
        peer.wire.close()
        await until(lambda: protocol.lost)
        assert protocol.lost.check(ConnectionLost)


@pytest_twisted.ensureDeferred
async def test_a_producer_without_end_whose_peer_updates_keys_keeps_little() -> None:
    """One that only writes reads, too: what it would answer is bounded."""

    class Endless(Shaken):
        def handshakeCompleted(self) -> None:
            super().handshakeCompleted()
            self.wire.registerProducer(self, False)

        def resumeProducing(self) -> None:
            self.wire.write(TEXT[:1000])

        def stopProducing(self) -> None:
            """The peer has gone."""

    async with talking(Endless, buffer=SMALL) as (peer, protocol):
        await until(lambda: protocol.is_shaken)
        for _ in range(EMPTY_RECORDS * 2):
            if protocol.lost:
                break
            await deferToThread(_try, peer)
            await turns(1)
        await until(lambda: protocol.lost)
        assert protocol.lost.check(TooManyRecords)


def _try(peer: TLSPeer) -> None:
    try:
        peer.send(peer.writer13.key_update())
    except OSError:
        return


@pytest_twisted.ensureDeferred
async def test_one_that_was_requested_after_our_half_has_ended_does_no_harm() -> None:
    async with talking(Halves) as (peer, protocol):
        await until(lambda: protocol.is_shaken)
        protocol.wire.loseWriteConnection()
        assert await deferToThread(peer.receive_all) == b""
        peer.send(peer.writer13.key_update(), peer.writer.data(b"x"))
        await until(lambda: protocol.received or protocol.lost)
        assert protocol.lost is None or protocol.lost.check(ConnectionLost, ConnectionDone)
