"""travesty: the line `ABORT`, for who has asked for features, over every transport."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet.threads import deferToThread

from sockd.formats.travesty import words_of
from sockd.services.travesty import MOST_UNHEARD, Stage, kind
from sockd.testing.sockets import Connection, dial, serve_door
from tests.helpers import LogRecorder, until
from tests.services.travesty_peers import (
    ENDLESS,
    TEXT,
    UPLOAD,
    busy_threads,
    joined,
    until_nothing_is_left,
)

pytestmark = pytest.mark.usefixtures("own_runtime")
TRANSPORTS = ("tcp", "tls", "unix")


def line(wire: Connection) -> bytes:
    """The next line."""
    said = bytearray()
    while not said.endswith(b"\r\n"):
        byte = wire.receive(1)
        assert byte, said
        said += byte
    return bytes(said[:-2])


def codes(wire: Connection, *expected: int) -> bytes:
    said = b""
    for code in expected:
        said = line(wire)
        assert said.startswith(b"%d " % code), (code, said)
    return said


def to_the_end_of_a_text(wire: Connection) -> int:
    """How many words came before the line that ends it."""
    words = 0
    while (said := line(wire)) != b".":
        words += len(said.split())
    return words


def talk(wire: Connection) -> None:
    """ABORT in each stage, and always the next question is answered next."""
    wire.send(b"FEATURES\r\n")
    assert codes(wire, 100, 206) == b"206 ABORT"
    wire.send(b"ABORT\r\nabort\r\n")  # nothing is under way
    codes(wire, 207, 207)
    wire.send(b"DATA\r\nto be or not to be\r\nABORT\r\nRESET\r\n")
    assert words_of(codes(wire, 201, 202)) == 4
    codes(wire, 207, 205)
    for end in (b"\r\n", b"\n"):
        wire.send(b"DATA\r\n ABORT\r\nABORT it\r\nabort\r\nto be or" + end + b"ABORT" + end)
        assert words_of(codes(wire, 201, 202)) == 6
        codes(wire, 207)
    wire.send(UPLOAD + b"ABORT\r\n")
    codes(wire, 201, 202, 207)
    for behind in (b"", b"RESET\r\nBYE\r\n", b"x\r\n"):
        wire.send(ENDLESS + behind + b"ABORT\r\n")
        codes(wire, 203)
        to_the_end_of_a_text(wire)
        codes(wire, 207)
    wire.send(ENDLESS)
    codes(wire, 203)
    wire.receive(100_000)
    wire.send(b"AB")
    wire.receive(100_000)
    wire.send(b"ORT\r\n")
    line(wire)
    to_the_end_of_a_text(wire)
    codes(wire, 207)
    wire.send(b"GENERATE 5\r\n")
    codes(wire, 203)
    assert to_the_end_of_a_text(wire) == 5
    wire.send(b"ABORT\r\nBYE\r\n")  # too late: it is over
    codes(wire, 207, 204)
    assert wire.receive() == b""


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest_twisted.ensureDeferred
async def test_abort_ends_whatever_is_under_way_and_is_answered_at_last(
    transport: str, tmp_path: Path, log: LogRecorder
) -> None:
    def client() -> None:
        with dial(listener) as wire:
            talk(wire)

    async with serve_door(kind, "", transport, tmp_path) as (instance, listener):
        await deferToThread(client)
        await until_nothing_is_left(instance)
    stopped = [(event["transfer"], event["how"]) for event in log.events("transfer-stopped")]
    assert stopped == [("upload", "ABORT")] * 3 + [("text", "ABORT")] * 4


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest_twisted.ensureDeferred
async def test_who_has_not_asked_for_features_has_a_word_more(
    transport: str, tmp_path: Path
) -> None:
    def client() -> None:
        with dial(listener) as wire:
            wire.send(
                b"ABORT\r\nDATA\r\none\r\nABORT\r\ntwo\r\n.\r\nGENERATE 1000\r\nABORT\r\nBYE\r\n"
            )
            codes(wire, 100, 500, 201)
            assert words_of(codes(wire, 202)) == 3
            codes(wire, 203)
            assert to_the_end_of_a_text(wire) == 1000
            codes(wire, 500, 204)
            assert wire.receive() == b""

    async with serve_door(kind, "", transport, tmp_path) as (instance, listener):
        await deferToThread(client)
        await until_nothing_is_left(instance)


@pytest_twisted.ensureDeferred
async def test_abort_while_a_text_is_sorted_is_answered_behind_it() -> None:
    async with joined() as peer:
        peer.send(b"FEATURES\r\n")
        await peer.codes(206)
        with busy_threads():
            peer.send(UPLOAD)
            await peer.until_stage(Stage.SORTING)
            peer.send(b"ABORT\r\n")
        await peer.codes(201, 202, 207)
        await peer.bye()


@pytest_twisted.ensureDeferred
async def test_an_urgent_byte_and_then_abort_stop_a_transfer_once_each_answered() -> None:
    """As a client does that has no mark back in time."""
    async with joined() as peer:
        peer.send(b"FEATURES\r\n" + UPLOAD + ENDLESS)
        await peer.codes(206, 201, 202, 203)
        peer.urge()
        await peer.mark()
        peer.send(b"\r\nABORT\r\n")
        await peer.codes(500, 207)
        await peer.bye()


@pytest_twisted.ensureDeferred
async def test_an_urgent_byte_that_became_text_on_its_way_does_not_hide_abort() -> None:
    async with joined() as peer:
        peer.send(b"FEATURES\r\n" + UPLOAD + ENDLESS)
        await peer.codes(206, 201, 202, 203)
        peer.send(b"!")
        peer.send(b"\r\nABORT\r\n")
        while await peer.line() != ".":
            pass
        await peer.codes(207)
        await peer.bye()


@pytest.mark.parametrize("has_features", [False, True])
@pytest_twisted.ensureDeferred
async def test_what_is_sent_while_a_text_comes_is_held_in_bounded_memory(
    has_features: bool,
) -> None:
    async with joined() as peer:
        await peer.learn()
        if has_features:
            peer.send(b"FEATURES\r\n")
            await peer.codes(206)
        peer.send(ENDLESS)
        await peer.codes(203)
        session = peer.session
        flood, most = b"GENERATE 5\r\n" * 8192, 0
        for _ in range(200):
            try:
                peer.socket.send(flood)
            except BlockingIOError:
                break
            peer.read()
            most = max(most, len(session.buffer))
            await until(lambda: True)
        assert most <= MOST_UNHEARD + session.transport.bufferSize
        await until(lambda: peer.read() or session.holds)
        while True:
            peer.read()
            try:
                peer.urge()
                break
            except BlockingIOError:
                await until(lambda: True)
        await peer.mark()
        assert re.fullmatch(rb"[!\r\n]*", bytes(session.buffer._held))


@pytest_twisted.ensureDeferred
async def test_abort_is_heard_behind_a_question_that_waited_for_its_turn() -> None:
    async with joined() as peer:
        peer.send(b"FEATURES\r\n" + UPLOAD)
        await peer.codes(206, 201, 202)
        turns = peer.instance.context.world.turns
        turns.charge(1.0)  # the pass has no time left: what comes now waits
        peer.send(ENDLESS)
        await peer.codes(203)
        peer.send(TEXT + b"ABORT\r\n")
        while await peer.line() != ".":
            pass
        await peer.codes(207)
        await peer.bye()
