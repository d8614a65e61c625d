"""Turns: the work of all connections together is bounded for each pass of the loop."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sockd.formats.whole import TextBuffer
from sockd.net.requests import Requests
from sockd.net.turns import PASS_SECONDS, TURN_SECONDS, Turns
from sockd.service import Kind
from tests.helpers import LogRecorder, connect, make_context, make_world
from tests.memory import Client, Loop

COST = PASS_SECONDS / 8
"""Seconds of a line here that costs much."""
CLIENTS = 50


class Errand:
    """Work of some pieces; writes down what it does."""

    def __init__(self, loop: Loop, turns: Turns, name: str, pieces: int, done: list[str]) -> None:
        self.loop, self.turns, self.name, self.pieces, self.done = loop, turns, name, pieces, done

    def turn(self, until: float) -> None:
        while self.pieces:
            self.loop.rightNow += COST
            self.done.append(self.name)
            self.pieces -= 1
            if self.pieces and self.loop.seconds() >= until:
                self.turns.wait(self)
                return

    def contain(self, call: Callable[..., Any], *args: Any) -> None:
        call(*args)


def measure(loop: Loop, work: Callable[[], None]) -> list[float]:
    """Do that and what comes of it; the seconds that the passes of the loop took."""
    passes: list[float] = []

    def look(since: float) -> None:
        passes.append(loop.seconds() - since)
        if passes[-1] or len(passes) < 3:
            loop.callLater(0, look, loop.seconds())

    loop.callLater(0, look, loop.seconds())
    work()
    loop.settle()
    return passes


def test_the_first_that_asks_has_its_turn_at_once_and_no_timer_runs() -> None:
    loop = make_world().reactor
    turns, done = Turns(loop), list[str]()
    assert turns.take(Errand(loop, turns, "a", 3, done))
    assert done == ["a"] * 3
    assert not loop.getDelayedCalls()


def test_what_a_pass_has_no_time_for_is_done_in_the_next_ones() -> None:
    loop = make_world().reactor
    turns, done = Turns(loop), list[str]()
    at_once: list[bool] = []

    def ask() -> None:
        for number in range(CLIENTS):
            at_once.append(turns.take(Errand(loop, turns, f"{number}", 3, done)))

    passes = measure(loop, ask)
    assert at_once == sorted(at_once, reverse=True)
    assert 1 <= sum(at_once) <= PASS_SECONDS / COST
    assert max(passes) <= PASS_SECONDS + COST
    assert Counter(done) == {f"{number}": 3 for number in range(CLIENTS)}


def test_those_that_wait_have_their_turns_one_after_the_other() -> None:
    loop = make_world().reactor
    turns, done = Turns(loop), list[str]()
    for name in "abc":
        turns.wait(Errand(loop, turns, name, 5, done))
    loop.settle()
    a_turn = int(TURN_SECONDS / COST)
    assert "".join(done[: 6 * a_turn]) == "".join(name * a_turn for name in "abcabc")
    assert Counter(done) == {"a": 5, "b": 5, "c": 5}


def test_one_that_waits_alone_has_the_whole_time_of_each_pass() -> None:
    loop = make_world().reactor
    turns, done = Turns(loop), list[str]()
    passes = measure(loop, lambda: turns.wait(Errand(loop, turns, "a", 20, done)))
    assert passes[1] == pytest.approx(PASS_SECONDS, abs=COST)
    assert len(done) == 20


def test_who_leaves_the_line_gives_nobody_a_second_share_of_the_pass() -> None:
    loop = make_world().reactor
    turns, done = Turns(loop), list[str]()
    for _ in range(CLIENTS):
        turns.take(Errand(loop, turns, "works", 8, done))
        waits = Errand(loop, turns, "waits", 8, done)
        turns.take(waits)
        turns.leave(waits)
    assert done == ["works"] * 8
    loop.settle()
    assert Counter(done) == {"works": 8 * CLIENTS}
    assert not loop.getDelayedCalls()


def test_what_ends_the_daemon_in_a_turn_does_not_strand_those_that_wait() -> None:
    class Leaving(Errand):
        def turn(self, until: float) -> None:
            raise SystemExit(1)

    loop = make_world().reactor
    turns, done = Turns(loop), list[str]()
    turns.wait(Leaving(loop, turns, "a", 1, done))
    turns.wait(Errand(loop, turns, "b", 1, done))
    with pytest.raises(SystemExit):
        loop.settle()
    loop.settle()
    assert done == ["b"]


def test_one_that_leaves_has_no_turn_and_the_last_leaves_no_timer() -> None:
    loop = make_world().reactor
    turns, done = Turns(loop), list[str]()
    first, second = (Errand(loop, turns, name, 1, done) for name in "ab")
    turns.wait(first)
    turns.wait(second)
    turns.leave(first)
    turns.leave(first)
    loop.settle()
    assert done == ["b"]
    turns.wait(first)
    turns.leave(first)
    assert not loop.getDelayedCalls()


def test_one_that_leaves_because_of_anothers_turn_has_none() -> None:
    loop = make_world().reactor
    turns, done = Turns(loop), list[str]()
    second = Errand(loop, turns, "b", 1, done)

    class Pushing(Errand):
        def turn(self, until: float) -> None:
            self.turns.leave(second)

    turns.wait(Pushing(loop, turns, "a", 1, done))
    turns.wait(second)
    loop.settle()
    assert done == []


class Hard(Requests):
    """Each line costs much."""

    def answer(self, request: bytes) -> bytes:
        if request == b"broken":
            raise ZeroDivisionError("by design")
        self.context.clock.rightNow += COST
        return request + b"\n"


class Batches(Requests):
    """Each batch costs much."""

    def answer_block(self, block: bytes) -> bytes:
        self.context.clock.rightNow += COST
        return block


class Pieces(Requests):
    """Each piece of the answer costs much."""

    def make_buffer(self) -> TextBuffer:
        return TextBuffer(100_000)

    def answer(self, request: bytes) -> Iterator[bytes]:
        for line in request.splitlines(keepends=True):
            self.context.clock.rightNow += COST
            yield line


HARD = Kind(name="hard", doc="Costly lines.", stream=Hard)
BATCHES = Kind(name="batches", doc="Costly batches.", stream=Batches)
PIECES = Kind(name="pieces", doc="Costly pieces.", stream=Pieces)


def clients_of(kind: Kind, count: int) -> list[Client]:
    context = make_context(kind, trusted=["0.0.0.0/0"])
    return [connect(kind, context) for _ in range(count)]


@pytest.mark.parametrize("kind", [HARD, BATCHES, PIECES], ids=lambda kind: kind.name)
@pytest.mark.parametrize(("count", "lines"), [(CLIENTS, 2), (8, 3000)], ids=["many", "much"])
def test_however_many_clients_ask_at_once_a_pass_is_bounded(
    kind: Kind, count: int, lines: int
) -> None:
    """A little of many or much of a few: others wait for a pass and one piece of work more."""
    clients, text = clients_of(kind, count), b"a line\n" * lines
    loop = clients[0].loop

    def send() -> None:
        for client in clients:
            client.socket.inbox.append(text)
            client.socket.has_end = True

    passes = measure(loop, send)
    assert max(passes) <= PASS_SECONDS + 1.01 * COST
    assert sum(passes) > 2 * PASS_SECONDS
    assert {client.received for client in clients} == {text}
    assert all(client.is_closed for client in clients)


def test_services_share_the_time_of_a_pass() -> None:
    host = make_world()
    clients = [connect(kind, make_context(kind, host)) for kind in (HARD, BATCHES) * 3]

    def send() -> None:
        for client in clients:
            client.socket.inbox.append(b"a line\n" * 3000)

    assert max(measure(host.reactor, send)) <= PASS_SECONDS + 1.01 * COST
    assert all(client.received == b"a line\n" * 3000 for client in clients)


def test_a_short_line_is_answered_while_others_wait_for_their_turns() -> None:
    host = make_world()
    hard = connect(HARD, make_context(HARD, host))
    quick = connect(BATCHES, make_context(BATCHES, host))
    hard.socket.inbox.append(b"a line\n" * 100)
    quick.socket.inbox.append(b"quick\n")
    host.reactor._turn()  # which reads
    host.reactor._turn()  # which writes
    assert quick.received == b"quick\n"
    assert len(hard.received) < len(b"a line\n" * 100)
    host.reactor.settle()
    assert hard.received == b"a line\n" * 100


def test_an_exception_in_a_turn_ends_that_client_alone(log: LogRecorder) -> None:
    one, other = clients_of(HARD, 2)
    one.socket.inbox.append(b"a line\n" * 20 + b"broken\n" + b"a line\n")
    other.socket.inbox.append(b"a line\n" * 20)
    one.loop.settle()
    assert one.is_closed
    assert one.received.count(b"a line\n") < 21
    assert other.received == b"a line\n" * 20
    assert [event["service"] for event in log.flush_faults()] == ["hard"]


@pytest.mark.parametrize("kind", [HARD, BATCHES, PIECES], ids=lambda kind: kind.name)
def test_a_daemon_that_stops_leaves_no_turn_behind(kind: Kind) -> None:
    clients = clients_of(kind, 5)
    for client in clients:
        client.socket.inbox.append(b"a line\n" * 9000)
        client.socket.has_end = True
    loop = clients[0].loop
    for _ in range(3):
        loop._turn()
    assert any(len(client.received) < 9000 * len(b"a line\n") for client in clients)
    for session in clients[0].protocol.context.guard.sessions:
        session.stop()
    loop.advance(2)  # the guard's last look
    assert all(client.is_closed for client in clients)
    assert not loop.getDelayedCalls()
