"""travesty: its limits, the text to begin with, and what the log is told."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted

from sockd.config.document import ConfigError
from sockd.daemon.instance import InstanceError
from sockd.formats.travesty import words_of
from sockd.services.travesty import TravestyStream
from sockd.travesty.desk import LEAST_MEMORY, MAX_FILE, REPORTS_PER_SECOND
from tests.daemon.running import apply, daemon_of
from tests.helpers import PEER, LogRecorder, make_context, make_settings, until
from tests.services.travesty_peers import LISTEN, TEXT, Peer, joined, served

pytestmark = pytest.mark.usefixtures("own_runtime")
MANY = b"".join(b"word%d%s" % (number, b"\r\n" if number % 9 else b" ") for number in range(40_000))
"""Words that differ, for which the least memory is not enough."""


def kept(line: str) -> int:
    """How many words a 552 says are kept."""
    found = re.fullmatch(r"552 .*kept: (\d+) words that differ", line)
    assert found, line
    return int(found[1])


# limits


@pytest_twisted.ensureDeferred
async def test_of_a_text_with_too_many_words_the_first_are_kept_and_it_goes_on_in_step() -> None:
    async with joined(max_words=10) as peer:
        text = b"a b c a b c a b c\r\na tail that is not kept\r\nand more\r\n"
        assert kept(await peer.learn(text)) == 3
        peer.send(b"GENERATE 100\r\n")
        assert set(await peer.text()) == {b"a", b"b", b"c"}
        peer.send(b"DATA\r\na b c d e f g h i j\r\n.\r\n")
        await peer.codes(201)
        assert words_of((await peer.codes(202)).encode()) == 10
        await peer.bye()


@pytest_twisted.ensureDeferred
async def test_of_a_text_that_takes_too_much_memory_the_beginning_is_kept() -> None:
    async with joined(max_memory=int(LEAST_MEMORY)) as peer:
        await peer.send_all(b"DATA\r\n" + MANY)
        session = peer.session
        await until(lambda: session.bytes_in > len(MANY) and not session.buffer.has_request)
        known = session._travesty.unique
        # what fits into the rest is not learnt: the text would have a hole
        peer.send(b"more\r\n.\r\n")
        await peer.codes(201)
        count = kept(await peer.line())
        assert 10_000 < count == known < 40_000
        [travesty] = peer.instance.context.shared._texts
        assert travesty.memory <= LEAST_MEMORY
        peer.send(b"GENERATE 2000\r\n")
        numbers = {int(word.removeprefix(b"word")) for word in await peer.text()}
        assert max(numbers) < count
        await peer.learn()
        await peer.bye()


@pytest_twisted.ensureDeferred
async def test_all_connections_share_a_memory_that_is_free_again_when_one_leaves() -> None:
    block = 16 * 1024 * 232  # what a block of words of one byte that differ may take
    async with served(memory=int(LEAST_MEMORY)) as instance:
        one, other = Peer(instance), Peer(instance)
        desk = instance.context.shared
        with one.socket, other.socket:
            await one.codes(100)
            await other.codes(100)
            assert kept(await one.learn(MANY)) < 40_000
            most = desk._taken
            assert most < LEAST_MEMORY + block
            # what was sorted takes less, so there is some room
            first = kept(await other.learn(MANY))
            one.send(b"GENERATE 5\r\n")
            assert len(await one.text()) == 5
            await one.bye()
        again = Peer(instance)
        with again.socket:
            await again.codes(100)
            assert kept(await again.learn(MANY)) > first
            again.send(b"RESET\r\n")
            await again.codes(205)
            assert desk._taken == 0
            await again.learn(TEXT)
            await again.bye()


@pytest.mark.parametrize(
    ("option", "value"),
    [("max_words", 2), ("max_words", 2**28 + 1), ("max_memory", "4095k"), ("memory", "1k")],
)
def test_limits_with_which_nothing_works_are_refused(option: str, value: object) -> None:
    table: dict[str, Any] = {option: value}
    with pytest.raises(ConfigError, match=option):
        make_settings("travesty", **table)


# a text to begin with


@pytest_twisted.ensureDeferred
async def test_every_connection_begins_with_the_text_that_is_there(tmp_path: Path) -> None:
    file = tmp_path / "text"
    file.write_bytes(b"x y z " * 10_000)
    async with served(preload=str(file)) as instance:
        one, other = Peer(instance), Peer(instance)
        with one.socket, other.socket:
            await one.codes(100)
            await other.codes(100)
            for said, words in (
                (b"", {b"x", b"y", b"z"}),
                (b"DATA\r\nu v u v\r\n.\r\n", {b"u", b"v"}),
            ):
                one.send(said + b"GENERATE 50\r\n")
                await one.codes(*((201, 202) if said else ()))
                assert set(await one.text()) == words
                other.send(b"GENERATE 50\r\n")
                assert set(await other.text()) == {b"x", b"y", b"z"}
            other.send(b"RESET\r\nGENERATE 50\r\n")
            await other.codes(205, 500)
            await one.bye()
            await other.bye()
        again = Peer(instance)
        with again.socket:
            again.send(b"GENERATE 1\r\n")
            await again.codes(100)
            assert len(await again.text()) == 1
            await again.bye()


def test_a_text_to_begin_with_that_cannot_be_had_is_told_with_its_place(tmp_path: Path) -> None:
    empty, blank, large, pipe = (tmp_path / name for name in ("empty", "blank", "large", "pipe"))
    empty.touch()
    blank.write_bytes(b" \r\n\t")
    large.touch()
    os.truncate(large, MAX_FILE + 1)
    os.mkfifo(pipe)
    for file, why in (
        (tmp_path / "nowhere", "No such file"),
        (tmp_path, "a directory, not a file"),
        (empty, "it has no words"),
        (blank, "it has no words"),
        (large, "larger than"),
        (pipe, "a FIFO, not a file"),
    ):
        with pytest.raises(ConfigError) as caught:
            make_settings("travesty", preload=str(file))
        [mistake] = caught.value.mistakes
        assert "travesty.preload" in str(mistake)
        assert str(file) in str(mistake)
        assert why in str(mistake)


@pytest_twisted.ensureDeferred
async def test_a_text_to_begin_with_that_is_beyond_the_limits_is_told_at_the_start(
    tmp_path: Path,
) -> None:
    file = tmp_path / "text"
    file.write_bytes(b"x y z " * 10)
    with pytest.raises(InstanceError, match=f"{file}: .*max_words"):
        async with served(preload=str(file), max_words=29):
            pass


@pytest_twisted.ensureDeferred
async def test_a_reload_holds_for_new_connections_and_the_old_ones_go_on(tmp_path: Path) -> None:
    file = tmp_path / "text"
    file.write_bytes(b"x y z " * 3)
    async with daemon_of(make_settings("travesty", [LISTEN])) as daemon:
        [(_, instance)] = daemon.instances
        one = Peer(instance)
        with one.socket:
            await one.codes(100)
            await one.learn()
            wanted = make_settings("travesty", [LISTEN], preload=str(file), max_words=10)
            apply(daemon, wanted)
            one.send(b"GENERATE 50\r\n")
            assert set(await one.text()) <= set(TEXT.split())
            assert (await one.learn()).startswith("202 ")
            other = Peer(instance)
            with other.socket:
                await other.codes(100)
                other.send(b"GENERATE 50\r\n")
                assert set(await other.text()) == {b"x", b"y", b"z"}
                assert kept(await other.learn()) == len(set(TEXT.split()[:10]))
                await other.bye()
            await one.bye()


# the log


def stop(context: Any, count: int) -> None:
    for _ in range(count):
        context.shared.report(PEER, "upload", "ABORT", 7)


def test_the_log_has_so_many_stopped_transfers_a_second_and_says_how_many_it_lacks(
    log: LogRecorder,
) -> None:
    context = make_context("travesty")
    stop(context, REPORTS_PER_SECOND + 15)
    told = log.events("transfer-stopped")
    assert [int(one["suppressed"]) for one in told] == [0] * REPORTS_PER_SECOND
    context.world.reactor.advance(1.0)
    stop(context, 2)
    told = log.events("transfer-stopped")[REPORTS_PER_SECOND:]
    assert [int(one["suppressed"]) for one in told] == [15, 0]
    assert [line for line in log.lines() if "7 bytes dropped" in line]


def test_where_connections_are_not_logged_their_transfers_are_not(log: LogRecorder) -> None:
    stop(make_context("travesty", log_connections=False), 2)
    assert not log.events("transfer-stopped")


def test_it_is_told_that_it_reads_lines() -> None:
    """So that `max_line` and `line_timeout` have their effect."""
    assert TravestyStream.reads_lines
