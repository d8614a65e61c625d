"""TCP services of hosts that were found: proven by what they say, some at a time."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import pytest_twisted
from attrs import define, evolve, field

from sockd.client.asking import Asking
from sockd.client.lan.doors import MOST_CONNECTS, MOST_HOSTS_TRIED, Doors
from sockd.client.lan.proofs import MOST_ANSWER, STREAM_QUESTIONS, Question
from sockd.client.process import Run
from sockd.testing.running import running_reactor, until
from tests.client.peers import Peer, Server, close, echo, serving
from tests.processes import free_port

HOST = "127.0.0.1"
BY_NAME = {one.service: one for one in STREAM_QUESTIONS}


@define(eq=False)
class Found:
    """What the doors have told."""

    told: list[tuple[str, str, bytes, bool]] = field(factory=list)

    def __call__(
        self, address: str, question: Question, data: bytes, is_proof: bool, rtt_ns: int | None
    ) -> None:
        assert rtt_ns is not None
        self.told.append((address, question.service, data, is_proof))


def opened(questions: list[Question], found: Found, wait: float = 60.0) -> Doors:
    run = Run(running_reactor(), Asking(wait=wait), lambda _: None)
    return Doors(run, questions, lambda: b"sock1", found)


async def look(service: str, server: Server, wait: float = 60.0) -> list[tuple[bytes, bool]]:
    """What is told of a server that claims to be a service."""
    found = Found()
    async with serving(server):
        made = opened([evolve(BY_NAME[service], port=server.port)], found, wait)
        made.knock(HOST)
        await made.done()
    return [(data, is_proof) for _, _, data, is_proof in found.told]


def says(*parts: bytes) -> Callable[[Peer], None]:
    def say(peer: Peer) -> None:
        for part in parts:
            peer.wire.write(part)

    return say


def says_and_closes(data: bytes) -> Callable[[Peer], None]:
    def say(peer: Peer) -> None:
        peer.wire.write(data)
        close(peer)

    return say


@pytest_twisted.ensureDeferred
async def test_a_service_that_answers_right_is_found() -> None:
    assert await look("echo", Server(received=echo)) == [(b"sock1\r\n", True)]


@pytest_twisted.ensureDeferred
async def test_a_service_that_speaks_first_is_found() -> None:
    server = Server(connected=says_and_closes(b"Sat Nov 28 19:54:12 2026\r\n"))
    assert await look("daytime", server) == [(b"Sat Nov 28 19:54:12 2026\r\n", True)]


@pytest_twisted.ensureDeferred
async def test_a_last_line_needs_no_end() -> None:
    assert await look("welcome", Server(connected=says_and_closes(b"Welcome"))) == [
        (b"Welcome", True)
    ]


@pytest_twisted.ensureDeferred
async def test_who_sends_without_end_is_heard_no_longer_than_needed() -> None:
    server = Server(connected=says(b"\x1b" * (4 * MOST_ANSWER)))
    [(data, is_proof)] = await look("greet", server)
    assert not is_proof
    assert len(data) <= 2 * MOST_ANSWER


@pytest.mark.parametrize("service", ["echo", "factor", "ack", "time"])
@pytest_twisted.ensureDeferred
async def test_who_says_something_else_is_something_else(service: str) -> None:
    server = Server(connected=says_and_closes(b"HTTP/1.1 400 Bad Request\r\n\r\n"))
    [(_, is_proof)] = await look(service, server)
    assert not is_proof


@pytest_twisted.ensureDeferred
async def test_who_says_nothing_is_not_told_of() -> None:
    assert await look("echo", Server(connected=close)) == []
    assert await look("echo", Server(), wait=0.01) == []
    assert await look("echo", Server(connected=lambda peer: peer.wire.abortConnection())) == []


@pytest_twisted.ensureDeferred
async def test_who_falls_silent_in_the_middle_has_proven_nothing() -> None:
    server = Server(connected=says(b"So"))
    told = await look("greet", server, wait=0.5)
    assert told in ([(b"So", False)], [])  # it may be slower than the wait


@pytest_twisted.ensureDeferred
async def test_ports_where_nobody_listens_end_at_once_however_many_they_are() -> None:
    questions = [evolve(BY_NAME["echo"], port=free_port()) for _ in range(3)] * 700
    found = Found()
    made = opened(questions, found)
    made.knock(HOST)
    await made.done()
    assert found.told == []


@pytest_twisted.ensureDeferred
async def test_an_address_is_tried_once_and_only_so_many_at_once() -> None:
    server = Server()
    async with serving(server):
        questions = [evolve(BY_NAME["echo"], port=server.port)] * (MOST_CONNECTS + 1)
        made = opened(questions, Found())
        made.knock(HOST)
        made.knock(HOST)
        await until(lambda: len(server.peers) == MOST_CONNECTS)
        assert made.open_count == MOST_CONNECTS
        # one that ends makes room for the next
        server.peers[0].wire.loseConnection()
        await until(lambda: len(server.peers) == MOST_CONNECTS + 1)
        made.close()
        await made.done()
    assert len(server.peers) == MOST_CONNECTS + 1


@pytest_twisted.ensureDeferred
async def test_no_more_addresses_are_tried_however_many_are_forged() -> None:
    found = Found()
    made = opened([], found)
    for number in range(MOST_HOSTS_TRIED + 9):
        made.knock(f"10.{number >> 8}.{number & 255}.1")
    await made.done()
    assert made.left_out == 9


@pytest_twisted.ensureDeferred
async def test_a_fault_of_ours_is_raised() -> None:
    def faulty(_: bytes) -> bytes:
        raise ZeroDivisionError

    async with serving(Server()) as server:
        made = opened([evolve(BY_NAME["echo"], port=server.port, request=faulty)], Found())
        made.knock(HOST)
        with pytest.raises(ZeroDivisionError):
            await made.done()
