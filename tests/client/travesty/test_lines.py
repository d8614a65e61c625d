"""Commands from a pipe."""

from __future__ import annotations

from collections import deque

import pytest
import pytest_twisted
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred

from sockd.client.errors import UsageFault
from sockd.client.travesty.lines import MOST_LINE, Lines


class Pieces:
    """A source that has these, one by one."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = deque(pieces)
        self.is_closed = False

    async def read(self) -> bytes:
        return self.pieces.popleft() if self.pieces else b""

    def close(self) -> None:
        self.is_closed = True


async def read(*pieces: bytes) -> list[str]:
    """All lines."""
    lines, found = Lines(Pieces(*pieces)), []
    while (line := await lines.line()) is not None:
        found.append(line)
    return found


@given(st.lists(st.sampled_from([b"a", b"\n", b"bye", b" ", "ß".encode()])))
def test_however_they_come_lines_are_the_same(pieces: list[bytes]) -> None:
    found: list[list[str]] = []
    Deferred.fromCoroutine(read(*pieces)).addCallback(found.append)
    assert found == [b"".join(pieces).decode().splitlines()]


@pytest_twisted.ensureDeferred
async def test_what_is_no_utf_8_can_still_name_a_file() -> None:
    assert await read(b"analyze \xff") == ["analyze \udcff"]


@pytest_twisted.ensureDeferred
async def test_a_line_without_end_is_refused_and_a_long_one_is_not() -> None:
    assert await read(b"x" * MOST_LINE + b"\ny") == ["x" * MOST_LINE, "y"]
    with pytest.raises(UsageFault, match="a line of the input has more than 65536 bytes"):
        await read(b"x" * MOST_LINE, b"x")


@pytest_twisted.ensureDeferred
async def test_a_pipe_is_let_go_of() -> None:
    source = Pieces()
    await Lines(source).close()
    assert source.is_closed
