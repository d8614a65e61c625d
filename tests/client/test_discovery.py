"""Where a discovery asks, what it keeps, and how it tells it."""

from __future__ import annotations

import ipaddress

from hypothesis import given
from hypothesis import strategies as st

from sockd.client.lan.discovery import (
    MOST_HOSTS,
    MOST_WRONG,
    Findings,
    Host,
    Place,
    Service,
    Way,
    as_name,
    is_near,
    places,
    rows,
)
from sockd.client.net.interfaces import Interface, own
from sockd.client.targets import Transport

LO = Interface(
    name="lo",
    index=1,
    is_loopback=True,
    addresses=(own("127.0.0.1", "255.0.0.0", None), own("::1", None, None)),
)
ETH = Interface(
    name="eth0",
    index=2,
    can_broadcast=True,
    can_multicast=True,
    addresses=(own("10.0.0.5", "255.255.255.0", "10.0.0.255"), own("fe80::5", None, None)),
)
DOWN = Interface(
    name="eth1",
    index=3,
    is_up=False,
    can_broadcast=True,
    can_multicast=True,
    addresses=(own("10.1.0.5", "255.255.255.0", "10.1.0.255"),),
)
TUN = Interface(
    name="tun0",
    index=4,
    can_multicast=True,
    addresses=(own("10.2.0.5", "255.255.255.255", None),),
)
BARE = Interface(name="eth9", index=9, can_broadcast=True, can_multicast=True)
ALL = (LO, ETH, DOWN, TUN, BARE)

TO_SELF = (
    Place(Way.LOOPBACK, "127.0.0.1", "", "lo"),
    Place(Way.LOOPBACK, "::1", "", "lo"),
)
BY_ETH = (
    Place(Way.BROADCAST, "10.0.0.255", "eth0", "eth0"),
    Place(Way.BROADCAST, "255.255.255.255", "eth0", "eth0"),
    Place(Way.MULTICAST, "224.0.0.1", "eth0", "eth0"),
    Place(Way.MULTICAST, "ff02::1%2", "eth0", "eth0"),
)
BY_TUN = (Place(Way.MULTICAST, "224.0.0.1", "tun0", "tun0"),)
ECHO = Service("echo", Transport.UDP, 10007)


# where


def test_every_interface_that_is_up_is_asked_in_every_way_that_it_can() -> None:
    assert places(ALL) == (*TO_SELF, *BY_ETH, *BY_TUN)


def test_one_interface_is_asked_alone() -> None:
    assert places(ALL, "eth0") == BY_ETH
    assert places(ALL, "lo") == (
        Place(Way.LOOPBACK, "127.0.0.1", "lo", "lo"),
        Place(Way.LOOPBACK, "::1", "lo", "lo"),
    )


def test_by_one_of_our_addresses_only_what_leaves_from_it_is_asked() -> None:
    assert places(ALL, "10.0.0.5") == (
        Place(Way.BROADCAST, "10.0.0.255", "10.0.0.5", "eth0"),
        Place(Way.BROADCAST, "255.255.255.255", "10.0.0.5", "eth0"),
        Place(Way.MULTICAST, "224.0.0.1", "10.0.0.5", "eth0"),
    )
    assert places(ALL, "fe80::5") == (Place(Way.MULTICAST, "ff02::1%2", "fe80::5", "eth0"),)
    assert places(ALL, "::1") == (Place(Way.LOOPBACK, "::1", "::1", "lo"),)


def test_one_family_may_be_enough() -> None:
    assert places((LO, ETH), family=6) == (TO_SELF[1], BY_ETH[3])
    assert places((LO, ETH), family=4) == (TO_SELF[0], *BY_ETH[:3])


def test_without_an_interface_there_is_nobody_to_ask() -> None:
    assert places((DOWN, BARE)) == ()


def test_a_place_is_told_by_its_address_and_its_interface() -> None:
    assert str(BY_ETH[3]) == "ff02::1 on eth0"


# what is kept


def test_a_service_is_new_once() -> None:
    findings = Findings(frozenset({"10.0.0.5"}))
    assert findings.add("10.0.0.9", ECHO, 300_000)
    assert not findings.add("10.0.0.9", ECHO, 200_000)
    assert findings.add("10.0.0.9", Service("time", Transport.UDP, 37), None)
    assert findings.add("10.0.0.5", ECHO, None)
    assert findings.hosts["10.0.0.9"].rtt_ns == 200_000
    assert [host.is_own for host in findings.in_order()] == [True, False]


def test_no_more_hosts_are_kept_however_many_are_forged() -> None:
    findings = Findings()
    for number in range(MOST_HOSTS + 50):
        is_kept = findings.add(str(ipaddress.ip_address(0x0A000001 + number)), ECHO, 1)
        assert is_kept == (number < MOST_HOSTS)
    assert len(findings.hosts) == MOST_HOSTS
    assert findings.left_out == 50
    # those that are known are heard as before
    assert findings.add("10.0.0.1", Service("time", Transport.UDP, 37), 1)


def test_wrong_answers_are_told_up_to_a_number_and_counted_beyond() -> None:
    findings = Findings()
    told = [findings.add_wrong() for _ in range(MOST_WRONG + 3)]
    assert told == [True] * MOST_WRONG + [False] * 3
    assert findings.wrong == MOST_WRONG + 3


def test_hosts_are_in_the_order_of_addresses_and_those_of_a_name_together() -> None:
    findings = Findings()
    for address in ("fe80::1%eth0", "10.0.0.10", "10.1.0.2", "10.0.0.9", "::1"):
        findings.add(address, ECHO, None)
    findings.hosts["10.1.0.2"].name = findings.hosts["10.0.0.9"].name = "beta"
    ordered = [host.address for host in findings.in_order()]
    assert ordered == ["10.0.0.9", "10.1.0.2", "10.0.0.10", "::1", "fe80::1%eth0"]


# who is near


def test_only_networks_of_our_own_are_near() -> None:
    known = [ipaddress.ip_network("10.0.0.0/24"), ipaddress.ip_network("fd00::/64")]
    assert is_near("10.0.0.77", known)
    assert is_near("fd00::9", known)
    assert is_near("127.0.0.1", known)
    assert is_near("fe80::1%eth0", known)
    assert not is_near("192.0.2.1", known)
    assert not is_near("2001:db8::1", known)


# how it is told


def test_a_name_is_that_of_a_host_or_none() -> None:
    assert as_name("alpha.example.") == "alpha.example"
    for text in ("", ".", "a b", "evil\n10.0.0.1", "\x1b[2J", "b\\x", "-J", "a" * 300, "ä"):
        assert as_name(text) == ""


@given(st.text())
def test_a_name_never_breaks_a_row(text: str) -> None:
    host = Host("10.0.0.9", {ECHO: None}, 1, as_name(text))
    [(_, row)] = rows([host])
    assert row.isprintable()


def _hosts() -> list[Host]:
    services = {
        Service("time", Transport.UDP, 37): None,
        Service("echo", Transport.UDP, 10007): None,
        Service("echo", Transport.TCP, 7): None,
    }
    return [
        Host("10.0.0.5", dict(services), 1_234_000, "alpha", is_own=True),
        Host("10.0.0.10", {ECHO: None}, None),
    ]


def test_a_row_has_name_address_round_trip_and_services() -> None:
    assert [row for _, row in rows(_hosts())] == [
        "alpha  10.0.0.5     1.23 ms  echo tcp:7 udp:10007, time udp:37 (this host)",
        "       10.0.0.10          -  echo udp:10007",
    ]


def test_without_names_there_is_no_column_for_them() -> None:
    [_, host] = _hosts()
    assert rows([host])[0][1] == "10.0.0.10          -  echo udp:10007"


def test_a_row_that_a_terminal_cannot_hold_is_broken_between_services() -> None:
    host = _hosts()[0]
    host.services |= {Service(f"kind{n}", Transport.UDP, 1000 + n): None for n in range(9)}
    for width in (60, 80, 100, 120):
        [(_, row)] = rows([host], width)
        lines = row.split("\n")
        assert len(lines) > 1
        assert all(len(line) <= width for line in lines)
        assert " ".join(row.split()) == " ".join(rows([host])[0][1].split())
    [(_, narrow)] = rows([host], 80)
    assert narrow.split("\n")[0] == "alpha  10.0.0.5    1.23 ms"
