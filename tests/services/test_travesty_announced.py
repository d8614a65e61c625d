"""travesty: urgent bytes that are announced, and for which there is no room yet."""

from __future__ import annotations

import socket

import pytest
import pytest_twisted

from sockd.daemon.instance import RunningInstance
from sockd.services.travesty import Stage
from tests.helpers import LogRecorder, until
from tests.services.travesty_peers import ENDLESS, UPLOAD, Peer, busy_threads, served

pytestmark = pytest.mark.usefixtures("own_runtime")
LITTLE = 4096
"""Bytes of the service's kernel buffer, at least in name."""
TOO_MUCH = b"GENERATE 5\r\n" * 1700
"""So that there is no room for the byte, and it is announced."""


def have_little_room(instance: RunningInstance) -> None:
    listening = instance.listeners[0].bound_socket
    assert listening is not None
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, LITTLE)


def fill(peer: Peer) -> None:
    """More than there is room for, an urgent byte, and a question."""
    peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    peer.send(TOO_MUCH)
    peer.urge()
    peer.send(b"RESET\r\n")


@pytest.mark.parametrize("reads", [False, True])
@pytest_twisted.ensureDeferred
async def test_a_text_is_stopped_by_a_byte_that_cannot_come_before_there_is_room(
    reads: bool, log: LogRecorder
) -> None:
    async with served() as instance:
        have_little_room(instance)
        peer = Peer(instance, 8192)
        with peer.socket:
            await peer.codes(100)
            await peer.learn()
            peer.send(ENDLESS)
            await peer.codes(203)
            fill(peer)
            await until(lambda: (reads and peer.read()) or log.events("transfer-stopped"))
            await peer.mark()
            await peer.codes(205)
            await peer.bye()
            assert len(peer.marks) == 1
    [stopped] = log.events("transfer-stopped")
    assert 0 < stopped["dropped"] <= len(TOO_MUCH)


@pytest_twisted.ensureDeferred
async def test_while_a_text_is_sorted_its_answer_comes_once_and_what_stood_before_is_dropped(
    log: LogRecorder,
) -> None:
    async with served() as instance:
        have_little_room(instance)
        peer = Peer(instance)
        with peer.socket:
            await peer.codes(100)
            with busy_threads():
                peer.send(UPLOAD)
                await peer.until_stage(Stage.SORTING)
                fill(peer)
                await until(lambda: log.events("transfer-stopped"))
                await until(lambda: not peer.session._awaits_byte)
            await peer.codes(201, 202, 205)
            await peer.bye()
    assert len(log.events("transfer-stopped")) == 1


@pytest_twisted.ensureDeferred
async def test_who_announces_a_byte_and_ends_is_not_waited_for() -> None:
    async with served() as instance:
        have_little_room(instance)
        peer = Peer(instance)
        with peer.socket:
            await peer.codes(100)
            await peer.learn()
            peer.send(ENDLESS)
            await peer.codes(203)
            fill(peer)
            peer.end()
            await peer.mark()
            await peer.codes(205)
            await peer.nothing_more()
