"""Who may come, how many, how fast: every limit is reached, and not one more gets in."""

from __future__ import annotations

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from sockd.access.guard import (
    NFS_PORT,
    REPORTS_PER_SECOND,
    Guard,
    unanswerable,
)
from sockd.access.peer import Peer
from sockd.access.prefixes import parse_prefix
from sockd.access.reasons import because
from sockd.options.units import Maximum
from tests.access.knocking import PORT, let_in, peers
from tests.helpers import LogRecorder, knock, make_context, make_world
from tests.memory import Client

LOCAL = "unix:/tmp/echo.sock"


# how many


def test_there_are_max_connections_and_never_one_more(log: LogRecorder) -> None:
    context = make_context("echo", max_connections=1000)
    hosts = [f"198.51.{number // 200}.{number % 200}" for number in range(1000)]
    inside = let_in(context, [peer for host in hosts for peer in peers(host, 2)])
    assert len(inside) == len(context.guard.sessions) == 1000
    assert context.guard.counts["refused"] == 1000
    assert str(log.events("refused")[0]["reason"]) == "max_connections = 1000"
    inside[0].vanish()
    assert len(let_in(context, peers("203.0.113.9", 2))) == 1


@given(st.lists(st.booleans(), max_size=60))
def test_whoever_comes_and_goes_max_connections_holds(comings: list[bool]) -> None:
    context = make_context("echo", max_connections=5, trusted=["0.0.0.0/0"])
    inside: list[Client] = []
    for number, comes in enumerate(comings):
        if comes:
            client = knock("echo", context, Peer("198.51.100.1", PORT + number))
            assert (client is None) == (len(inside) == 5)
            inside += [client] if client else []
        elif inside:
            inside.pop(0).vanish()
        assert len(context.guard.sessions) == len(inside)


def test_one_source_has_twenty_connections_and_another_is_served() -> None:
    context = make_context("echo")
    assert len(let_in(context, peers("198.51.100.1", 25))) == 20
    [other] = let_in(context, peers("198.51.100.2", 1))
    other.send(b"hello")
    assert other.received == b"hello"


def test_a_source_that_closes_one_may_open_one() -> None:
    context = make_context("echo")
    inside = let_in(context, peers("198.51.100.1", 20))
    assert let_in(context, peers("198.51.100.1", 1)) == []
    inside[7].end()
    assert len(let_in(context, peers("198.51.100.1", 2))) == 1


def test_the_addresses_of_one_ipv6_lan_are_one_source() -> None:
    context = make_context("echo")
    same = [Peer(f"2001:db8:1:2::{number:x}", PORT) for number in range(1, 26)]
    assert len(let_in(context, same)) == 20
    assert len(let_in(context, [Peer("2001:db8:1:3::1", PORT)])) == 1


def test_an_ipv4_address_mapped_into_ipv6_is_the_same_source() -> None:
    context = make_context("echo", max_connections_per_source=1)
    assert len(let_in(context, peers("198.51.100.1", 1))) == 1
    assert let_in(context, [Peer("::ffff:198.51.100.1", PORT)]) == []


# how fast


def test_a_source_connects_fifty_times_a_second_and_another_is_not_hurt(log: LogRecorder) -> None:
    context = make_context("daytime")
    loop = context.world.reactor

    def served(host: str, tries: int) -> int:
        clients = [knock("daytime", context, peer) for peer in peers(host, tries)]
        return sum(client is not None for client in clients)

    assert served("198.51.100.1", 500) == 50
    assert str(log.events("refused")[0]["reason"]) == "connect_rate = 50/s"
    assert served("198.51.100.2", 30) == 30
    loop.advance(0.5)
    assert served("198.51.100.1", 500) == 25
    loop.advance(1000)
    assert served("198.51.100.1", 500) == 50


# trusted


def test_trusted_peers_are_exempt_from_limits_per_source_and_from_no_other() -> None:
    context = make_context("echo", max_connections=100)
    assert len(let_in(context, peers("127.0.0.1", 200))) == 100
    context = make_context("echo", max_connections=100)
    assert len(let_in(context, peers("::1", 60))) == 60
    context = make_context("echo", trusted=["198.51.100.0/24"])
    assert len(let_in(context, peers("198.51.100.9", 200))) == 200
    assert len(let_in(context, peers("127.0.0.1", 25))) == 20


def test_being_trusted_opens_no_door_that_a_rule_closes() -> None:
    context = make_context("echo", deny=["127.0.0.1"])
    assert let_in(context, peers("127.0.0.1", 1)) == []


# access rules

ALLOWED = ["10.0.0.0/8", "2001:db8::/32"]
DENIED = ["10.1.0.0/16", "2001:db8:bad::/48"]
RULES = {
    "10.2.3.4": None,
    "10.1.2.3": "deny 10.1.0.0/16",
    "2001:db8::1": None,
    "2001:db8:bad::1": "deny 2001:db8:bad::/48",
    "192.0.2.1": "no allow rule matches",
    "127.0.0.1": "no allow rule matches",
    "::ffff:10.1.2.3": "deny 10.1.0.0/16",
    "::ffff:10.2.3.4": None,
}


@pytest.mark.parametrize("host", RULES)
def test_the_most_specific_rule_decides_on_connections_and_datagrams(
    host: str, log: LogRecorder
) -> None:
    context = make_context("echo", allow=ALLOWED, deny=DENIED)
    assert len(let_in(context, peers(host, 1))) == (RULES[host] is None)
    rules = [str(event["reason"]) for event in log.events("refused")]
    assert rules == ([RULES[host]] if RULES[host] else [])
    refused = context.guard.datagram_refusal(host, PORT)
    assert (refused and str(refused)) == RULES[host]


@pytest.mark.parametrize("uid", [0, 11, 12, None])
def test_only_the_users_that_are_listed_may_use_a_unix_socket(uid: int | None) -> None:
    guard = make_context("echo", listen=[LOCAL], allow_users=[0, "11"]).guard
    assert (guard.user_refusal(uid) is None) == (uid in (0, 11))
    assert make_context("echo").guard.user_refusal(uid) is None


def test_a_name_of_a_user_is_as_good_as_its_number() -> None:
    context = make_context("echo", listen=[LOCAL], allow_users=["root"])
    assert context.guard.user_refusal(0) is None


# sources that are never answered (G1)

OWN = {10_007, 10_013}
UNANSWERABLE = [
    ("192.0.2.1", 0),
    ("192.0.2.1", 1),
    ("192.0.2.1", 7),
    ("192.0.2.1", 1023),
    ("192.0.2.1", NFS_PORT),
    ("192.0.2.1", 10_007),
    ("127.0.0.1", 10_013),
    ("::1", 19),
    ("224.0.0.1", PORT),
    ("239.255.255.255", PORT),
    ("ff02::1", PORT),
    ("ff02::1%eth0", PORT),
    ("::ffff:224.0.0.1", PORT),
    ("255.255.255.255", PORT),
    ("::ffff:255.255.255.255", PORT),
    ("0.0.0.0", PORT),
    ("::", PORT),
]


@pytest.mark.parametrize(("host", "port"), UNANSWERABLE)
def test_what_can_start_a_loop_or_reach_many_is_never_answered(host: str, port: int) -> None:
    assert unanswerable(host, port, OWN)


@pytest.mark.parametrize("port", [1024, 2048, 2050, 10_008, 65_535])
@pytest.mark.parametrize("host", ["192.0.2.1", "127.0.0.1", "2001:db8::1", "fe80::1%eth0"])
def test_an_ordinary_source_is_answered(host: str, port: int) -> None:
    assert unanswerable(host, port, OWN) is None


def test_being_trusted_does_not_make_a_source_answerable() -> None:
    context = make_context("echo", trusted=["0.0.0.0/0", "::/0"])
    assert all(context.guard.datagram_refusal(host, port) for host, port in UNANSWERABLE[:5])


def test_a_port_that_the_daemon_opens_later_is_not_answered_from_then_on() -> None:
    host = make_world()
    guard = make_context("echo", host).guard
    assert guard.datagram_refusal("192.0.2.1", PORT) is None
    host.state.open_udp_port(PORT)
    assert guard.datagram_refusal("192.0.2.1", PORT)


def test_who_sends_over_ipv4_from_a_port_that_we_have_over_ipv6_is_answered() -> None:
    host = make_world()
    guard = make_context("echo", host).guard
    host.state.open_udp_port(PORT, ipv4=False)
    assert guard.datagram_refusal("192.0.2.1", PORT) is None
    assert guard.datagram_refusal("2001:db8::1", PORT)


# answers to datagrams (G2)


def answered(guard: Guard, hosts: list[str]) -> int:
    return sum(guard.reply_refusal(host) is None for host in hosts)


@pytest.mark.parametrize(
    ("same", "other"),
    [
        ([f"198.51.100.{number}" for number in range(256)], "198.51.101.1"),
        ([f"2001:db8:0:{number:x}::1" for number in range(256)], "2001:db8:0:100::1"),
    ],
    ids=["/24", "/56"],
)
def test_a_network_gets_twenty_answers_at_once_and_ten_a_second(
    same: list[str], other: str
) -> None:
    context = make_context("daytime")
    guard = context.guard
    assert answered(guard, same) == 20
    assert answered(guard, [other]) == 1
    for _ in range(10):
        context.world.reactor.advance(1)
        assert answered(guard, same) == 10
    context.world.reactor.advance(3600)
    assert answered(guard, same) == 20


def test_a_trusted_source_is_answered_without_end() -> None:
    assert answered(make_context("daytime").guard, ["127.0.0.1"] * 500) == 500


# reports


def test_a_flood_of_refusals_is_reported_a_few_times_a_second(log: LogRecorder) -> None:
    context = make_context("echo", deny=["198.51.100.0/24"])
    for _ in range(3):
        let_in(context, peers("198.51.100.1", 1000))
        context.world.reactor.advance(1)
    assert context.guard.counts["refused"] == 3000
    reports = log.events("refused")
    assert len(reports) <= 3 * REPORTS_PER_SECOND
    assert {event["reason"] for event in reports} == {because("deny", prefix="198.51.100.0/24")}
    assert [event["suppressed"] for event in reports if event["suppressed"]] == [990, 990]
    endings = [line.partition("refused: ")[2] for line in log.lines()]
    summary = "deny 198.51.100.0/24 (and 990 more refused since the last report)"
    assert endings.count(summary) == 2
    assert endings.count("deny 198.51.100.0/24") == len(reports) - 2


def test_what_is_remembered_of_sources_is_bounded() -> None:
    context = make_context("daytime")
    for number in range(20_000):
        context.guard.reply_refusal(f"198.{number // 250}.{number % 250}.1")
        context.guard.refusal(Peer(f"198.{number // 250}.{number % 250}.1", PORT))
    assert context.guard._answers.count <= 10_000
    assert context.guard._connects.count <= 10_000


# limits that change


def test_new_limits_hold_at_once_and_counts_and_connections_stay() -> None:
    context = make_context("echo")
    guard = context.guard
    inside = let_in(context, peers("198.51.100.1", 5))
    guard.refuse(peers("198.51.100.2", 1)[0], because("allow"))
    before = guard.counts["connections"], guard.counts["refused"]
    guard.apply(evolve(context.limits, max_connections_per_source=Maximum(6), max_connections=7))
    assert (guard.counts["connections"], guard.counts["refused"]) == before == (5, 1)
    assert context.limits.max_connections == 7
    assert len(let_in(context, peers("198.51.100.1", 5))) == 1
    assert len(let_in(context, peers("198.51.100.3", 5))) == 1
    assert len(guard.sessions) == 7
    inside[0].vanish()
    assert len(let_in(context, peers("198.51.100.1", 5))) == 1


def test_rules_that_were_remembered_are_forgotten() -> None:
    context = make_context("echo", deny=["198.51.100.0/24"])
    guard = context.guard
    assert let_in(context, peers("198.51.100.1", 1)) == []
    assert guard.datagram_refusal("198.51.100.1", PORT) == because("deny", prefix="198.51.100.0/24")
    guard.apply(evolve(context.limits, deny=()))
    assert len(let_in(context, peers("198.51.100.1", 1))) == 1
    assert guard.datagram_refusal("198.51.100.1", PORT) is None


def test_who_is_trusted_from_now_on_is_not_counted_and_the_other_way_round() -> None:
    context = make_context("echo", max_connections_per_source=3)
    guard = context.guard
    assert len(let_in(context, peers("198.51.100.1", 5))) == 3
    trusted = evolve(context.limits, trusted=(parse_prefix("198.51.100.0/24"),))
    untrusted = context.limits
    guard.apply(trusted)
    assert len(let_in(context, peers("198.51.100.1", 5))) == 5
    guard.apply(untrusted)
    assert let_in(context, peers("198.51.100.1", 1)) == []
    assert guard._per_source == {"198.51.100.1/32": 8}


def test_a_budget_starts_anew_only_where_its_rate_changes() -> None:
    context = make_context("daytime")
    guard = context.guard
    assert answered(guard, ["198.51.100.1"] * 30) == 20
    guard.apply(evolve(context.limits, max_connections=5))
    assert answered(guard, ["198.51.100.1"] * 30) == 0
    guard.apply(evolve(context.limits, reply_burst=7))
    assert answered(guard, ["198.51.100.1"] * 30) == 7
    assert str(guard.reply_refusal("198.51.100.1")) == "reply_rate = 10/s"
