"""What bans come to at an instance, and what it remembers of whom it refused."""

from __future__ import annotations

from sockd.access.bans import make_ban
from sockd.access.peer import Peer
from sockd.access.prefixes import parse_prefix
from tests.access.knocking import PORT, let_in, peers
from tests.helpers import LogRecorder, make_context, make_world


def test_nobody_connects_from_a_banned_prefix_until_the_time_is_over(log: LogRecorder) -> None:
    context = make_context("echo")
    world = context.world
    now = world.reactor.seconds()
    assert len(let_in(context, peers("192.0.2.7", 1))) == 1
    world.state.bans.add(now, make_ban("192.0.2.0/24", now, 60))
    assert let_in(context, peers("192.0.2.7", 2)) == []
    assert len(let_in(context, peers("192.0.3.7", 1))) == 1
    assert {str(event["reason"]) for event in log.events("refused")} == {"ban 192.0.2.0/24"}
    world.reactor.advance(60)
    assert len(let_in(context, peers("192.0.2.7", 1))) == 1


def test_a_ban_holds_for_datagrams_and_for_every_instance_and_ends_with_unban() -> None:
    world = make_world()
    guards = [make_context(kind, world).guard for kind in ("echo", "daytime")]
    bans, now = world.state.bans, world.reactor.seconds()
    assert [guard.datagram_refusal("192.0.2.7", PORT) for guard in guards] == [None, None]
    bans.add(now, make_ban("192.0.2.7", now))
    for guard in guards:
        assert str(guard.datagram_refusal("192.0.2.7", PORT)) == "ban 192.0.2.7/32"
        assert str(guard.refusal(Peer("::ffff:192.0.2.7", PORT))) == "ban 192.0.2.7/32"
    bans.remove(parse_prefix("192.0.2.7"))
    assert [guard.datagram_refusal("192.0.2.7", PORT) for guard in guards] == [None, None]


def test_an_allow_rule_lets_in_nobody_who_is_banned_and_trust_does_not_either() -> None:
    context = make_context("echo", allow=["192.0.2.7"], trusted=["192.0.2.7"])
    now = context.world.reactor.seconds()
    context.world.state.bans.add(now, make_ban("192.0.2.7", now))
    assert let_in(context, peers("192.0.2.7", 1)) == []


def test_a_ban_outlives_other_limits() -> None:
    context = make_context("echo")
    now = context.world.reactor.seconds()
    context.world.state.bans.add(now, make_ban("192.0.2.7", now))
    context.guard.apply(context.limits)
    assert let_in(context, peers("192.0.2.7", 1)) == []


def test_processes_of_this_host_are_not_banned() -> None:
    context = make_context("echo", listen=["unix:/tmp/echo.sock"])
    now = context.world.reactor.seconds()
    context.world.state.bans.add(now, make_ban("127.0.0.0/8", now))
    assert context.guard.refusal(Peer("", 0, 12, 5)) is None


def test_all_refusals_are_remembered_also_those_that_the_log_does_not_tell(
    log: LogRecorder,
) -> None:
    context = make_context("echo", deny=["198.51.100.0/24"])
    let_in(context, peers("198.51.100.1", 1000))
    assert len(log.events("refused")) < 1000
    [group] = context.world.state.refusals.latest()
    assert (group.service, group.source, group.rule, group.count) == (
        *("echo", "198.51.100.1", "deny 198.51.100.0/24", 1000),
    )
    assert group.is_proven
