"""Every kind of stream service, over every transport that it declares: the same bytes come back.

Each mode is a way in which a client talks; `tests/contract/samples.py` has what it says.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import pytest_twisted
from attrs import frozen
from twisted.internet.threads import deferToThread

from sockd.access.peer import Peer
from sockd.net.listener import Listener
from sockd.service import STREAM_TRANSPORTS
from tests.contract.samples import STREAMS, Answer, StreamSample, matches
from tests.helpers import FOUND, LogRecorder, connect, make_context, make_host, until
from tests.memory import Client, Loop
from tests.servers import Wire, dial, listen_string, serve

ENDLESS_BYTES = 20_000
"""What is taken of an answer that has no end."""
KINDS = sorted(name for name, kind in FOUND.kinds.items() if kind.stream)
CLIENT = Peer("127.0.0.1", 50_007)


@pytest.mark.parametrize("kind", KINDS)
def test_every_stream_service_has_a_sample_session(kind: str) -> None:
    assert kind in STREAMS, f"tests/contract/samples.py has no session for {kind}"


def receive(wire: Wire, sample: StreamSample, answer: Answer) -> bytes:
    """The answer, by what comes after it: nothing, the end, or more and more."""
    if sample.finish == "endless":
        return wire.receive(ENDLESS_BYTES)
    if sample.finish == "open":
        assert isinstance(answer, bytes)
        return wire.receive(len(answer))
    if sample.finish == "end":
        wire.end()
    return wire.receive()


def whole(wire: Wire, sample: StreamSample) -> bytes:
    wire.send(sample.request)
    return receive(wire, sample, sample.answer)


def byte_by_byte(wire: Wire, sample: StreamSample) -> bytes:
    for byte in sample.request:
        wire.send(bytes([byte]))
    return receive(wire, sample, sample.answer)


def trailing(wire: Wire, sample: StreamSample) -> bytes:
    wire.send(sample.request + sample.trailing)
    return to_the_end(wire, sample)


def oversize(wire: Wire, sample: StreamSample) -> bytes:
    wire.send(sample.oversize)
    return to_the_end(wire, sample)


def half_closed(wire: Wire, sample: StreamSample) -> bytes:
    wire.send(sample.request)
    return to_the_end(wire, sample)


def silent(wire: Wire, sample: StreamSample) -> bytes:
    return to_the_end(wire, sample)


def to_the_end(wire: Wire, sample: StreamSample) -> bytes:
    if sample.finish == "endless":
        # its end is the client's going: what is left when the client ends is not all of it
        return wire.receive(ENDLESS_BYTES)
    wire.end()
    return wire.receive()


@frozen
class Mode:
    """A way to talk, and which of the sample's answers it gets."""

    talk: Callable[[Wire, StreamSample], bytes]
    answer: Callable[[StreamSample], Answer]


MODES = {
    "whole": Mode(whole, lambda sample: sample.answer),
    "byte by byte": Mode(byte_by_byte, lambda sample: sample.answer),
    "half-closed": Mode(half_closed, lambda sample: sample.answer),
    "trailing bytes": Mode(trailing, lambda sample: sample.with_trailing),
    "oversize": Mode(oversize, lambda sample: sample.of_oversize),
    "silent": Mode(silent, lambda sample: sample.of_nothing),
}


@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
@pytest.mark.parametrize("kind", KINDS)
@pytest_twisted.ensureDeferred
async def test_a_service_answers_the_same_over_every_transport(
    kind: str, mode: Mode, tmp_path: Path, tls_files: tuple[Path, ...]
) -> None:
    sample = STREAMS[kind]
    answers = {}
    for transport in STREAM_TRANSPORTS:
        listen = listen_string(transport, tmp_path, tls_files)
        async with serve(kind, listen, **sample.table) as instance:
            answers[transport] = await deferToThread(talk, instance.listeners[0], mode.talk, sample)
            await until(lambda: not instance.context.guard.sessions)
        assert instance.context.guard.counts["errors"] == 0
        assert matches(mode.answer(sample), answers[transport]), (transport, answers[transport])
    assert len(set(answers.values())) == 1, answers


def talk(
    listener: Listener, how: Callable[[Wire, StreamSample], bytes], sample: StreamSample
) -> bytes:
    with dial(listener) as wire:
        return how(wire, sample)


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize("transport", STREAM_TRANSPORTS)
@pytest.mark.parametrize("kind", KINDS)
@pytest_twisted.ensureDeferred
async def test_a_client_that_leaves_within_its_request_leaves_nothing_behind(
    kind: str, transport: str, reset: bool, tmp_path: Path, tls_files: tuple[Path, ...]
) -> None:
    sample = STREAMS[kind]

    def leave(listener: Listener) -> None:
        with dial(listener) as wire:
            wire.send(sample.request[: len(sample.request) // 2])
            if reset:
                wire.reset()

    listen = listen_string(transport, tmp_path, tls_files)
    async with serve(kind, listen, **sample.table) as instance:
        guard = instance.context.guard
        await deferToThread(leave, instance.listeners[0])
        await until(lambda: guard.counts["connections"] == 1 and not guard.sessions)
        answer = await deferToThread(talk, instance.listeners[0], whole, sample)
        assert matches(sample.answer, answer)
    assert guard.counts["errors"] == 0


# in memory: each chunk is one read of the service, exactly


def client_of(kind: str, takes: int | None) -> Client:
    context = make_context(kind, make_host(Loop()), **STREAMS[kind].table)
    return connect(kind, context, CLIENT, takes)


async def come_to(client: Client, condition: Callable[[], bool]) -> None:
    """Let real children and the loop in memory work until the condition holds."""

    def settled() -> bool:
        client.loop.settle()
        return condition()

    await until(settled)


@pytest.mark.parametrize("size", [1, 2, 7, 65536], ids=lambda size: f"reads of {size}")
@pytest.mark.parametrize("kind", KINDS)
@pytest_twisted.ensureDeferred
async def test_however_a_request_is_cut_into_reads_the_answer_is_the_same(
    kind: str, size: int
) -> None:
    sample = STREAMS[kind]
    client = client_of(kind, ENDLESS_BYTES if sample.finish == "endless" else None)
    request = sample.request + sample.trailing
    client.send(*(request[start : start + size] for start in range(0, len(request), size)))
    if sample.finish == "endless":
        assert matches(sample.answer, client.received)
        return
    client.end()
    await come_to(client, lambda: client.is_closed)
    assert matches(sample.with_trailing, client.received), client.received


@pytest.mark.parametrize("kind", KINDS)
@pytest_twisted.ensureDeferred
async def test_a_client_may_leave_after_any_byte_of_its_request(
    kind: str, log: LogRecorder
) -> None:
    sample = STREAMS[kind]
    for length in range(len(sample.request) + 1):
        client = client_of(kind, ENDLESS_BYTES)
        client.send(sample.request[:length])
        client.vanish()
        assert client.is_closed
        assert client.protocol.context.guard.counts["errors"] == 0
    # each program that was started has its time to end
    started = len(log.events("child-started"))
    await until(lambda: len(log.events("child-reaped")) == started)
