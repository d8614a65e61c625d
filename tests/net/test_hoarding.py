"""What a client can make the daemon hold: at most 256 kB, whatever it sends and does not read."""

from __future__ import annotations

import gc
import socket
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from attrs import evolve

from sockd.net.stream import Stream
from sockd.service import Kind
from sockd.testing.sockets import Connection, address_of, listen_string, serve
from tests.contract.samples import STREAMS
from tests.helpers import FOUND, connect, held_by, make_context, until
from tests.memory import Client
from tests.security.hosts import reset, small_clients

LIMIT = 256 * 1024
KINDS = sorted(name for name, kind in FOUND.kinds.items() if kind.stream)
READ = 65_536
"""Bytes of the longest read: Twisted's, and so what a connection holds before it can say no."""
FLOODS = {
    "no line ends": b"x" * READ,
    "empty lines": b"\n" * READ,
    "short lines": b"ab\n" * (READ // 3),
    "short numbers": b"42\r\n" * (READ // 4),
    "words": b"ab cd " * (READ // 6),
    "paragraphs": b"a\n\n" * (READ // 3),
    "other alphabets": "ąб\n".encode() * (READ // 5),
    "bytes that are no text": b"\xff\xfe\n" * (READ // 3),
}


@pytest.mark.parametrize("ends", [False, True], ids=["open", "half-closed"])
@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS)
@pytest.mark.parametrize("kind", KINDS)
@pytest_twisted.ensureDeferred
async def test_a_client_that_does_not_read_costs_little(
    kind: str, flood: bytes, ends: bool
) -> None:
    context = make_context(kind, **STREAMS[kind].table)
    warm_up = connect(kind, context, takes=READ)
    warm_up.send(b"42\n")
    warm_up.vanish()
    tracemalloc.start()
    try:
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        client = connect(kind, context, takes=0)
        client.send(*[flood] * (2 if ends else 40))
        if ends:
            client.end()
        await rest(client)
        gc.collect()
        held = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert client.held <= LIMIT
    assert held <= LIMIT, f"{held} bytes"


@pytest.mark.parametrize("kind", ["ack", "discard", "echo", "factor", "reverse"])
def test_a_connection_that_waits_and_then_asks_is_not_given_a_dictionary(kind: str) -> None:
    # of 800 bytes, by Python, where an object gets an attribute that the first thirty of its class
    # had not: so the class is a new one
    fresh: Any = FOUND.kinds[kind]
    fresh = evolve(fresh, stream=type("Fresh", (fresh.stream,), {}))
    context = make_context(fresh, max_connections=50, trusted=["0.0.0.0/0"])
    clients = [connect(fresh, context) for _ in range(50)]
    context.world.reactor.advance(1)
    for client in clients:
        client.send(b"42\n4")
    context.world.reactor.advance(1)
    assert len(context.guard.sessions) == 50
    held = [type(held) for session in context.guard.sessions for held in gc.get_referents(session)]
    assert dict not in held


class Sizes(Stream):
    """Writes down how much each read brought."""

    lingers = False

    def received(self, data: bytes) -> None:
        SEEN.append(len(data))


SEEN: list[int] = []
SIZES = Kind(name="sizes", doc="Writes down sizes.", stream=Sizes)


@pytest.mark.parametrize("transport", ["tcp", "unix"])
@pytest_twisted.ensureDeferred
async def test_a_read_brings_no_more_than_was_reckoned_with(transport: str, tmp_path: Path) -> None:
    """However much lies ready, on the reactor that runs."""
    SEEN.clear()
    async with serve(SIZES, listen_string(transport, tmp_path)) as instance:
        with Connection(address_of(instance.listeners[0])) as wire:
            await until(lambda: instance.context.guard.sessions)
            wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1024 * 1024)
            wire.socket.setblocking(False)
            sent = wire.socket.send(bytes(1024 * 1024))
            await until(lambda: sum(SEEN) == sent)
    assert sent > READ
    assert max(SEEN) <= READ


@pytest_twisted.ensureDeferred
async def test_little_of_an_echo_waits_in_the_transport_for_a_client_that_does_not_read() -> None:
    """On the reactor that runs, for a client with little room in its own kernel."""
    async with serve("echo", "tcp:0:interface=127.0.0.1") as instance:
        [sock] = small_clients(address_of(instance.listeners[0]), 1)
        with sock:
            sock.setblocking(False)
            await until(lambda: instance.context.guard.sessions)
            session: Any = next(iter(instance.context.guard.sessions))
            most, quiet_turns = 0, 0

            def is_stuck() -> bool:
                nonlocal most, quiet_turns
                most = max(most, held_by(session.transport))
                try:
                    sock.send(bytes(READ))
                    quiet_turns = 0
                except BlockingIOError:
                    quiet_turns += 1
                # A client's kernel may also wait for an acknowledgement: that alone is not the end.
                return session.is_blocked and quiet_turns > 20

            await until(is_stuck)
            reset(sock)
    assert 0 < most <= LIMIT


async def rest(client: Client) -> None:
    """Until neither the loop nor a child of the client does anything more."""
    client.loop.settle()
    if not client.protocol.context.guard.counts["children"]:
        return
    states: list[tuple[int, int, bool]] = []

    def unchanged() -> bool:
        client.loop.settle()
        states.append((len(client.socket.inbox), client.held, client.is_closed))
        return len(states) > 20 and len(set(states[-20:])) == 1

    await until(unchanged)
