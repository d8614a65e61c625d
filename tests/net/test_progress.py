"""What the kernel knows of a peer that ended its half: is it still there?"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
import pytest_twisted

from sockd.net import progress
from sockd.net.progress import ask_for_life, delivered, has_finished, is_lost
from tests.daemons import namespace, run
from tests.helpers import until
from tests.processes import PATIENCE, wait_until
from tests.security.hosts import on
from tests.services.programs import running, session_of

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def host() -> Iterator[str]:
    """A host whose system forgets within a second or two who has closed."""
    with namespace() as name:
        run("ip", "netns", "exec", name, "sysctl", "-qw", "net.ipv4.tcp_fin_timeout=1")
        yield name


def tcp_pair(host: str) -> Pair:
    """Both ends of a connection: the peer's, and ours."""

    def make() -> Pair:
        with socket.create_server(("127.0.0.1", 0)) as server:
            peer = socket.create_connection(server.getsockname(), PATIENCE)
            ours, _ = server.accept()
        return peer, ours

    return on(host, make)


def test_a_peer_that_has_closed_is_found_out_and_one_that_reads_on_is_not(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "KEEPALIVE_SECONDS", 1)
    with ExitStack() as stack:
        pairs = [tcp_pair(host) for _ in range(3)]
        for sock in (end for pair in pairs for end in pair):
            stack.enter_context(sock)
        (closes, gone), (ends, there), (_, idle) = pairs
        assert not has_finished(gone)
        closes.sendall(b"unread")
        closes.close()
        ends.sendall(b"unread")
        ends.shutdown(socket.SHUT_WR)
        wait_until(lambda: has_finished(gone) and has_finished(there), "both ends are here")
        assert not has_finished(idle)
        assert not is_lost(gone)
        for sock in (gone, there, idle):
            ask_for_life(sock)
            ask_for_life(sock)
        wait_until(lambda: is_lost(gone), "the one that has closed is lost")
        assert not is_lost(there)
        assert not is_lost(idle)


def test_a_peer_that_has_closed_a_unix_socket_is_known_at_once() -> None:
    peer, ours = socket.socketpair()
    with peer, ours:
        assert not has_finished(ours)
        peer.shutdown(socket.SHUT_WR)
        assert has_finished(ours)
        assert not is_lost(ours)
        ask_for_life(ours)
        peer.close()
        assert is_lost(ours)
        assert has_finished(ours)


@pytest_twisted.ensureDeferred
async def test_a_client_that_has_ended_its_half_while_we_work_is_asked_for_signs_of_life() -> None:
    async with running("sleep", "1000") as (instance, wire):
        session = await session_of(instance)
        sock = session._socket()
        assert not sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        wire.end()
        await until(lambda: sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE))
        assert session.is_open


def test_what_the_peer_has_taken_is_told_apart_from_what_waits(host: str) -> None:
    peer, ours = tcp_pair(host)
    with peer, ours:
        before = delivered(ours, 0)
        ours.sendall(bytes(1000))
        wait_until(lambda: delivered(ours, 1000) - before == 1000, "its kernel has it")
    peer, ours = socket.socketpair(socket.AF_UNIX)
    with peer, ours:
        ours.sendall(bytes(1000))
        waiting = delivered(ours, 1000)
        peer.recv(1000)
        assert waiting < delivered(ours, 1000) == 1000
