"""Lines: too long, too slow, and answered in batches."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockd.formats.lines import split_lines
from sockd.net.requests import BATCH_BYTES, Requests
from sockd.net.turns import PASS_SECONDS
from sockd.service import Kind
from tests.helpers import connect, make_context


class Listed(Requests):
    """Keeps the lines that it is given."""

    def __init__(self, *args: object) -> None:
        super().__init__(*args)  # type: ignore[arg-type]
        self.heard: list[bytes] = []

    def answer(self, request: bytes) -> bytes:
        self.heard.append(request)
        return b""


LISTED = Kind(name="listed", doc="Keeps lines.", stream=Listed)


def test_a_line_that_is_too_long_is_refused_before_its_end_comes() -> None:
    client = connect(LISTED, make_context(LISTED, max_line=1024))
    client.send(b"x" * 1025)
    assert client.received == b"error: line longer than 1024 bytes\r\n"
    assert client.saw_end
    client.send(b"more\n")
    assert client.protocol.heard == []


def test_a_line_that_does_not_end_within_a_minute_is_an_error() -> None:
    client = connect(LISTED, make_context(LISTED))
    for _ in range(59):
        client.send(b"x")
        client.loop.advance(1)
    assert client.received == b""
    client.loop.advance(3)
    assert client.received == b"error: no end of line within 1m\r\n"
    assert client.saw_end


def test_lines_that_end_may_come_for_ever() -> None:
    client = connect(LISTED, make_context(LISTED))
    for _ in range(20):
        client.send(b"half a line")
        client.loop.advance(30)
        client.send(b" and its end\nhalf of the next")
        client.loop.advance(20)
        client.send(b"\n")
    assert client.received == b""
    assert len(client.protocol.heard) == 40


class Numbered(Requests):
    """Answers with the number of lines before it; keeps the sizes of the batches."""

    def __init__(self, *args: object) -> None:
        super().__init__(*args)  # type: ignore[arg-type]
        self.batches: list[int] = []

    def answer_block(self, block: bytes) -> bytes:
        lines = split_lines(block)
        start = sum(self.batches)
        self.batches.append(len(lines))
        return b"".join(b"%d %s\n" % (start + at, line) for at, line in enumerate(lines))


NUMBERED = Kind(name="numbered", doc="Numbers lines.", stream=Numbered)


def numbered(lines: list[bytes]) -> bytes:
    return b"".join(b"%d %s\n" % one for one in enumerate(lines))


BATCH = BATCH_BYTES // len(b"x\n")


@pytest.mark.parametrize("count", [1, 1025, BATCH, BATCH + 1, 3 * BATCH + 7])
def test_lines_that_come_at_once_are_answered_in_order_in_batches(count: int) -> None:
    client = connect(NUMBERED, make_context(NUMBERED))
    client.send(b"x\n" * count)
    assert client.received == numbered([b"x"] * count)
    assert max(client.protocol.batches) <= BATCH
    assert client.protocol.batches[0] == min(count, BATCH)


class Slow(Numbered):
    """Takes longer for each batch than a pass of the loop may take."""

    def answer_block(self, block: bytes) -> bytes:
        self.context.clock.rightNow += 2 * PASS_SECONDS
        return super().answer_block(block)


SLOW = Kind(name="slow", doc="Numbers lines slowly.", stream=Slow)


@given(
    st.sampled_from([NUMBERED, SLOW]),
    st.lists(st.integers(1, 3000), min_size=1, max_size=6),
    st.integers(1, 200_000),
)
def test_a_client_that_reads_late_gets_every_answer_in_order(
    kind: Kind, counts: list[int], first: int
) -> None:
    client = connect(kind, make_context(kind), takes=first)
    for count in counts:
        client.send(b"a line of text\n" * count)
    client.end()
    assert client.held < 256 * 1024
    client.take()
    assert client.received == numbered([b"a line of text"] * sum(counts))
    assert client.is_closed


def test_others_have_their_turn_after_a_batch_that_took_long() -> None:
    client = connect(SLOW, make_context(SLOW))
    seen: list[int] = []

    def look() -> None:
        seen.append(len(client.protocol.batches))
        if seen[-1] < 4:
            client.loop.callLater(0, look)

    client.loop.callLater(0, look)
    client.socket.inbox += [b"x\n" * (4 * BATCH), b"y\n"]
    client.loop.settle()
    assert seen[:4] == [0, 1, 2, 3]
    assert client.received.endswith(b" x\n%d y\n" % (4 * BATCH))


def test_a_client_that_does_not_read_is_not_read_from() -> None:
    client = connect(NUMBERED, make_context(NUMBERED), takes=0)
    client.send(*[b"x\n" * 30_000] * 50)
    assert client.protocol.is_blocked
    assert len(client.socket.inbox) > 40
    assert client.held < 256 * 1024
