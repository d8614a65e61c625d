"""What threads ask of the reactor: in order, in turns, and whatever goes wrong in it."""

from __future__ import annotations

import hashlib
import socket
import threading
from collections.abc import Callable

import pytest
import pytest_twisted
from twisted.internet.abstract import FileDescriptor

from sockd.reactor.threads import TURN_SECONDS, Asked
from tests.helpers import LogRecorder, until
from tests.memory import REACTOR
from tests.reactor.programs import said

CROWD = """
import socket, threading
from twisted.internet.abstract import FileDescriptor

THREADS, CALLS = 10, 5_000
ours, theirs = socket.socketpair()
done = pings = 0

class Pings(FileDescriptor):
    def fileno(self):
        return ours.fileno()

    def doRead(self):
        global pings
        pings += 1
        ours.recv(1)
        theirs.send(b"x")

def call():
    global done
    done += 1
    if done == THREADS * CALLS:
        print(pings)
        reactor.stop()

def ask():
    for _ in range(CALLS):
        reactor.callFromThread(call)

def begin():
    theirs.send(b"x")
    Pings(reactor).startReading()
    for _ in range(THREADS):
        threading.Thread(target=ask).start()

reactor.callWhenRunning(begin)
reactor.run()
"""
LEAST_PINGS = 20
"""Thousands on an idle machine, and hundreds on epoll's; 2 where no thread ever lets go."""


class Reads(FileDescriptor):
    """A descriptor that calls a function once there is something to read."""

    def __init__(self, sock: socket.socket, function: Callable[[], object]) -> None:
        super().__init__(REACTOR)
        self.fileno = sock.fileno  # type: ignore[method-assign]
        self._function = function

    def doRead(self) -> None:
        self.stopReading()
        self._function()


@pytest.mark.uvloop
@pytest_twisted.ensureDeferred
async def test_what_threads_ask_for_is_taken_in_turns_with_what_comes_in() -> None:
    done: list[int] = []
    heard_after: list[int] = []
    calls = 2_000

    def work() -> None:
        hashlib.sha256(bytes(100_000)).digest()  # all together this takes many turns
        done.append(1)

    ours, theirs = socket.socketpair()
    with ours, theirs:
        Reads(ours, lambda: heard_after.append(len(done))).startReading()
        REACTOR.callFromThread(theirs.send, b"x")
        for _ in range(calls):
            REACTOR.callFromThread(work)
        await until(lambda: len(done) == calls)
    assert heard_after[0] < calls


@pytest.mark.uvloop
def test_input_is_served_while_threads_ask_for_more_than_is_done() -> None:
    [pings] = said(CROWD, "uvloop")
    assert int(pings) >= LEAST_PINGS


@pytest_twisted.ensureDeferred
async def test_each_call_of_a_thread_is_made_once_and_in_its_order() -> None:
    seen: dict[int, list[int]] = {number: [] for number in range(10)}
    calls = 500

    def ask(number: int) -> None:
        for call in range(calls):
            REACTOR.callFromThread(seen[number].append, call)

    threads = [threading.Thread(target=ask, args=(number,)) for number in seen]
    for thread in threads:
        thread.start()
    await until(lambda: all(len(found) == calls for found in seen.values()))
    for thread in threads:
        thread.join()
    assert all(found == list(range(calls)) for found in seen.values())


@pytest.mark.parametrize("kind", [SystemExit, ArithmeticError])
@pytest_twisted.ensureDeferred
async def test_a_call_of_a_thread_that_fails_is_in_the_log_and_the_next_is_made(
    kind: type[BaseException], log: LogRecorder
) -> None:
    def fail() -> None:
        raise kind("seven")

    done: list[int] = []
    REACTOR.callFromThread(fail)
    REACTOR.callFromThread(done.append, 1)
    await until(lambda: done)
    [fault] = log.flush_faults()
    assert fault["log_failure"].check(kind)


class Loop:
    """An event loop whose passes are made by hand, and a clock that calls move."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[], object]] = []
        self.now = 0.0

    def call_soon_threadsafe(self, callback: Callable[[], object]) -> None:
        self.waiting.append(callback)

    def turn(self) -> None:
        waiting, self.waiting = self.waiting, []
        for callback in waiting:
            callback()

    def work(self) -> None:
        self.now += TURN_SECONDS / 3


def test_a_turn_ends_when_its_time_is_over_and_the_loop_is_woken_once_for_the_rest() -> None:
    loop = Loop()
    asked = Asked(loop, lambda: loop.now)
    for _ in range(7):
        asked.add(loop.work, (), {})
    worked = []
    while loop.waiting:
        assert len(loop.waiting) == 1
        before = loop.now
        loop.turn()
        worked.append(round((loop.now - before) / TURN_SECONDS * 3))
    assert worked == [3, 3, 1]


def test_what_a_call_asks_for_is_called_in_the_next_pass() -> None:
    loop = Loop()
    asked = Asked(loop, lambda: loop.now)
    seen: list[str] = []

    def first(*, name: str) -> None:
        seen.append(name)
        asked.add(seen.append, ("second",), {})

    asked.add(first, (), {"name": "first"})
    loop.turn()
    assert seen == ["first"]
    loop.turn()
    assert seen == ["first", "second"]
    assert not loop.waiting
