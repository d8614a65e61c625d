"""Over a Unix socket a user is a source: it takes no other's place."""

from __future__ import annotations

from typing import Any

import pytest

from sockd.access.peer import Peer
from tests.access.knocking import PORT, let_in
from tests.helpers import LogRecorder, knock, make_context
from tests.memory import Client

LOCAL = ["unix:/tmp/echo.sock"]
ALICE, BOB = 1000, 1001


def local(context: Any, uid: int | None, tries: int) -> list[Client]:
    """Those connections of a user that are let in."""
    knocks = [knock("echo", context, Peer("", 0, uid=uid)) for _ in range(tries)]
    return [client for client in knocks if client is not None and not client.is_closed]


def test_a_user_has_twenty_connections_and_another_one_is_served(log: LogRecorder) -> None:
    context = make_context("echo", listen=LOCAL, max_connections=30)
    inside = local(context, ALICE, 40)
    assert len(inside) == 20
    [first, *_] = log.events("refused")
    assert (first["reason"].name, first["peer"].uid) == ("max_connections_per_source", ALICE)
    context.world.reactor.advance(1)  # refusals are reported a few times a second
    assert len(local(context, BOB, 40)) == 10
    assert {event["reason"].name for event in log.events("refused")} == {
        "max_connections_per_source",
        "max_connections",
    }
    inside[0].end()
    assert len(local(context, ALICE, 2)) == 1


def test_root_is_a_user_too() -> None:
    assert len(local(make_context("echo", listen=LOCAL), 0, 30)) == 20


def test_a_user_connects_fifty_times_a_second_and_another_is_not_hurt(log: LogRecorder) -> None:
    context = make_context("echo", listen=LOCAL)

    def served(uid: int, tries: int) -> int:
        count = 0
        for _ in range(tries):
            for client in local(context, uid, 1):
                client.vanish()
                count += 1
        return count

    assert served(ALICE, 100) == 50
    assert str(log.events("refused")[0]["reason"]) == "connect_rate = 50/s"
    assert served(BOB, 1) == 1
    context.world.reactor.advance(1)
    assert served(ALICE, 100) == 50


def test_users_that_are_trusted_are_exempt_from_what_counts_per_source_and_from_no_other() -> None:
    context = make_context("echo", listen=LOCAL, trusted_users=["root", BOB], max_connections=90)
    assert len(local(context, BOB, 60)) == 60
    assert len(local(context, ALICE, 60)) == 20
    assert len(local(context, 0, 60)) == 10


def test_being_trusted_does_not_allow_a_user() -> None:
    context = make_context("echo", listen=LOCAL, trusted_users=[BOB], allow_users=[ALICE])
    assert local(context, BOB, 1) == []
    assert len(local(context, ALICE, 1)) == 1


def test_users_that_nobody_tells_apart_are_one_source() -> None:
    context = make_context("echo", listen=LOCAL)
    assert len(local(context, 65_534, 30)) == 20  # what the kernel says of other user namespaces


def test_a_user_is_no_address() -> None:
    context = make_context("echo", listen=[*LOCAL, "tcp:0"], max_connections_per_source=1)
    assert len(local(context, ALICE, 2)) == 1
    assert len(let_in(context, [Peer("198.51.100.1", PORT), Peer("198.51.100.1", PORT)])) == 1


def test_users_that_become_trusted_are_not_counted_any_more() -> None:
    context = make_context("echo", listen=LOCAL)
    inside = local(context, ALICE, 20)
    trusting = make_context("echo", listen=LOCAL, trusted_users=[ALICE])
    context.guard.apply(trusting.guard.limits)
    assert len(local(context, ALICE, 10)) == 10
    context.guard.apply(make_context("echo", listen=LOCAL).guard.limits)
    assert local(context, ALICE, 1) == []
    for client in inside[:10]:
        client.vanish()
    assert local(context, ALICE, 1) == []
    inside[10].vanish()
    assert len(local(context, ALICE, 1)) == 1


# the rate of an instance in all

CROWD = [Peer(f"198.51.{number // 200}.{number % 200}", PORT) for number in range(1000)]


def test_many_sources_together_connect_no_faster_than_total_connect_rate(log: LogRecorder) -> None:
    context = make_context("echo", total_connect_rate="30/s")
    assert len(let_in(context, CROWD)) == 30
    assert context.guard.counts["refused"] == 970
    [first, *_] = log.events("refused")
    assert (first["reason"].name, str(first["reason"])) == (
        "total_connect_rate",
        "total_connect_rate = 30/s",
    )
    context.world.reactor.advance(0.5)
    assert len(let_in(context, CROWD)) == 15


@pytest.mark.parametrize("peer", [Peer("127.0.0.1", PORT), Peer("", 0, uid=0)])
def test_in_all_means_the_trusted_too(peer: Peer) -> None:
    listen = [*LOCAL, "tcp:0"]
    context = make_context("echo", listen=listen, total_connect_rate="5/s", trusted_users=[0])
    knocks = [knock("echo", context, peer) for _ in range(9)]
    assert sum(one is not None and not one.is_closed for one in knocks) == 5


def test_who_is_refused_anyway_takes_nothing_of_the_rate_in_all() -> None:
    context = make_context("echo", total_connect_rate="40/s", deny=["203.0.113.0/24"])
    assert let_in(context, [Peer("203.0.113.9", PORT)] * 500) == []
    assert len(let_in(context, [Peer("198.51.100.1", PORT)] * 500)) == 20
    assert len(let_in(context, CROWD[:100])) == 20


def test_without_a_rate_in_all_as_many_come_as_there_are_places() -> None:
    assert len(let_in(make_context("echo"), CROWD)) == 1000


def test_a_change_of_something_else_gives_no_new_budget() -> None:
    context = make_context("echo", total_connect_rate="7/h")
    assert len(let_in(context, CROWD)) == 7
    changed = make_context("echo", total_connect_rate="7/h", max_connections=500)
    context.guard.apply(changed.guard.limits)
    assert let_in(context, CROWD) == []
