"""Who was refused lately."""

from __future__ import annotations

from sockd.access.peer import Peer
from sockd.access.reasons import because
from sockd.access.refusals import MOST_GROUPS, Refusals

FULL = because("max_connections", limit=1)


def lines(refusals: Refusals) -> list[tuple[str, str, str, int, bool]]:
    return [
        (one.service, one.source, one.rule, one.count, one.is_proven) for one in refusals.latest()
    ]


def test_refusals_of_one_source_for_one_reason_are_one_line_with_a_count_and_two_times() -> None:
    refusals = Refusals()
    for second in range(5):
        refusals.note("echo", Peer("192.0.2.7", second), FULL, "tcp", float(second))
    refusals.note("echo", Peer("192.0.2.8", 9), FULL, "tcp", 9.0)
    assert lines(refusals) == [
        ("echo", "192.0.2.8", "max_connections = 1", 1, True),
        ("echo", "192.0.2.7", "max_connections = 1", 5, True),
    ]
    old = refusals.latest()[1]
    assert (old.first, old.last, old.reason, old.transport) == (0.0, 4.0, "max_connections", "tcp")


def test_services_doors_and_reasons_are_told_apart() -> None:
    refusals, peer = Refusals(), Peer("192.0.2.7", 7)
    refusals.note("echo", peer, FULL, "tcp", 1.0)
    refusals.note("echo", peer, FULL, "tls", 2.0)
    refusals.note("time", peer, FULL, "tcp", 3.0)
    refusals.note("echo", peer, because("allow"), "tcp", 4.0)
    assert len(refusals.latest()) == 4


def test_the_latest_rule_of_a_reason_is_told() -> None:
    refusals = Refusals()
    for port in range(1000):
        peer = Peer("192.0.2.7", port)
        refusals.note("echo", peer, because("service_port", port=port), "udp", 1.0)
    assert lines(refusals) == [
        ("echo", "192.0.2.0/24", "source port 999 is a service's", 1000, False)
    ]


def test_sources_are_what_the_limits_count_as_one() -> None:
    refusals = Refusals()
    for host in ("2001:db8:1:2::1", "2001:db8:1:2::2", "::ffff:192.0.2.7", "192.0.2.7"):
        for transport in ("tcp", "udp", ""):
            refusals.note("echo", Peer(host, 1), FULL, transport, 1.0)
    for uid in (5, 5, None):
        refusals.note("echo", Peer("", 0, 12, uid), FULL, "unix", 1.0)
    found = {(one.transport, one.source): one.count for one in refusals.latest()}
    assert found == {
        ("tcp", "2001:db8:1:2::/64"): 2,
        ("tcp", "192.0.2.7"): 2,
        ("udp", "2001:db8:1::/56"): 2,
        ("udp", "192.0.2.0/24"): 2,
        ("", "2001:db8:1::/56"): 2,
        ("", "192.0.2.0/24"): 2,
        ("unix", "user 5"): 2,
        ("unix", "a local process"): 1,
    }


def test_a_flood_with_forged_sources_hides_no_source_that_is_proven() -> None:
    refusals = Refusals()
    refusals.note("echo", Peer("192.0.2.7", 1), FULL, "tcp", 0.0)
    for number in range(3 * MOST_GROUPS):
        host = f"10.{number // 250}.{number % 250}.1"
        refusals.note("echo", Peer(host, 5000), because("reply_rate", limit=1), "udp", 1.0)
    found = refusals.latest()
    assert len(found) == MOST_GROUPS + 1
    assert found[-1].source == "192.0.2.7"
    assert refusals.forgotten == 2 * MOST_GROUPS


def test_whose_last_refusal_is_longest_ago_makes_room() -> None:
    refusals = Refusals()
    for number in range(MOST_GROUPS + 1):
        refusals.note("echo", Peer("192.0.2.7", 1), FULL, "tcp", float(number))
        host = f"10.0.{number // 250}.{number % 250}"
        refusals.note("echo", Peer(host, 5000), FULL, "tcp", float(number))
    sources = {one.source for one in refusals.latest()}
    assert len(sources) == MOST_GROUPS
    assert "192.0.2.7" in sources
    assert "10.0.0.0" not in sources
