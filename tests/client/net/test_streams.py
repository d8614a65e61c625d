"""A connection as a coroutine sees it."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock

from sockd.client.errors import BadAnswer, ClientError, TimedOut, Unreachable
from sockd.client.net.streams import MOST_BUFFERED, Stream


@define(eq=False)
class MemoryChannel:
    """A channel in memory: the test is the network."""

    receiver: Any = None
    socket: Any = field(factory=lambda: socket.socket())
    waiting: int = 0
    write_error: ClientError | None = None
    expires: float | None = None
    room: bool = True
    wrote: list[bytes] = field(factory=list)
    reads: bool = True
    is_finished: bool = False
    is_closed: bool = False

    def write(self, data: bytes) -> None:
        self.wrote.append(data)
        if not self.room:
            self.waiting += len(data)

    def finish(self) -> None:
        self.is_finished = True

    def pause(self) -> None:
        self.reads = False

    def resume(self) -> None:
        self.reads = True

    def close(self) -> None:
        self.is_closed = True
        self.waiting = 0
        self.socket.close()

    abort = close


@define(eq=False)
class World:
    """A stream on a channel in memory, in a clock's time."""

    clock: Clock = field(factory=Clock)
    channel: MemoryChannel = field(factory=MemoryChannel)
    stream: Stream = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.stream = Stream(
            timers=self.clock, channel=self.channel, name="host:7", peer="192.0.2.1", wait=3.0
        )

    def reads(self) -> bool:
        """Whether the network may go on."""
        return self.channel.reads

    def ask(self, coroutine: Any) -> list[Any]:
        """What became of it, once something has."""
        results: list[Any] = []
        Deferred.fromCoroutine(coroutine).addBoth(results.append)
        return results


@pytest.fixture
def world() -> Any:
    """Closed in the end."""
    world = World()
    yield world
    world.stream.close()
    assert not world.clock.getDelayedCalls()


def text(results: list[Any], kind: type[Exception]) -> str:
    """What its error says."""
    (failure,) = results
    assert isinstance(failure.value, kind)
    return str(failure.value)


# reading


def test_what_has_come_is_read_at_once(world: World) -> None:
    world.stream.received(b"one ")
    world.stream.received(b"two")
    assert world.ask(world.stream.read()) == [b"one two"]


def test_what_comes_later_is_waited_for(world: World) -> None:
    results = world.ask(world.stream.read())
    world.clock.advance(2.9)
    assert results == []
    world.stream.received(b"late")
    assert results == [b"late"]


def test_no_answer_in_time_is_said_so_and_what_comes_after_it_is_read(world: World) -> None:
    results = world.ask(world.stream.read())
    world.clock.advance(3)
    assert text(results, TimedOut) == "host:7 sent no answer within 3 s"
    world.stream.received(b"late")
    assert world.ask(world.stream.read()) == [b"late"]
    results = world.ask(world.stream.read(0.5))
    world.clock.advance(0.5)
    assert text(results, TimedOut) == "host:7 fell silent within 0.5 s"


def test_the_end_is_nothing_however_often_it_is_read(world: World) -> None:
    results = world.ask(world.stream.read())
    world.stream.received(b"")
    assert not results
    world.stream.finished(False)
    assert results == [b""]
    assert world.ask(world.stream.read()) == [b""]


def test_what_came_before_a_break_is_read_before_it_is_told(world: World) -> None:
    world.stream.received(b"all of it")
    world.stream.failed(Unreachable("reset"))
    assert world.ask(world.stream.read_exactly(3)) == [b"all"]
    assert world.ask(world.stream.read()) == [b" of it"]
    assert text(world.ask(world.stream.read()), Unreachable) == "reset"
    assert text(world.ask(world.stream.read_exactly(1)), Unreachable) == "reset"


def test_so_many_bytes_are_read_and_the_rest_waits(world: World) -> None:
    results = world.ask(world.stream.read_exactly(4))
    for piece in (b"a", b"bc", b"defg"):
        world.stream.received(piece)
    assert results == [b"abcd"]
    assert world.ask(world.stream.read()) == [b"efg"]
    assert world.ask(world.stream.read_exactly(0)) == [b""]


def test_a_wait_for_so_many_bytes_is_for_all_of_them(world: World) -> None:
    results = world.ask(world.stream.read_exactly(10))
    for _ in range(3):
        world.stream.received(b"x")
        world.clock.advance(1)
    text(results, TimedOut)


def test_an_end_before_so_many_bytes_is_a_bad_answer(world: World) -> None:
    world.stream.received(b"abc")
    world.stream.finished(False)
    said = text(world.ask(world.stream.read_exactly(4)), BadAnswer)
    assert said == "host:7 ended after 3 of 4 bytes"


def test_all_is_read_while_each_piece_comes_in_time(world: World) -> None:
    results = world.ask(world.stream.read_all(10))
    for _ in range(4):
        world.clock.advance(2.9)
        world.stream.received(b"x")
    world.stream.finished(False)
    assert results == [b"xxxx"]


def test_more_than_was_asked_for_is_a_bad_answer(world: World) -> None:
    world.stream.received(b"x" * 11)
    said = text(world.ask(world.stream.read_all(10)), BadAnswer)
    assert said == "host:7 sent more than 10 bytes"


def test_who_does_not_read_stops_the_network_until_there_is_room(world: World) -> None:
    world.stream.received(b"x" * (MOST_BUFFERED - 1))
    assert world.reads()
    world.stream.received(b"x")
    assert not world.reads()
    world.ask(world.stream.read_exactly(MOST_BUFFERED // 2 - 1))
    assert not world.reads()
    world.ask(world.stream.read_exactly(1))
    assert world.reads()


def test_who_gives_up_reading_leaves_what_comes_to_the_next(world: World) -> None:
    reading = Deferred.fromCoroutine(world.stream.read())
    reading.addErrback(lambda failure: failure.trap(CancelledError)).cancel()
    assert not world.clock.getDelayedCalls()
    world.stream.received(b"here")
    assert world.ask(world.stream.read()) == [b"here"]


def test_who_reads_while_it_is_closed_reads_an_end(world: World) -> None:
    results = world.ask(world.stream.read())
    world.stream.close()
    assert results == [b""]


# listening


def test_who_listens_is_handed_each_piece_first_what_waits(world: World) -> None:
    pieces: list[bytes] = []
    world.stream.received(b"be")
    world.stream.received(b"fore")
    world.stream.listen(pieces.append)
    world.stream.received(b"x" * MOST_BUFFERED)
    world.stream.received(b"y")
    assert pieces == [b"before", b"x" * MOST_BUFFERED, b"y"]
    assert world.reads()  # nothing is kept, so nothing is bounded
    results = world.ask(world.stream.ended())
    world.clock.advance(1000)
    assert not results
    world.stream.finished(False)
    assert results == [None]


def test_who_listens_late_is_handed_all_and_the_network_goes_on(world: World) -> None:
    pieces: list[bytes] = []
    world.stream.received(b"x" * MOST_BUFFERED)
    assert not world.reads()
    world.stream.listen(pieces.append)
    assert world.reads()
    world.stream.received(b"y")
    assert pieces == [b"x" * MOST_BUFFERED, b"y"]


def test_what_a_listener_raises_of_what_waited_ends_the_reading_too(world: World) -> None:
    def check(data: bytes) -> None:
        raise BadAnswer(f"{len(data)}")

    world.stream.received(b"xy")
    world.stream.listen(check)
    world.stream.received(b"z")
    assert text(world.ask(world.stream.ended()), BadAnswer) == "2"


def test_what_a_listener_raises_ends_the_reading(world: World) -> None:
    def check(data: bytes) -> None:
        raise BadAnswer("wrong")

    results = world.ask(world.stream.ended(1.0))
    world.stream.listen(check)
    world.stream.received(b"x")
    world.stream.received(b"y")
    assert text(results, BadAnswer) == "wrong"
    assert not world.reads()


def test_an_end_that_does_not_come_is_not_waited_for_longer_than_was_said(world: World) -> None:
    results = world.ask(world.stream.ended(1.0))
    world.clock.advance(1)
    text(results, TimedOut)
    world.stream.failed(Unreachable("reset"))
    assert text(world.ask(world.stream.ended()), Unreachable) == "reset"


def test_who_listens_can_stop_for_a_while(world: World) -> None:
    world.stream.listen(lambda data: world.stream.pause())
    world.stream.received(b"x")
    assert not world.reads()
    world.stream.resume()
    assert world.reads()


# writing


def test_hooks_are_told_of_each_write_and_each_read(world: World) -> None:
    told: list[tuple[str, bytes]] = []
    world.stream.on_write = lambda data: told.append(("write", data))
    world.stream.on_read = lambda data: told.append(("read", data))
    world.stream.write(b"ask")
    world.stream.write(b"")
    world.stream.received(b"answer")
    assert told == [("write", b"ask"), ("read", b"answer")]
    assert (world.stream.bytes_sent, world.stream.bytes_received) == (3, 6)


def test_what_waits_to_be_sent_can_be_waited_for(world: World) -> None:
    assert world.ask(world.stream.drained()) == [None]
    world.channel.room = False
    world.stream.write(b"much")
    assert world.stream.waiting == 4
    results = world.ask(world.stream.drained())
    world.clock.advance(2)
    world.channel.waiting = 0
    world.stream.sent()
    assert results == [None]


def test_who_takes_nothing_is_told_from_who_takes_slowly(world: World) -> None:
    world.channel.room = False
    world.stream.write(b"much")
    results = world.ask(world.stream.drained())
    world.channel.waiting = 2
    world.clock.advance(3)
    assert not results
    world.clock.advance(3)
    assert text(results, TimedOut) == "host:7 took nothing more within 3 s"


def test_who_takes_of_what_the_kernel_has_takes_slowly(world: World) -> None:
    """The kernel has room again when much of what it has is gone: on a slow way after minutes."""
    world.channel.room = False
    world.stream.write(b"much")
    world.channel.socket.close()
    world.channel.socket, other = socket.socketpair()
    with other:
        for _ in range(2):
            world.channel.socket.send(bytes(1000))
        results = world.ask(world.stream.drained())
        other.recv(1000)
        world.clock.advance(3)
        assert not results
        world.clock.advance(3)
        assert text(results, TimedOut) == "host:7 took nothing more within 3 s"


def test_where_nothing_can_be_sent_an_answer_is_still_read(world: World) -> None:
    world.channel.room = False
    world.stream.write(b"much")
    results = world.ask(world.stream.drained())
    world.channel.write_error = Unreachable("reset")
    world.stream.sent()
    assert text(results, Unreachable) == "reset"
    world.stream.received(b"answer")
    assert world.ask(world.stream.read()) == [b"answer"]


def test_a_closed_stream_writes_nothing_and_waits_for_nothing(world: World) -> None:
    world.channel.room = False
    world.stream.write(b"much")
    results = world.ask(world.stream.drained())
    world.stream.close()
    assert results == [None]
    world.stream.write(b"more")
    assert world.channel.wrote == [b"much"]
    world.stream.close()
    world.stream.resume()
    assert world.stream.tcp_info() is None
