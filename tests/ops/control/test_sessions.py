"""Who is connected: chosen, listed, ended and followed."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given as given_any
from hypothesis import strategies as st
from twisted.logger import globalLogPublisher

from sockd.access.guard import SWEEP_SECONDS
from sockd.ops.control.arguments import Arguments
from sockd.ops.control.commands.access import test_access as access
from sockd.ops.control.commands.sessions import follow, kill, sessions
from sockd.ops.control.frames import ControlError
from sockd.ops.control.selection import AT_ONCE
from tests.helpers import LogRecorder
from tests.ops.control.standing import Standing


def ids(standing: Standing, **given: Any) -> list[int]:
    return [one["id"] for one in standing.ask(sessions, **given)["sessions"]]


def test_a_connection_is_told_with_all_that_is_known_of_it() -> None:
    standing = Standing("echo")
    client = standing.connect("echo")
    standing.world.reactor.advance(2)
    client.send(b"hello")
    [told] = standing.ask(sessions)["sessions"]
    assert told == {
        "id": 1,
        "service": "echo",
        "peer": "192.0.2.7:50007",
        "peer_address": "192.0.2.7",
        "peer_port": 50007,
        "door": "tcp 192.0.2.1:7",
        "transport": "tcp",
        "local_address": "192.0.2.1",
        "local_port": 7,
        "state": "idle",
        "age": 2.0,
        "idle": 0.0,
        "bytes_in": 5,
        "bytes_out": 5,
    }


def test_idle_is_the_time_since_a_byte_came_or_was_sent_to_the_second() -> None:
    standing = Standing("echo")
    quiet, busy = standing.connect("echo"), standing.connect("echo", port=50_008)
    for _ in range(10):
        standing.world.reactor.advance(SWEEP_SECONDS)
        busy.send(b"x")
    standing.world.reactor.advance(SWEEP_SECONDS)
    idle = {one["id"]: one["idle"] for one in standing.ask(sessions)["sessions"]}
    assert idle[1] == 11
    assert idle[2] <= SWEEP_SECONDS
    quiet.send(b"x")
    assert [one["idle"] for one in standing.ask(sessions, ids=[1])["sessions"]] == [0]


def test_connections_are_chosen_by_all_that_is_said() -> None:
    standing = Standing("echo", "discard")
    standing.connect("echo", "192.0.2.1")
    standing.connect("echo", "198.51.100.1")
    standing.connect("discard", "2001:db8::1")
    standing.world.reactor.advance(60)
    standing.connect("discard", "192.0.2.2").send(b"x")
    assert ids(standing) == [1, 2, 3, 4]
    assert ids(standing, services=["echo"]) == [1, 2]
    assert ids(standing, services=["echo", "discard"]) == [1, 2, 3, 4]
    assert ids(standing, **{"from": ["192.0.2.0/24"]}) == [1, 4]
    assert ids(standing, **{"from": ["192.0.2.1", "2001:db8::/32"]}) == [1, 3]
    assert ids(standing, ids=[4, 2, 99]) == [2, 4]
    assert ids(standing, age=60) == ids(standing, idle=59.5) == [1, 2, 3]
    assert ids(standing, services=["discard"], age=1, **{"from": ["::/0"]}) == [3]


NAMES = st.sampled_from(["services", "from", "ids", "age", "idle", "all"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=4,
)


@given_any(st.dictionaries(NAMES, VALUES))
def test_whatever_is_asked_is_answered_or_is_a_mistake(given: dict[str, Any]) -> None:
    standing = Standing("echo")
    for command in (sessions, kill):
        with suppress(ControlError):
            assert standing.ask(command, **given)


def test_a_service_that_drains_has_its_connections_told() -> None:
    standing = Standing("echo", "discard")
    standing.connect("echo")
    standing.drain("echo")
    assert ids(standing) == ids(standing, services=["echo"]) == [1]


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"services": ["ecko"]}, "there is no service 'ecko'; did you mean 'echo'?"),
        ({"from": ["192.0.2.1/24"]}, 'did you mean "192.0.2.0/24"?'),
        ({"ids": ["1"]}, "`ids` is a list of whole numbers"),
        ({"ids": [True]}, "`ids` is a list of whole numbers"),
        ({"idle": -1}, "`idle` is a number of seconds"),
        ({"servise": "echo"}, "there is no argument 'servise'"),
    ],
)
def test_a_choice_that_is_wrong_is_told(given: dict[str, Any], why: str) -> None:
    standing = Standing("echo")
    with pytest.raises(ControlError) as caught:
        standing.ask(sessions, **given)
    assert why in str(caught.value)
    assert caught.value.kind == "usage"


@pytest.mark.parametrize(
    ("command", "given"),
    [
        (sessions, {"services": ["echo"]}),
        (kill, {"services": ["echo"]}),
        (access, {"service": "echo", "address": "192.0.2.7"}),
    ],
)
def test_a_service_that_is_disabled_is_said_to_be(command: Any, given: dict[str, Any]) -> None:
    standing = Standing("echo", "discard")
    standing.disable("echo")
    with pytest.raises(ControlError) as caught:
        standing.ask(command, **given)
    assert str(caught.value) == "echo is disabled: `sockd enable echo` has it run"
    assert caught.value.kind == "refused"


def test_many_are_looked_at_some_in_a_turn_and_who_has_left_is_left_out() -> None:
    standing = Standing("echo", trusted=["0.0.0.0/0"], max_connections=2 * AT_ONCE + 1)
    clients = [standing.connect("echo", port=number) for number in range(1, 2 * AT_ONCE + 2)]
    parts = iter(standing.parts(sessions))
    assert len(next(parts)["sessions"]) == AT_ONCE
    clients[-1].vanish()
    clients[-2].vanish()
    assert [len(part["sessions"]) for part in parts] == [AT_ONCE - 1, 0]


def test_those_that_are_chosen_are_ended_and_counted(log: LogRecorder) -> None:
    standing = Standing("echo", "discard")
    first, second = standing.connect("echo"), standing.connect("discard")
    assert standing.ask(kill, services=["echo"]) == {"killed": 1}
    standing.world.reactor.settle()
    assert (first.is_closed, second.is_closed) == (True, False)
    [closed] = log.events("closed")
    assert str(closed["reason"]) == "ended by an administrator"
    assert standing.ask(kill, services=["echo"]) == {"killed": 0}
    assert standing.ask(kill, all=True) == {"killed": 1}


def test_one_that_reads_nothing_is_ended_at_once() -> None:
    standing = Standing("echo")
    client = standing.connect("echo")
    client.take(0)
    client.send(b"x" * 100_000)
    assert standing.ask(kill, ids=[1]) == {"killed": 1}
    standing.world.reactor.settle()
    assert client.is_closed


@pytest.mark.parametrize("given", [{}, {"services": []}, {"age": 0}, {"all": False}])
def test_all_are_ended_only_where_that_is_said(given: dict[str, Any]) -> None:
    standing = Standing("echo")
    standing.connect("echo")
    with pytest.raises(ControlError, match="say which connections are to end, or that all are"):
        standing.ask(kill, **given)
    assert ids(standing) == [1]


class Hearing:
    """Who follows."""

    def __init__(self) -> None:
        self.items: list[Any] = []

    def send(self, item: Any) -> None:
        self.items.append(item)


def test_who_follows_is_told_who_comes_and_goes_until_it_ends() -> None:
    standing, hearing = Standing("echo"), Hearing()
    end = follow(standing.operations, Arguments({}), hearing)
    client = standing.connect("echo")
    client.send(b"hello")
    client.end()
    end()
    standing.connect("echo").vanish()
    opened, closed = hearing.items
    assert (opened["event"], opened["id"], opened["peer"]) == ("opened", 1, "192.0.2.7:50007")
    assert (closed["event"], closed["id"], closed["bytes_in"]) == ("closed", 1, 5)
    assert (closed["reason"], closed["why"]) == ("done", "done")


def test_what_is_followed_is_chosen_by_service_and_source() -> None:
    standing, hearing = Standing("echo", "discard"), Hearing()
    given = {"services": ["echo"], "from": ["192.0.2.0/24"]}
    end = follow(standing.operations, Arguments(given), hearing)
    standing.connect("discard").vanish()
    standing.connect("echo", "198.51.100.1").vanish()
    standing.connect("echo", "192.0.2.9").vanish()
    end()
    assert [(one["event"], one["id"]) for one in hearing.items] == [("opened", 3), ("closed", 3)]


def test_who_follows_is_told_which_services_tell_nothing() -> None:
    standing, hearing = Standing("echo", "discard", log_connections=False), Hearing()
    end = follow(standing.operations, Arguments({"services": ["echo"]}), hearing)
    standing.connect("echo").vanish()
    end()
    assert hearing.items == [{"event": "silent", "services": ["echo"]}]


@pytest.mark.parametrize("given", [{"ids": [1]}, {"age": 1}, {"idle": 1}, {"servise": 1}])
def test_what_cannot_be_followed_is_told_and_nobody_hears(given: dict[str, Any]) -> None:
    before = list(globalLogPublisher._observers)
    with pytest.raises(ControlError):
        follow(Standing("echo").operations, Arguments(given), Hearing())
    assert globalLogPublisher._observers == before
