"""travesty: urgent bytes of the client, at every place."""

from __future__ import annotations

import socket
from contextlib import suppress

import pytest
import pytest_twisted

from sockd.formats.travesty import words_of
from sockd.services.travesty import Stage
from tests.helpers import LogRecorder, until
from tests.services.travesty_peers import (
    ENDLESS,
    TEXT,
    UNIQUE,
    UPLOAD,
    Peer,
    busy_threads,
    joined,
    served,
    turn,
)

pytestmark = pytest.mark.usefixtures("own_runtime")
SHORT = b"DATA\r\nto be or\r\n not.\r\n.\r\n"
ASKED = b"GENERATE 5\r\n"
DATA = len(b"DATA\r\n")


async def until_read(peer: Peer, size: int) -> None:
    """Until the service has so many bytes, and has done with them what it can."""
    await until(lambda: peer.session.bytes_in >= size and not peer.session.buffer.has_request)


# in an upload


@pytest.mark.parametrize("place", range(len(SHORT) + 1))
@pytest.mark.parametrize("alone", [False, True])
@pytest_twisted.ensureDeferred
async def test_an_urgent_byte_in_an_upload_ends_it_with_one_answer(place: int, alone: bool) -> None:
    async with joined() as peer:
        if alone and place:
            peer.send(SHORT[:place])
            await until_read(peer, place)
            peer.urge()
        else:
            peer.urge(SHORT[:place] + b"!")
        if place < DATA:
            peer.send(SHORT[place:])  # no upload has begun: nothing is dropped
        await peer.codes(201)
        known = words_of((await peer.codes(202)).encode())
        assert known is not None
        if place < DATA or (alone and place == len(SHORT)):
            assert known == 4
        elif alone:
            words = SHORT[DATA:place].split()
            assert len(words) - 1 <= known <= len(words)
        else:
            assert known in (0, 4)
        await peer.bye()


@pytest_twisted.ensureDeferred
async def test_what_was_learnt_before_an_urgent_byte_is_kept_and_texts_are_made_of_it() -> None:
    async with joined() as peer:
        begun = b"DATA\r\none two three one two four unfinish"
        peer.send(begun)
        await until_read(peer, len(begun))
        peer.urge(b"ed and more\r\n.\r\nGENERATE 100\r\n!")
        peer.send(b"GENERATE 50\r\n")
        await peer.codes(201)
        assert words_of((await peer.codes(202)).encode()) == 4
        words = await peer.text()
        assert (len(words), set(words)) == (50, {b"one", b"two", b"three", b"four"})
        await peer.bye()


@pytest_twisted.ensureDeferred
async def test_what_is_unread_of_a_long_upload_is_dropped(log: LogRecorder) -> None:
    async with joined() as peer:
        peer.send(b"DATA\r\n")
        await peer.codes(201)
        sent = 0
        with suppress(BlockingIOError):
            while sent < 1 << 20:
                sent += peer.socket.send(b"word%d and\r\n" % sent * 100)
        while True:
            with suppress(BlockingIOError):
                peer.urge()
                break
            await turn()
        await peer.codes(202)
        await peer.bye()
    [stopped] = log.events("transfer-stopped")
    assert (stopped["transfer"], stopped["how"]) == ("upload", "urgent byte")
    assert 0 <= stopped["dropped"] <= sent


@pytest.mark.parametrize("ends", [False, True])
@pytest_twisted.ensureDeferred
async def test_while_a_text_is_sorted_it_is_answered_once(ends: bool, log: LogRecorder) -> None:
    async with joined() as peer:
        with busy_threads():
            peer.send(UPLOAD)
            session = await peer.until_stage(Stage.SORTING)
            peer.urge(b"RESET\r\n!")
            await until(lambda: log.events("transfer-stopped"))
            assert session._stage is Stage.SORTING
            if ends:
                peer.end()
        await peer.codes(201)
        assert words_of((await peer.codes(202)).encode()) == UNIQUE
        if ends:
            await peer.nothing_more()
            return
        await peer.in_step()
        peer.send(b"GENERATE 5\r\n")
        assert len(await peer.text()) == 5
        await peer.bye()


# in a text that is made up


@pytest.mark.parametrize("place", range(len(ASKED) + 1))
@pytest.mark.parametrize("alone", [False, True])
@pytest_twisted.ensureDeferred
async def test_an_urgent_byte_at_any_place_of_a_question_for_a_text(
    place: int, alone: bool
) -> None:
    async with joined() as peer:
        await peer.learn()
        if alone and place:
            peer.send(ASKED[:place])
            await until_read(peer, len(UPLOAD) + place)
            peer.urge()
        else:
            peer.urge(ASKED[:place] + b"!")
        peer.send(ASKED[place:] or b"\r\n")
        if place < len(ASKED):
            assert len(await peer.text()) == 5  # it stands before the question's end: ignored
        elif alone:
            assert len(await peer.text()) == 5
            assert await peer.mark() == b""  # the client may have asked before it had it all
            await peer.codes(500)
        else:
            assert (await peer.mark()).startswith(b"203 ")
            await peer.codes(500)
        await peer.bye()


@pytest_twisted.ensureDeferred
async def test_a_long_text_is_cut_off_at_one_mark_and_what_was_asked_behind_it_is_dropped() -> None:
    async with joined() as peer:
        await peer.learn()
        for _ in range(3):
            peer.send(ENDLESS)
            await peer.codes(203)
            await until(lambda: len(peer.came) - peer.heard > 10_000 or peer.read())
            peer.urge(b"RESET\r\nBYE\r\n!")
            text = await peer.mark()
            assert b"\r\n.\r\n" not in text
            assert set(text.split()[:-1]) <= set(TEXT.split())
            await peer.in_step()
        assert len(peer.marks) == 3
        await peer.bye()


@pytest_twisted.ensureDeferred
async def test_behind_a_text_that_was_sent_whole_one_mark_comes_and_only_one() -> None:
    async with joined() as peer:
        await peer.learn()
        peer.send(ASKED)
        await peer.text()
        peer.urge()
        assert await peer.mark() == b""
        await peer.in_step()
        peer.urge()  # nobody waits for a text now
        await peer.in_step()
        peer.send(ASKED + b"FEATURES\r\n")
        await peer.text()
        await peer.codes(206)
        peer.urge()
        await peer.bye()
        assert len(peer.marks) == 1


@pytest.mark.parametrize("before", [b"", b"what?\r\n"])
@pytest.mark.parametrize("part", [0, 2, 6])
@pytest_twisted.ensureDeferred
async def test_behind_a_text_that_was_sent_whole_the_byte_is_for_the_upload_before_it(
    before: bytes, part: int
) -> None:
    async with joined() as peer:
        await peer.learn()
        peer.send(ASKED)
        await peer.text()
        peer.send(before + b"data\r\n"[:part])
        if part:
            await until_read(peer, len(UPLOAD + ASKED + before) + part)
        peer.urge(b"data\r\n"[part:] + b"!")
        await peer.codes(*([500] if before else []), 201, 202)
        await peer.bye()
        assert not peer.marks


@pytest_twisted.ensureDeferred
async def test_behind_a_text_that_was_sent_whole_the_byte_is_for_the_one_asked_for_next() -> None:
    async with joined() as peer:
        await peer.learn()
        peer.send(ASKED)
        await peer.text()
        peer.urge(ENDLESS + b"!")
        assert (await peer.mark()).startswith(b"203 ")
        await peer.bye()
        assert len(peer.marks) == 1


@pytest.mark.parametrize("count", [2, 3, 50])
@pytest_twisted.ensureDeferred
async def test_of_urgent_bytes_in_a_row_one_is_answered(count: int) -> None:
    async with joined() as peer:
        await peer.learn()
        peer.send(ENDLESS)
        await peer.codes(203)
        for number in range(count):
            peer.urge()
            if number % 7 == 0:
                await turn()
        assert b"\r\n.\r\n" not in await peer.mark()
        await peer.bye()
        assert len(peer.marks) == 1


@pytest_twisted.ensureDeferred
async def test_urgent_bytes_before_and_between_commands_are_ignored() -> None:
    async with joined() as peer:
        peer.urge()
        await peer.in_step()
        peer.urge(b"DA!")
        peer.send(b"TA\r\n" + TEXT + b".\r\n")
        await peer.codes(201, 202)
        peer.urge(b"RES!")
        peer.send(b"ET\r\n")
        await peer.codes(205)
        peer.urge()
        await peer.bye()


@pytest_twisted.ensureDeferred
async def test_a_byte_that_was_ignored_stops_nothing_that_is_asked_behind_it() -> None:
    async with joined() as peer:
        for stray in (b"", b"!", b"!!!!!!!!!!!!", b"RESET\r\n"):
            peer.urge(stray + b"!")
            peer.send(UPLOAD + ASKED)
            if stray.strip(b"!"):
                await peer.codes(205)
            await peer.codes(201, 202)
            assert len(await peer.text()) == 5
            await peer.in_step()
        await peer.bye()


@pytest.mark.parametrize("asked", [ASKED, ENDLESS])
@pytest_twisted.ensureDeferred
async def test_an_urgent_byte_and_the_end_behind_it_are_answered_in_that_order(
    asked: bytes,
) -> None:
    async with joined() as peer:
        await peer.learn()
        peer.send(asked)
        await peer.codes(203)
        peer.urge()
        peer.end()
        await peer.mark()
        await peer.nothing_more()


@pytest_twisted.ensureDeferred
async def test_an_upload_an_urgent_byte_and_the_end_are_answered_once() -> None:
    async with joined() as peer:
        peer.send(b"DATA\r\n" + TEXT)
        await until_read(peer, 6 + len(TEXT))
        peer.urge()
        peer.end()
        await peer.codes(201, 202)
        await peer.nothing_more()


# who does not read


@pytest_twisted.ensureDeferred
async def test_a_text_for_who_does_not_read_waits_in_bounded_memory_and_is_stopped() -> None:
    async with joined(buffer=8192) as peer:
        await peer.learn()
        session = peer.session
        session.transport.getHandle().setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
        peer.send(ENDLESS)
        await until(lambda: session.is_blocked)
        written = session.bytes_out
        for _ in range(50):
            await turn()
        assert session.bytes_out == written  # not a byte is made that nobody takes
        assert len(session.transport.dataBuffer) < 256 * 1024
        peer.urge()
        await until(lambda: session._stage is Stage.COMMANDS)
        assert session.bytes_out <= written  # what waited is dropped
        await peer.mark()
        assert len(peer.came) == session.bytes_out + 1
        await peer.bye()


@pytest_twisted.ensureDeferred
async def test_a_text_goes_at_the_pace_of_who_reads_and_ends_where_it_is_stopped() -> None:
    async with joined(buffer=8192) as peer:
        await peer.learn()
        session = peer.session
        peer.send(ENDLESS)
        while len(peer.came) < 2_000_000:
            peer.read(4096)
            assert session.bytes_out - len(peer.came) < 8_000_000
            await turn()
        peer.urge()
        await until(lambda: session._stage is Stage.COMMANDS)
        written = session.bytes_out
        await peer.mark()
        assert len(peer.came) == written + 1
        await peer.bye()


@pytest_twisted.ensureDeferred
async def test_one_that_is_stopped_stops_nobody_else() -> None:
    async with served() as instance:
        one, other = Peer(instance), Peer(instance)
        with one.socket, other.socket:
            for peer in (one, other):
                await peer.codes(100)
                await peer.learn()
                peer.send(ENDLESS)
                await peer.codes(203)
            one.urge()
            await one.mark()
            await one.bye()
            seen = len(other.came)
            await until(lambda: other.read() or len(other.came) > seen + 1_000_000)
            assert not other.marks
            other.urge()
            await other.mark()
            await other.bye()


@pytest_twisted.ensureDeferred
async def test_the_data_mark_behind_telnet_s_urgent_byte_is_no_part_of_the_next_command() -> None:
    async with joined() as peer:
        peer.send(b"DATA\r\nto be")
        await peer.codes(201)
        peer.urge(b"\xff")
        peer.send(b"\xf2RESET\r\n")
        await peer.codes(202, 205)
        await peer.bye()
