"""A limit that is off holds nobody back; the others hold all the same."""

from __future__ import annotations

from sockd.access.peer import Peer
from tests.helpers import connect, knock, make_context

DAY = 86_400.0


def test_without_a_maximum_one_source_may_have_every_connection_there_is() -> None:
    context = make_context(
        "echo", max_connections=500, max_connections_per_source="off", connect_rate="off"
    )
    inside = [knock("echo", context, Peer("198.51.100.1", 40_000 + n)) for n in range(501)]
    assert [client is not None for client in inside] == [True] * 500 + [False]


def test_without_a_rate_a_source_may_come_as_often_as_it_likes() -> None:
    context = make_context("echo", connect_rate="off")
    for number in range(500):
        connect("echo", context, Peer("198.51.100.1", 40_000 + number)).vanish()
        if number % 100 == 0:
            context.world.reactor.advance(0.5)
    assert context.guard.counts["refused"] == 0


def test_a_rate_alone_holds_where_the_maximum_is_off_and_the_other_way_round() -> None:
    rate = make_context("echo", max_connections_per_source="off")
    peers = [Peer("198.51.100.1", 40_000 + number) for number in range(60)]
    assert sum(knock("echo", rate, peer) is not None for peer in peers) == 50
    maximum = make_context("echo", connect_rate="off")
    assert sum(knock("echo", maximum, peer) is not None for peer in peers) == 20


def test_without_an_idle_timeout_a_silent_connection_stays() -> None:
    client = connect("echo", make_context("echo", idle_timeout="off"))
    client.loop.advance(DAY)
    assert not client.saw_end
    client.send(b"still there?")
    assert client.received == b"still there?"


def test_without_a_line_timeout_a_line_may_take_as_long_as_it_likes() -> None:
    context = make_context("reverse", line_timeout="off", idle_timeout="off")
    client = connect("reverse", context)
    client.send(b"ab")
    client.loop.advance(DAY)
    client.send(b"c\n")
    client.loop.advance(1)
    assert client.received == b"cba\r\n"
