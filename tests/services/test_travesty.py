"""travesty: its commands, over real connections."""

from __future__ import annotations

import pytest
import pytest_twisted

from sockd.daemon.instance import RunningInstance
from sockd.formats.travesty import words_of
from sockd.services.travesty import LARGEST_COUNT, Stage
from sockd.testing.sockets import serve
from sockd.travesty.filling import COLUMNS
from tests.helpers import connect, make_context, until
from tests.services.travesty_peers import (
    ENDLESS,
    LISTEN,
    TEXT,
    UNIQUE,
    UPLOAD,
    Peer,
    busy_threads,
    joined,
    served,
    turn,
    until_nothing_is_left,
)

pytestmark = pytest.mark.usefixtures("own_runtime")
OWN_PROTOCOL = b"""202 5 words
DATA
BYE
GENERATE 5
RESET
ABORT
 .
..
. .
203 follows
!
.x
"""
"""Lines of a text that look like commands, answers and ends, and are none."""

NO_NUMBERS = ("0", "-1", "+1", "1.5", "1e3", "one", "1 2", "\0001", "0x1", str(LARGEST_COUNT + 1))


@pytest_twisted.ensureDeferred
async def test_a_text_is_learnt_and_others_are_made_of_it_until_it_is_forgotten() -> None:
    async with joined() as peer:
        peer.send(b"DATA\r\n")
        await peer.codes(201)
        peer.send(TEXT + b".\r\n")
        assert words_of((await peer.codes(202)).encode()) == UNIQUE
        peer.send(b"GENERATE 123\r\n")
        words = await peer.text()
        assert (len(words), set(words) <= set(TEXT.split())) == (123, True)
        peer.send(b"RESET\r\n")
        await peer.codes(205)
        peer.send(b"GENERATE 1\r\n")
        assert "no words are known" in await peer.codes(500)
        peer.send(b"BYE\r\n")
        await peer.codes(204)
        await peer.nothing_more()


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("GENERATE 1", 500),
        ("GENERATE", 500),
        ("GENERATE ", 500),
        ("", 500),
        (" ", 500),
        (".", 500),
        ("what", 500),
        ("DATA x", 500),
        ("RESET x", 500),
        ("ABORT", 500),
        ("\0", 500),
        ("\N{LATIN SMALL LETTER O WITH DIAERESIS}", 500),
        ("RESET", 205),
        ("reset", 205),
        ("ReSeT", 205),
        (" \tRESET \t", 205),
        ("features", 206),
    ],
)
@pytest_twisted.ensureDeferred
async def test_an_answer_s_code_tells_what_became_of_a_command(said: str, code: int) -> None:
    async with joined() as peer:
        for end in ("\r\n", "\n"):
            peer.send(f"{said}{end}".encode())
            await peer.codes(code)
        await peer.bye()


@pytest.mark.parametrize("number", [*NO_NUMBERS, "9" * 5000, "0" * 5000])
@pytest_twisted.ensureDeferred
async def test_what_is_no_number_of_words_is_refused_and_the_next_one_is_answered(
    number: str,
) -> None:
    async with joined() as peer:
        await peer.learn()
        peer.send(f"GENERATE {number}\r\n".encode())
        assert "from 1 to" in await peer.codes(500)
        for said in (b"GENERATE 1\r\n", b"generate\t 1 \r\n"):
            peer.send(said)
            assert len(await peer.text()) == 1
        await peer.bye()


@pytest_twisted.ensureDeferred
async def test_a_command_that_is_too_long_is_told_so_and_is_the_last() -> None:
    async with joined(max_line=64) as peer:
        peer.send(b"x" * 64 + b"\r\n")
        await peer.codes(500)
        peer.send(b"x" * 65 + b"\r\nRESET\r\n")
        assert "64 bytes" in await peer.codes(500)
        await peer.nothing_more()


@pytest_twisted.ensureDeferred
async def test_lines_of_a_text_may_be_longer_than_commands() -> None:
    async with joined(max_line=64) as peer:
        known = await peer.learn(b"x" * 500_000 + b" y\n" + b"z " * 1000 + b"\n")
        assert words_of(known.encode())
        await peer.bye()


@pytest_twisted.ensureDeferred
async def test_everything_may_be_sent_in_one_go() -> None:
    async with joined() as peer:
        peer.send(
            UPLOAD + b"GENERATE 5\r\nRESET\r\nx\r\n" + UPLOAD + b"GENERATE 7\r\nBYE\r\nRESET\r\n"
        )
        await peer.codes(201, 202)
        assert len(await peer.text()) == 5
        await peer.codes(205, 500, 201, 202)
        assert len(await peer.text()) == 7
        await peer.codes(204)  # and what stands behind it is not answered
        await peer.nothing_more()


@pytest_twisted.ensureDeferred
async def test_everything_may_come_byte_by_byte() -> None:
    async with joined() as peer:
        for byte in UPLOAD + b"GENERATE 5\r\n":
            peer.send(bytes([byte]))
            await turn()
        await peer.codes(201, 202)
        assert len(await peer.text()) == 5
        await peer.bye()


@pytest_twisted.ensureDeferred
async def test_a_new_text_takes_the_place_of_the_old_one_and_may_be_empty() -> None:
    async with joined() as peer:
        await peer.learn()
        peer.send(b"DATA\r\nx y x\r\n.\r\nGENERATE 9\r\n")
        await peer.codes(201)
        assert words_of((await peer.codes(202)).encode()) == 2
        assert set(await peer.text()) <= {b"x", b"y"}
        peer.send(b"DATA\r\n \r\n\r\n.\r\nGENERATE 9\r\n")
        await peer.codes(201)
        assert words_of((await peer.codes(202)).encode()) == 0
        await peer.codes(500)
        await peer.bye()


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest_twisted.ensureDeferred
async def test_a_text_that_repeats_the_protocol_does_no_harm(end: bytes) -> None:
    text = OWN_PROTOCOL.replace(b"\n", end) * 5
    async with joined() as peer:
        known = words_of((await peer.learn(text)).encode())
        assert known == len(set(text.split()))
        peer.send(b"GENERATE 3000\r\n")
        words = await peer.text()
        assert (len(words), set(words)) == (3000, set(text.split()))
        await peer.bye()


@pytest_twisted.ensureDeferred
async def test_lines_of_a_text_are_of_a_width_and_a_stop_alone_is_only_its_end() -> None:
    async with joined() as peer:
        await peer.learn(b". . . . .. . \r\n" * 20)
        peer.send(b"GENERATE 2000\r\n")
        assert len(await peer.text()) == 2000
        lines = bytes(peer.came).split(b"\r\n")
        assert max(map(len, lines)) <= COLUMNS
        assert lines.count(b".") == 1
        assert b"\n" not in b"".join(lines)
        await peer.bye()


@pytest_twisted.ensureDeferred
async def test_a_text_of_utf_8_is_kept_whole() -> None:
    text = ("日本語のテキスト " * 20 + "ö" * 40_000 + " naïve café\r\n").encode() * 3
    async with joined() as peer:
        await peer.learn(text)
        peer.send(b"GENERATE 500\r\n")
        for word in await peer.text():
            word.decode()
        await peer.bye()


# a client that ends its half


@pytest.mark.parametrize(
    ("said", "codes"),
    [
        (b"", ()),
        (b"RESET", (205,)),
        (b"DATA", (201, 202)),
        (b"DATA\r\n", (201, 202)),
        (b"DATA\r\none two", (201, 202)),
        (b"DATA\r\none two\r\n", (201, 202)),
        (b"DATA\r\none two\r\n.", (201, 202)),
        (b"DATA\r\none two\r\n.\r", (201, 202)),
        (UPLOAD, (201, 202)),
        (UPLOAD + b"RES", (201, 202, 500)),
        (UPLOAD + b"RESET\r\nDATA\r\nx", (201, 202, 205, 201, 202)),
    ],
)
@pytest.mark.parametrize("at_once", [False, True])
@pytest_twisted.ensureDeferred
async def test_who_ends_the_half_gets_all_answers_and_then_the_end(
    said: bytes, codes: tuple[int, ...], at_once: bool
) -> None:
    async with joined() as peer:
        peer.send(said)
        if not at_once:
            await until(lambda: peer.session.bytes_in == len(said))
            await turn()
        peer.end()
        await peer.codes(*codes)
        await peer.nothing_more()


@pytest_twisted.ensureDeferred
async def test_who_ends_the_half_within_a_text_gets_it_whole() -> None:
    async with joined() as peer:
        peer.send(UPLOAD + b"FEATURES\r\nGENERATE 20000\r\nRES")
        peer.end()
        await peer.codes(201, 202, 206)
        assert len(await peer.text()) == 20_000
        await peer.codes(500)
        await peer.nothing_more()


# a client that leaves, or does not read


SAID = {"commands": b"RES", "upload": b"DATA\r\none two", "sorting": UPLOAD}


@pytest.mark.parametrize("stage", SAID)
@pytest.mark.parametrize("is_reset", [False, True])
@pytest_twisted.ensureDeferred
async def test_who_leaves_in_any_stage_leaves_nothing(stage: str, is_reset: bool) -> None:
    async with served() as instance:
        peer = Peer(instance)
        with busy_threads():
            peer.send(SAID[stage])
            await peer.codes(100)
            await until(lambda: peer.session.bytes_in)
            if stage == "sorting":
                await peer.until_stage(Stage.SORTING)
            peer.reset() if is_reset else peer.socket.close()
            await turn()
        await others_are_served(instance)


@pytest.mark.parametrize("is_blocked", [False, True])
@pytest.mark.parametrize("is_reset", [False, True])
@pytest_twisted.ensureDeferred
async def test_who_leaves_within_a_text_leaves_nothing(is_blocked: bool, is_reset: bool) -> None:
    async with served() as instance:
        peer = Peer(instance, 8192)
        await peer.codes(100)
        await peer.learn()
        peer.send(ENDLESS)
        await peer.codes(203)
        await until(lambda: not is_blocked or peer.session.is_blocked)
        peer.reset() if is_reset else peer.socket.close()
        await others_are_served(instance)


async def others_are_served(instance: RunningInstance) -> None:
    peer = Peer(instance)
    with peer.socket:
        await peer.codes(100)
        await peer.learn()
        await peer.bye()
    await until_nothing_is_left(instance)


@pytest_twisted.ensureDeferred
async def test_of_who_leaves_while_others_are_sorted_nothing_is_sorted() -> None:
    async with served() as instance:
        desk = instance.context.shared
        await desk._sorting.acquire()
        peers = [Peer(instance) for _ in range(3)]
        for peer in peers:
            await peer.codes(100)
            peer.send(UPLOAD)
            await peer.codes(201)
        await until(lambda: len(desk._sorted) == 3)
        texts = list(desk._sorted)
        for peer in peers:
            peer.reset()
        await until(lambda: not instance.guard.sessions)
        assert desk._taken > 0  # they are there still
        desk._sorting.release()
        await until_nothing_is_left(instance)
        assert [text.pairs for text in texts] == [0, 0, 0]


@pytest_twisted.ensureDeferred
async def test_who_never_reads_is_not_read_from_and_cut_off_after_a_while() -> None:
    async with joined(buffer=8192, write_timeout="1s") as peer:
        await peer.learn()
        peer.send(ENDLESS + b"RESET\r\n" * 1000)
        await until(lambda: peer.session.is_blocked)
        assert len(peer.session.buffer) <= 7000
        await until(lambda: not peer.instance.guard.sessions)


def test_texts_can_be_had_in_memory_too() -> None:
    client = connect("travesty", make_context("travesty"))
    client.send(b"GENERATE 5\r\nRESET\r\n")
    assert [line[:3] for line in client.received.split(b"\r\n")] == [b"100", b"500", b"205", b""]


@pytest_twisted.ensureDeferred
async def test_an_instance_that_stops_does_not_wait_for_texts_to_be_sorted() -> None:
    with busy_threads():
        async with serve("travesty", LISTEN) as instance:
            peer = Peer(instance)
            with peer.socket:
                peer.send(UPLOAD)
                await peer.codes(100, 201)
                await peer.until_stage(Stage.SORTING)
                await instance.stop()
                await peer.nothing_more()
    await until_nothing_is_left(instance)
