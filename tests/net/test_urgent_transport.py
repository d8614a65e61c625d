"""Urgent data of connections on the running reactor: told ahead, and sent in its place."""

from __future__ import annotations

import random
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import ISSLTransport
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from zope.interface import alsoProvides, noLongerProvides

from sockd.net.urgent import MOST_TOLD
from sockd.net.urgent_transport import works_on
from tests.helpers import LogRecorder, until
from tests.net.hearing import Hearing, Sender, Watch, hearing
from tests.net.urgent_wires import await_bytes, reset
from tests.reactor.streams import Keeping, dialled, listening, turns

SHORT = b"abcdef"
GONE = Failure(ConnectionAborted())


def arrives(heard: Hearing, peer: Sender) -> None:
    """Wait, without a turn of the reactor, until all that was sent has come."""
    await_bytes(heard.wire.getHandle(), peer.sent)


@pytest_twisted.ensureDeferred
async def test_it_works_on_tcp_without_tls(tmp_path: Path) -> None:
    async with hearing() as (heard, _):
        assert works_on(heard.wire)
        alsoProvides(heard.wire, ISSLTransport)
        assert not works_on(heard.wire)
        noLongerProvides(heard.wire, ISSLTransport)
    assert not works_on(StringTransport())
    async with listening(Keeping, str(tmp_path / "sock")) as port:
        with dialled(port.address):
            assert not works_on((await port.first()).wire)
        await until(lambda: port.protocols[0].lost)


# being told


@pytest.mark.parametrize("place", range(len(SHORT) + 1))
@pytest.mark.parametrize("has_end", [False, True], ids=["open", "ended"])
@pytest_twisted.ensureDeferred
async def test_a_byte_at_any_place_is_told_of_ahead_and_the_others_come(
    place: int, has_end: bool
) -> None:
    async with hearing() as (heard, peer):
        peer.send(SHORT[:place].decode() + "!", SHORT[place:])
        arrives(heard, peer)
        if has_end:
            peer.sock.shutdown(socket.SHUT_WR)
        await until(lambda: heard.told and heard.received == SHORT)
        if has_end:
            await until(lambda: heard.has_ended)
        await turns(3)
        assert (heard.told, heard.ahead) == (b"!", [0])
        assert heard.received == SHORT


@pytest_twisted.ensureDeferred
async def test_a_byte_alone_is_told_of() -> None:
    async with hearing() as (heard, peer):
        for count in (1, 2, 3):
            peer.send("!")
            await until(lambda: len(heard.told) == count)  # noqa: B023 - at once
        assert heard.received == b""
        assert not heard.lost


@pytest_twisted.ensureDeferred
async def test_a_byte_that_came_before_the_connection_is_watched_is_told_of() -> None:
    watch = Watch()
    async with listening(lambda: Hearing(watch)) as port:
        with dialled(port.address) as sock:
            Sender(sock).send("ab!", b"cd")
            heard = await port.first()
            await until(lambda: heard.received == b"abcd")
            assert heard.told == b"!"
        await until(lambda: heard.lost)


@pytest_twisted.ensureDeferred
async def test_a_connection_that_is_not_read_from_is_told() -> None:
    async with hearing() as (heard, peer):
        heard.wire.pauseProducing()
        peer.send("ab!", b"cd")
        await until(lambda: heard.told)
        peer.send("ef?")
        await until(lambda: heard.told == b"!?")
        assert heard.received == b""
        heard.wire.resumeProducing()
        await until(lambda: heard.received == b"abcdef")
        assert heard.told == b"!?"


@pytest_twisted.ensureDeferred
async def test_of_two_before_one_look_the_first_is_ordinary() -> None:
    async with hearing() as (heard, peer):
        peer.send("a!", "b?", b"c")
        arrives(heard, peer)
        await until(lambda: heard.received == b"a!bc")
        assert heard.told == b"?"


@pytest.mark.parametrize("paused", [False, True])
@pytest_twisted.ensureDeferred
async def test_what_stands_before_the_byte_is_dropped_when_asked_and_nothing_else(
    paused: bool,
) -> None:
    async with hearing(lambda heard: heard.urgent.discard()) as (heard, peer):
        if paused:
            heard.wire.pauseProducing()
        peer.send("ab!", b"cd")
        arrives(heard, peer)
        await until(lambda: heard.told)
        heard.wire.resumeProducing()
        await until(lambda: heard.received)
        peer.send(b"ef")
        await until(lambda: heard.received == b"cdef")


@pytest_twisted.ensureDeferred
async def test_a_byte_for_which_there_is_no_room_comes_when_what_there_is_is_dropped() -> None:
    watch = Watch()
    async with listening(lambda: Hearing(watch, lambda heard: heard.urgent.discard())) as port:
        port.port.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        with dialled(port.address) as sock:
            heard = await port.first()
            heard.wire.pauseProducing()
            sock.sendall(bytes(20_000))
            Sender(sock).send("!", b"after")
            await until(lambda: heard.urgent.is_coming)
            assert not heard.told
            # nobody reads: who looks drops
            await until(lambda: heard.told or (heard.urgent.discard() and heard.told))
            assert not heard.urgent.is_coming
            heard.wire.resumeProducing()
            await until(lambda: heard.received)
            assert heard.received == b"after"
        await until(lambda: heard.lost)


@pytest.mark.parametrize("seed", range(5))
@pytest_twisted.ensureDeferred
async def test_whatever_is_sent_and_paused_no_byte_is_lost_doubled_or_out_of_order(
    seed: int,
) -> None:
    """Ordinary bytes are below 128 here, urgent ones above."""
    chance = random.Random(seed)
    ordinary, urged = bytearray(), bytearray()
    async with hearing() as (heard, peer):
        for _ in range(300):
            data = bytes((len(ordinary) + n) % 128 for n in range(chance.choice([0, 1, 2, 500])))
            ordinary += data
            if chance.random() < 0.5:
                urged.append(128 + len(urged) % 128)
                peer.send(data.decode("latin-1") + chr(urged[-1]))
            elif data:
                peer.send(data)
            if chance.random() < 0.2:
                chance.choice([heard.wire.pauseProducing, heard.wire.resumeProducing])()
            if chance.random() < 0.5:
                await turns(chance.randrange(1, 3))
        heard.wire.resumeProducing()
        await until(lambda: len(heard.received) + len(heard.told) == peer.sent)
        again = bytes(byte for byte in heard.received if byte >= 128)
        assert heard.received.translate(None, again) == ordinary
        assert sorted(again + heard.told) == sorted(urged)
        assert heard.told[-1:] == urged[-1:]


# what it does when it is told


DEEDS: dict[str, Callable[[Hearing], object]] = {
    "lose": lambda heard: heard.wire.loseConnection(),
    "abort": lambda heard: heard.wire.abortConnection(),
    "raise": lambda heard: 1 // 0,
    "raise as the kernel": lambda heard: heard.wire.getHandle().recv(1, socket.MSG_OOB),
    "stop and lose": lambda heard: heard.stop_and_lose(),
    "abort and drop": lambda heard: (heard.wire.abortConnection(), heard.urgent.discard()),
    "at once": lambda heard: heard.wire.connectionLost(GONE),
}


@pytest.mark.parametrize("deed", DEEDS)
@pytest.mark.parametrize("paused", [False, True], ids=["read", "paused"])
@pytest_twisted.ensureDeferred
async def test_who_ends_the_connection_when_told_receives_no_more_and_others_go_on(
    deed: str, paused: bool, log: LogRecorder
) -> None:
    watch = Watch()
    async with hearing(DEEDS[deed], watch) as (heard, peer), hearing(None, watch) as (other, far):
        if paused:
            heard.wire.pauseProducing()
        other.wire.pauseProducing()
        peer.send("ab!", b"cd")
        arrives(heard, peer)
        await until(lambda: heard.lost)
        assert heard.told == b"!"
        # who has stopped is left to Twisted, which may read once more in this pass
        assert heard.received == b"" or "stop" in deed
        assert heard.lost.check(ConnectionAborted if "lose" not in deed else ConnectionDone)
        far.send("x!")
        await until(lambda: other.told)
        assert bool(log.flush_faults()) == deed.startswith("raise")


@pytest.mark.parametrize("deed", DEEDS)
@pytest_twisted.ensureDeferred
async def test_who_ends_the_connection_on_data_is_told_no_more(deed: str, log: LogRecorder) -> None:
    async with hearing() as (heard, peer):
        heard.on_data = DEEDS[deed]
        peer.send(b"a")
        await until(lambda: heard.received)
        peer.send("!") if not heard.lost else None
        await until(lambda: heard.lost)
        assert (heard.told, heard.received) == (b"", b"a")
        log.flush_faults()


@pytest_twisted.ensureDeferred
async def test_who_has_stopped_reads_on_as_if_nothing_were_urgent() -> None:
    async with hearing() as (heard, peer):
        heard.urgent.stop()
        heard.urgent.stop()
        peer.send("ab!", b"cd")
        await until(lambda: heard.received == b"abcd")
        assert heard.told == b""


# the end


@pytest_twisted.ensureDeferred
async def test_a_connection_that_was_reset_is_lost_and_not_done() -> None:
    async with hearing() as (heard, peer):
        peer.send("ab!", b"cd")
        arrives(heard, peer)
        reset(peer.sock)
        await until(lambda: heard.lost)
        assert heard.lost.check(ConnectionLost)


@pytest_twisted.ensureDeferred
async def test_a_connection_that_was_reset_while_it_was_not_read_from_is_lost_and_not_done() -> (
    None
):
    async with hearing() as (heard, peer):
        heard.wire.pauseProducing()
        peer.send("ab!", b"cd")
        await until(lambda: heard.told)
        reset(peer.sock)
        heard.wire.resumeProducing()
        await until(lambda: heard.lost)
        assert heard.lost.check(ConnectionLost)
        assert heard.told == b"!"


# floods


@pytest.mark.parametrize("paused", [False, True], ids=["read", "paused"])
@pytest_twisted.ensureDeferred
async def test_a_flood_costs_a_read_or_two_a_byte_and_nothing_when_it_is_over(
    paused: bool,
) -> None:
    watch = Watch()
    reads = 0
    async with hearing(None, watch) as (heard, peer):
        inner = heard.wire.doRead

        def counted() -> Any:
            nonlocal reads
            reads += 1
            return inner()

        heard.wire.doRead = counted
        if paused:
            heard.wire.pauseProducing()
        for _ in range(100):
            for _ in range(20):
                peer.send("!")
            await turns(2)
        peer.send("?")
        arrives(heard, peer)
        await until(lambda: heard.told.endswith(b"?") or len(heard.told) == MOST_TOLD)
        if not paused:
            await until(lambda: len(heard.told) + len(heard.received) == peer.sent)
        await turns(10)
        before = reads, watch.wakes, len(heard.told)
        await turns(50)
        assert (reads, watch.wakes, len(heard.told)) == before
        assert reads <= 2 * peer.sent
        assert watch.wakes <= 2 * peer.sent
        heard.wire.resumeProducing()
        await until(lambda: len(heard.told) + len(heard.received) == peer.sent)
