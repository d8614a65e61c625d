"""Standard input as a coroutine sees it, and one input for several readers."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import CancelledError, Deferred

from sockd.client.errors import UsageFault
from sockd.client.talk.input import PIECE, Given, Input, Source, Tee
from sockd.testing.running import running_reactor, until


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe: its reading end, and its writing end."""
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def reading(source: Source) -> tuple[Deferred[bytes], list[Any]]:
    """A read that goes on, and where its result will be."""
    got: list[Any] = []
    read = Deferred.fromCoroutine(source.read())
    read.addBoth(got.append)
    return read, got


async def gone() -> None:
    """Until no thread reads any more."""
    await until(lambda: not [one for one in threading.enumerate() if one.name == "input"])


@pytest_twisted.ensureDeferred
async def test_a_file_is_read_piece_by_piece_to_its_end(tmp_path: Path) -> None:
    data = os.urandom(2 * PIECE + 5)
    (tmp_path / "file").write_bytes(data)
    with (tmp_path / "file").open("rb") as file:
        source = Input(running_reactor(), file.fileno())
        pieces = [await source.read() for _ in range(4)]
        assert b"".join(pieces) == data
        assert [len(piece) for piece in pieces] == [PIECE, PIECE, 5, 0]
        assert await source.read() == b""
    await gone()


@pytest_twisted.ensureDeferred
async def test_what_comes_is_there_at_once_and_the_reactor_goes_on(pipe: tuple[int, int]) -> None:
    source = Input(running_reactor(), pipe[0])
    for text in (b"one\n", b"two\n"):
        _, got = reading(source)
        turned: list[None] = []
        running_reactor().callLater(0, turned.append, None)
        await until(turned.__len__)
        assert got == []
        os.write(pipe[1], text)
        await until(got.__len__)
        assert got == [text]
    source.close()
    await gone()


@pytest_twisted.ensureDeferred
async def test_no_more_than_a_piece_is_read_ahead(pipe: tuple[int, int]) -> None:
    source = Input(running_reactor(), pipe[0])
    os.write(pipe[1], b"x" * 60_000)
    assert await source.read() == b"x" * 60_000
    os.write(pipe[1], b"y")  # nobody reads it: it stays in the pipe
    os.set_blocking(pipe[0], False)
    assert os.read(pipe[0], 1) == b"y"
    source.close()
    await gone()


@pytest_twisted.ensureDeferred
async def test_what_a_cancelled_read_would_have_got_the_next_one_gets(
    pipe: tuple[int, int],
) -> None:
    source = Input(running_reactor(), pipe[0])
    read, got = reading(source)
    read.cancel()
    assert got[0].check(CancelledError)
    os.write(pipe[1], b"data")
    assert await source.read() == b"data"
    source.close()
    await gone()


@pytest_twisted.ensureDeferred
async def test_what_cannot_be_read_is_told_each_time(tmp_path: Path) -> None:
    folder = os.open(tmp_path, os.O_RDONLY)
    try:
        source = Input(running_reactor(), folder)
        for _ in range(2):
            with pytest.raises(UsageFault, match="cannot read standard input: is a directory"):
                await source.read()
    finally:
        os.close(folder)
    await gone()


@pytest_twisted.ensureDeferred
async def test_a_closed_one_is_at_its_end(pipe: tuple[int, int]) -> None:
    source = Input(running_reactor(), pipe[0])
    source.close()
    assert await source.read() == b""


class Pieces:
    """A source whose pieces a test gives."""

    def __init__(self) -> None:
        self.asked: list[Deferred[bytes]] = []
        self.closed = 0

    async def read(self) -> bytes:
        self.asked.append(Deferred())
        return await self.asked[-1]

    def close(self) -> None:
        self.closed += 1


def test_bytes_that_are_there_are_given_in_pieces() -> None:
    source = Given(bytes(PIECE + 1))
    sizes = []
    for _ in range(3):
        _, got = reading(source)
        sizes.append(len(got[0]))
    assert sizes == [PIECE, 1, 0]


def test_all_readers_get_every_piece_and_the_slowest_sets_the_pace() -> None:
    source = Pieces()
    tee = Tee(source)
    fast, slow = tee.reader(), tee.reader()
    _, first = reading(fast)
    source.asked[0].callback(b"one")
    assert first == [b"one"]
    _, second = reading(fast)
    assert len(source.asked) == 1  # the slow one has not taken the first
    assert reading(slow)[1] == [b"one"]
    _, late = reading(slow)
    source.asked[1].callback(b"two")
    assert second == late == [b"two"]
    ends = [reading(reader)[1] for reader in (fast, slow)]
    source.asked[2].callback(b"")
    assert ends == [[b""], [b""]]


def test_a_reader_that_leaves_holds_up_nobody_and_the_last_closes_the_source() -> None:
    source = Pieces()
    tee = Tee(source)
    stays, leaves = tee.reader(), tee.reader()
    reading(stays)
    source.asked[0].callback(b"one")
    _, got = reading(stays)
    leaves.close()
    source.asked[1].callback(b"two")
    assert got == [b"two"]
    _, last = reading(stays)
    assert source.closed == 0
    stays.close()
    assert (source.closed, last) == (1, [])


def test_a_source_that_cannot_be_read_is_told_to_all_readers() -> None:
    source = Pieces()
    tee = Tee(source)
    readers = [tee.reader(), tee.reader()]
    results = [reading(reader)[1] for reader in readers]
    source.asked[0].errback(UsageFault("cannot read"))
    assert [str(result[0].value) for result in results] == ["cannot read"] * 2
