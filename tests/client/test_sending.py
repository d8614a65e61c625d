"""Bytes that go out while an answer comes in: when its silence begins, and what an end means."""

from __future__ import annotations

from typing import Any, cast

import pytest
from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from sockd.client.errors import TimedOut, Unreachable
from sockd.client.net.streams import Stream
from sockd.client.talk.input import Source
from sockd.client.talk.sending import PAUSE, Sending


@define(eq=False)
class Wire:
    """Both sides of a conversation, on a clock that is moved."""

    clock: Clock = field(factory=Clock)
    answers: list[bytes] = field(factory=list)
    waits: list[float] = field(factory=list)
    """How long each read was to wait."""
    written: list[bytes] = field(factory=list)
    is_finished: bool = False
    failure: Unreachable | None = None
    input: list[Deferred[bytes]] = field(factory=list)

    def sending(self) -> Sending:
        """Over this, with a wait of 3 s."""
        stream, source = cast(Stream, Streamed(self)), cast(Source, Typed(self))
        return Sending(source, stream, 3.0, lambda: round(self.clock.seconds() * 1e9), self.clock)


@define(eq=False)
class Streamed:
    """A stream whose answers are a list; where that is empty nothing comes."""

    wire: Wire
    name: str = "host:7"
    first_byte_ns: int | None = None

    async def read(self, wait: float) -> bytes:
        self.wire.waits.append(wait)
        if self.wire.answers:
            return self.wire.answers.pop(0)
        self.wire.clock.pump([0.5] * round(wait * 2))
        raise TimedOut("silence")

    def write(self, data: bytes) -> None:
        self.wire.written.append(data)

    async def drained(self) -> None:
        if self.wire.failure is not None:
            raise self.wire.failure

    def finish(self) -> None:
        self.wire.is_finished = True


@define(eq=False)
class Typed:
    """Input that a test gives."""

    wire: Wire

    async def read(self) -> bytes:
        self.wire.input.append(Deferred())
        return await self.wire.input[-1]


def run(coroutine: Any) -> list[Any]:
    """Where its result will be."""
    got: list[Any] = []
    Deferred.fromCoroutine(coroutine).addBoth(got.append)
    return got


def test_the_wait_begins_when_all_is_sent() -> None:
    wire = Wire()
    sending = wire.sending()
    run(sending.send())
    wire.input[0].callback(b"data")
    assert (wire.written, wire.is_finished) == ([b"data"], False)
    wire.clock.advance(100)
    wire.input[1].callback(b"")
    assert wire.is_finished
    [failure] = run(sending.read())
    assert failure.check(TimedOut)
    assert str(failure.value) == "host:7 sent no answer within 3 s"
    assert wire.waits == [3.0]


def test_a_wait_that_was_begun_before_all_was_sent_goes_on_from_then() -> None:
    wire = Wire()
    sending = wire.sending()
    run(sending.send())
    wire.input[0].callback(b"data")

    def send_all() -> None:
        wire.input[1].callback(b"")

    wire.clock.callLater(2.0, send_all)
    [failure] = run(sending.read())
    assert str(failure.value) == "host:7 sent no answer within 3 s"
    assert wire.waits == [3.0, 2.0]


def test_the_time_that_printing_takes_is_no_silence() -> None:
    wire = Wire(answers=[b"one", b"two"])
    sending = wire.sending()
    run(sending.send())
    wire.input[0].callback(b"")
    assert run(sending.read()) == [b"one"]
    wire.clock.advance(100)
    assert run(sending.read()) == [b"two"]
    assert wire.waits == [3.0, 3.0]


def test_an_end_while_nothing_is_to_be_sent_is_the_end() -> None:
    wire = Wire()
    sending = wire.sending()
    run(sending.send())
    got = run(sending.rest())
    assert got == []
    wire.clock.advance(PAUSE)
    assert got == [None]


@pytest.mark.parametrize("takes_it", [True, False])
def test_what_comes_to_be_sent_after_the_end_is_sent_or_told(takes_it: bool) -> None:
    wire = Wire()
    sending = wire.sending()
    run(sending.send())
    got = run(sending.rest())
    wire.failure = None if takes_it else Unreachable("reset")
    wire.input[0].callback(b"more")
    wire.clock.advance(0)
    if takes_it:
        assert got == []
        wire.input[1].callback(b"")
        wire.clock.advance(0)
        assert got == [None]
    else:
        assert got[0].check(Unreachable)
    assert wire.written == [b"more"]
