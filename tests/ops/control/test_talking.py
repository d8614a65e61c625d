"""Answers in parts, followers who read too slowly, and requests that come all at once."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest
from twisted.internet.address import UNIXAddress
from twisted.internet.testing import StringTransport

from sockd.ops.control.arguments import Arguments
from sockd.ops.control.command import Answer, Command, Follower
from sockd.ops.control.frames import Request, Told, read_line, request_line
from sockd.ops.control.server import MOST_CONNECTIONS, ROOTS_PLACES, ControlFactory
from tests.helpers import LogRecorder
from tests.memory import Loop

FOLLOWERS: list[Follower] = []
ENDED: list[Follower] = []


def say(_: Any, arguments: Arguments) -> Answer:
    return {"said": arguments.take("word", str)}


def count(_: Any, arguments: Arguments) -> Iterator[Answer]:
    for number in range(arguments.take("to", int)):
        yield {"numbers": [number]}


def fail(_: Any, __: Arguments) -> Answer:
    raise RuntimeError("a fault")


def watch(_: Any, __: Arguments, follower: Follower) -> Callable[[], None]:
    FOLLOWERS.append(follower)
    return lambda: ENDED.append(follower)


COMMANDS = {
    "say": Command(say, changes=True),
    "count": Command(count),
    "fail": Command(fail),
    "watch": Command(say, watch),
}


NOBODY = 65534


class Asking:
    """Who asks, in memory: what it sends and what it has read."""

    def __init__(self, factory: ControlFactory | None = None) -> None:
        self.loop = Loop()
        operations: Any = SimpleNamespace(daemon=SimpleNamespace(world=SimpleNamespace()))
        operations.daemon.world.reactor = self.loop
        self.factory = factory or ControlFactory(operations, COMMANDS)
        self.transport = cast(Any, StringTransport(peerAddress=UNIXAddress(None)))
        self.transport.socket, self._other = socket.socketpair()
        self.protocol = cast(Any, self.factory.buildProtocol(None))
        self.protocol.makeConnection(self.transport)

    def ask(self, command: str, *, follow: bool = False, **arguments: Any) -> None:
        self.send(request_line(Request(command, arguments, follow)))

    def send(self, data: bytes) -> None:
        self.protocol.dataReceived(data)

    def read(self) -> list[Told]:
        lines = self.transport.value().splitlines()
        self.transport.clear()
        return [read_line(line) for line in lines]

    def hang_up(self) -> None:
        self.protocol.connectionLost()
        self.transport.socket.close()
        self._other.close()


def test_a_long_answer_comes_in_parts_one_a_turn() -> None:
    asking = Asking()
    asking.ask("count", to=3)
    assert asking.read() == [Told("part", {"numbers": [0]})]
    asking.ask("say", word="after")
    assert len(asking.loop.getDelayedCalls()) == 1
    asking.loop.advance(0)
    assert asking.read() == [
        Told("part", {"numbers": [1]}),
        Told("answer", {"numbers": [2]}),
        Told("answer", {"said": "after"}),
    ]
    asking.hang_up()


def test_while_one_is_answered_nothing_more_is_read() -> None:
    asking = Asking()
    asking.ask("count", to=3)
    assert asking.transport.producerState == "paused"
    asking.loop.advance(0)
    assert asking.transport.producerState == "producing"
    asking.hang_up()


def test_who_follows_is_answered_nothing_more() -> None:
    asking = Asking()
    watch = request_line(Request("watch", {}, follow=True))
    more = request_line(Request("say", {"word": "x"}))
    asking.ask("count", to=2)
    asking.send(watch + more)
    asking.loop.advance(0)
    asking.send(more)
    assert [told.what for told in asking.read()] == ["part", "answer"]
    FOLLOWERS.pop().send({"n": 1})
    assert asking.read() == [Told("item", {"n": 1})]
    asking.hang_up()
    ENDED.clear()


def test_who_does_not_read_is_sent_no_more_of_it() -> None:
    asking = Asking()
    asking.protocol.pauseProducing()
    asking.ask("count", to=3)
    asking.loop.advance(1)
    assert len(asking.read()) == 1
    asking.protocol.resumeProducing()
    asking.loop.advance(0)
    assert [told.what for told in asking.read()] == ["part", "answer"]
    asking.hang_up()


def test_who_has_gone_amid_an_answer_is_forgotten() -> None:
    asking = Asking()
    asking.protocol.pauseProducing()
    asking.ask("count", to=3)
    asking.hang_up()
    asking.loop.advance(1)
    assert len(asking.read()) == 1
    assert not asking.factory.open
    assert not asking.loop.getDelayedCalls()


def test_thousands_of_requests_at_once_are_answered() -> None:
    asking = Asking()
    asking.send(request_line(Request("say", {"word": "x"})) * 5_000)
    assert asking.read() == [Told("answer", {"said": "x"})] * 5_000
    asking.hang_up()


def test_what_changes_something_is_logged_with_who_has_asked(log: LogRecorder) -> None:
    asking = Asking()
    asking.ask("say", word="x")
    asking.ask("count", to=1)
    [event] = log.events("command")
    assert (event["command"], event["arguments"]) == ("say", '{"word": "x"}')
    assert (event["peer"].pid, event["peer"].uid) == (os.getpid(), os.getuid())
    asking.hang_up()


def test_a_fault_in_a_command_ends_that_command_only(log: LogRecorder) -> None:
    asking = Asking()
    asking.ask("fail")
    assert b"the command has a fault: RuntimeError" in asking.transport.value()
    asking.transport.clear()
    asking.ask("say", word="x")
    assert asking.read() == [Told("answer", {"said": "x"})]
    assert len(log.flush_faults()) == 1
    asking.hang_up()


def test_who_follows_too_slowly_is_told_how_much_it_has_missed() -> None:
    asking = Asking()
    asking.ask("watch", follow=True)
    follower = FOLLOWERS.pop()
    follower.send({"n": 1})
    asking.protocol.pauseProducing()
    follower.send({"n": 2})
    follower.send({"n": 3})
    asking.protocol.resumeProducing()
    follower.send({"n": 4})
    assert [told.value for told in asking.read()] == [{"n": 1}, {"missed": 2}, {"n": 4}]
    asking.hang_up()
    assert ENDED.pop() is follower


def test_who_asks_when_there_are_too_many_is_told_so() -> None:
    first = Asking()
    others = [Asking(first.factory) for _ in range(MOST_CONNECTIONS - 1)]
    late = Asking(first.factory)
    assert f"{MOST_CONNECTIONS} connections" in late.transport.value().decode()
    assert late.transport.disconnecting
    late.transport.clear()
    late.ask("say", word="x")
    assert not late.read()
    for one in (late, first, *others):
        one.hang_up()
    again = Asking(first.factory)
    again.ask("say", word="x")
    assert again.read()
    again.hang_up()


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
def test_root_has_places_that_the_daemons_own_user_cannot_take() -> None:
    root = Asking()
    most = MOST_CONNECTIONS - ROOTS_PLACES
    os.seteuid(NOBODY)
    try:
        others = [Asking(root.factory) for _ in range(most)]
    finally:
        os.seteuid(0)
    *_, late = others
    assert f"{most} connections" in late.transport.value().decode()
    again = Asking(root.factory)
    again.ask("say", word="x")
    assert again.read()
    for one in (root, again, *others):
        one.hang_up()


def test_who_has_said_all_has_it_answered_to_the_end() -> None:
    asking = Asking()
    asking.ask("count", to=3)
    asking.protocol.readConnectionLost()
    assert not asking.transport.disconnecting
    asking.loop.advance(0)
    assert [told.what for told in asking.read()] == ["part", "part", "answer"]
    assert asking.transport.disconnecting
    asking.hang_up()


def test_who_says_no_more_follows_no_more() -> None:
    asking = Asking()
    asking.ask("watch", follow=True)
    FOLLOWERS.clear()
    asking.protocol.readConnectionLost()
    assert asking.transport.disconnecting
    asking.hang_up()
    assert ENDED.pop() is asking.protocol
