"""What the doctor says of what was looked at, sent and heard: plain, and no wider than a screen."""

from __future__ import annotations

import unicodedata
from ipaddress import ip_address, ip_network

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from sockd.client.chat.diagnosis import (
    MOST_HEARD,
    WIDTH,
    Asked,
    Beat,
    Findings,
    Heard,
    Look,
    advice,
    asked_lines,
    beat_lines,
    firewall_lines,
    interface_lines,
    paragraph,
)
from sockd.client.chat.servers import Server
from sockd.client.net.interfaces import Interface, Own
from sockd.client.net.kinds import Kind

LO = Look(
    Interface(
        name="lo",
        index=1,
        is_loopback=True,
        addresses=(Own(ip_address("127.0.0.1"), (), ip_network("127.0.0.0/8")),),
    ),
    Kind("loopback", True),
)
ETH = Look(
    Interface(
        name="eth0",
        index=2,
        can_broadcast=True,
        can_multicast=True,
        addresses=(
            Own(ip_address("192.0.2.7"), ("192.0.2.255",), ip_network("192.0.2.0/24")),
            Own(ip_address("fe80::7"), (), ip_network("fe80::/64")),
        ),
    ),
    Kind("Ethernet"),
)
TUN = Look(
    Interface(
        name="tun0",
        index=3,
        addresses=(Own(ip_address("10.8.0.2"), (), ip_network("10.8.0.0/16")),),
    ),
    Kind("VPN or tunnel (tun)", True, True),
)
DOWN = Look(Interface(name="wlan0", index=4, is_up=False), Kind("Wi-Fi"))
BARE = Look(Interface(name="veth0", index=5), Kind("virtual (container)", True))
OWN = frozenset({"127.0.0.1", "192.0.2.7", "fe80::7%eth0"})
BETA = Server("192.0.2.2", 2027, "beta", True, b"beta....")
BY_GROUPS = evolve(BETA, port=2029)
OLD = Server("192.0.2.3", 2027)
HERE = Server("127.0.0.1", 2027, "alpha", True, b"alpha...")


def asked(*servers: Server, way: str = "broadcast", sent: int = 4, failure: str = "") -> Asked:
    made = Asked("eth0", way, "192.0.2.255", sent, failure, is_to_many=way == "broadcast")
    for server in servers:
        made.hear(Heard(server, 1.25))
    return made


def swept(*servers: Server, absent: int = 0) -> Asked:
    made = Asked("eth0", "all of", "192.0.2.0/24", 508, absent=absent, is_sweep=True)
    for server in servers:
        made.hear(Heard(server, 0.5))
    return made


def findings(
    *made: Asked, looks: tuple[Look, ...] = (LO, ETH), beat: Beat | None = None
) -> Findings:
    return Findings(looks, made, OWN, beat)


def said(found: Findings) -> str:
    return " ".join(" ".join(advice(found)).split())


# what there is


def test_interfaces_are_told_with_what_they_are_and_where_their_broadcasts_go() -> None:
    assert interface_lines([LO, ETH, TUN, DOWN, BARE]) == [
        "Interfaces of this host",
        "  lo              up   loopback",
        "                       127.0.0.1/8",
        "  eth0            up   Ethernet",
        "                       192.0.2.7/24  broadcast 192.0.2.255",
        "                       fe80::7/64",
        "  tun0            up   VPN or tunnel (tun)",
        "                       10.8.0.2/16",
        "  wlan0           down Wi-Fi",
        "  veth0           up   virtual (container)",
        "                       no address",
    ]


# what was asked


def test_what_was_sent_is_told_with_who_has_answered_from_where_and_when() -> None:
    rows = [
        Asked("lo", "this host", "127.0.0.1", 4, absent=1),
        asked(BETA, BY_GROUPS, OLD),
        Asked("eth0", "group", "ff02::1", 0, "network is unreachable"),
        Asked("", "host", "198.51.100.1", 2),
        swept(absent=2),
        Asked("eth1", "all of", "198.51.100.0/24", 100, "no room", absent=1, is_sweep=True),
    ]
    assert asked_lines(rows) == [
        "  lo    this host 127.0.0.1     4 sent, nobody listens",
        "  eth0  broadcast 192.0.2.255   4 sent, 3 answers",
        "    beta at 192.0.2.2: udp 2027 (1.2 ms), udp 2029 (1.2 ms)",
        "    an old server at 192.0.2.3: udp 2027 (1.2 ms)",
        "  eth0  group ff02::1           NOT SENT: network is unreachable",
        "        host 198.51.100.1       2 sent, no answer",
        "  eth0  all of 192.0.2.0/24     508 sent, 2 hosts are there without a server, no",
        "                                answer",
        "  eth1  all of 198.51.100.0/24  100 sent, others were not: no room, 1 host is",
        "                                there without a server, no answer",
    ]


def test_rows_that_are_told_apart_stand_in_the_same_columns() -> None:
    first, second = Asked("a", "all of", "192.0.2.0/24", 1), Asked("wlan0", "group", "ff02::1", 1)
    [line] = asked_lines([first], [first, second])
    assert line == "  a      all of 192.0.2.0/24  1 sent, no answer"


def test_the_second_answer_of_a_door_tells_nothing_new() -> None:
    assert asked_lines([asked(BETA, BETA)])[1:] == ["    beta at 192.0.2.2: udp 2027 (1.2 ms)"]


def test_forged_answers_fill_no_screen() -> None:
    many = [Server(f"192.0.2.{number}", 2027) for number in range(1, 200)]
    lines = asked_lines([asked(*many)])
    assert len(lines) == 1 + MOST_HEARD + 1
    assert lines[0].endswith("199 answers")
    assert lines[-1] == "    and 191 more"


def test_names_of_servers_are_escaped_and_cut() -> None:
    evil = evolve(BETA, name="\x1b]0;owned\x07" + "x" * 300)
    [_, line] = asked_lines([asked(evil)])
    assert line == r"    \x1b]0;owned\x07xxxxxxxxxxx... at 192.0.2.2: udp 2027 (1.2 ms)"


@pytest.mark.parametrize(
    ("beat", "line"),
    [
        (Beat(BY_GROUPS, 5.04), "  one of 192.0.2.2:2029 came after 5.0 s: groups reach this host"),
        (
            Beat(BY_GROUPS, waited=14.0),
            "  NONE of 192.0.2.2:2029 came in 14 s: groups do not reach this host",
        ),
        (
            Beat(BETA, problem="it has no door of groups"),
            "  none to wait for, of 192.0.2.2:2027: it has no door of groups",
        ),
        (
            Beat(BETA, problem="\x1b[2J"),
            r"  none to wait for, of 192.0.2.2:2027: \x1b[2J",
        ),
    ],
)
def test_a_heartbeat_is_told(beat: Beat, line: str) -> None:
    assert beat_lines(beat) == [line]


NAMES = st.text(st.characters(exclude_characters="\t"), max_size=40)
"""Of interfaces, which the kernel keeps free of white space; the rest it does not look at."""


def row(
    device: str, way: str, to: str, sent: int, failure: str, absent: int, servers: list[Server]
) -> Asked:
    made = Asked(device, way, to, sent, failure, absent, is_sweep=way == "all of")
    for server in servers:
        made.hear(Heard(server, 12_345.6))
    return made


ROWS = st.builds(
    row,
    NAMES,
    st.sampled_from(["broadcast", "group", "this host", "all of", "host"]),
    st.sampled_from(["255.255.255.255", "ff02::1", "192.168.100.0/24", "fd00:1:2:3:4:5:6:7"]),
    st.integers(0, 9_999),
    st.sampled_from(["", "operation not permitted", "the queue of what is to be sent is full"]),
    st.integers(0, 254),
    st.lists(
        st.builds(
            Server,
            st.sampled_from(["255.255.255.255", "fe80::1111:2222:3333:4444%wlp0s20f3u1i2"]),
            st.integers(1, 65_535),
            st.text(max_size=48),
            st.booleans(),
        ),
        max_size=12,
    ),
)


@given(st.lists(ROWS, max_size=5))
def test_no_line_is_wider_than_a_screen_or_acts_on_a_terminal(rows: list[Asked]) -> None:
    lines = asked_lines(rows)
    lines += [line for one in advice(findings(*rows)) for line in paragraph(one)]
    for line in lines:
        assert len(line) <= WIDTH
        assert all(one.isprintable() or unicodedata.category(one) == "Zs" for one in line)


# what it means


def test_where_a_server_answers_broadcasts_and_groups_arrive_there_is_nothing_to_say() -> None:
    for looks in ((LO, ETH), (LO, ETH, TUN)):
        beat = Beat(BY_GROUPS, 5.0)
        assert advice(findings(asked(BETA, BY_GROUPS), looks=looks, beat=beat)) == []
    assert advice(findings(asked(OLD))) == []


def test_a_host_on_no_network_is_told_that_and_no_more() -> None:
    found = findings(looks=(LO, DOWN, BARE))
    assert advice(found) == [
        "This host is on no network: no interface but the loopback is up and has an address."
    ]
    assert firewall_lines(found) == []


def test_where_nobody_answers_it_is_said_what_a_server_needs() -> None:
    text = said(findings(asked(), swept()))
    assert "Nobody answers." in text
    assert 'listen = ["udp:2027:interface=*"]' in text
    assert "sock chat HOST" in text


def test_a_server_that_answers_only_who_asks_it_alone_is_behind_a_firewall() -> None:
    text = said(findings(asked(), swept(BETA)))
    assert "a firewall drops the answers" in text
    assert text.endswith("sock chat 192.0.2.2")
    assert said(findings(asked(), swept(BY_GROUPS))).endswith("sock chat 192.0.2.2:2029")
    named = asked(BETA, way="host")
    assert "a firewall drops the answers" in said(findings(asked(), named))


def test_a_server_of_this_host_alone_is_told_as_that() -> None:
    assert "listens for this host only" in said(findings(asked(HERE)))
    text = said(findings(asked(HERE, evolve(HERE, host="192.0.2.7"))))
    assert text == "Only this host has a server. If there is another one, it does not answer."


def test_a_firewall_of_this_host_is_named_with_the_interfaces() -> None:
    found = findings(asked(sent=0, failure="operation not permitted"))
    assert "A firewall of this host keeps questions from leaving by eth0" in said(found)
    assert any("filter output" in line for line in firewall_lines(found))
    found = findings(asked(sent=0, failure="network is unreachable"))
    assert "A firewall of this host" not in said(found)
    assert not any("filter output" in line for line in firewall_lines(found))


def test_networks_that_are_too_large_to_ask_each_host_are_named() -> None:
    assert "so only broadcasts were sent: 10.8.0.0/16 (tun0)" in said(
        findings(asked(), looks=(LO, ETH, TUN))
    )
    assert "Too large" not in said(findings(asked()))


def test_a_vpn_is_named_where_nobody_is_found() -> None:
    assert "tun0 is a VPN or a tunnel" in said(findings(asked(), looks=(LO, ETH, TUN)))
    second = Look(evolve(TUN.interface, name="wg0"), TUN.kind)
    text = said(findings(asked(), looks=(LO, ETH, TUN, second)))
    assert "tun0, wg0 are VPNs or tunnels" in text


def test_groups_that_do_not_arrive_are_told_with_what_may_drop_them() -> None:
    text = said(findings(asked(BETA), beat=Beat(BY_GROUPS, waited=14)))
    assert text.startswith("Groups do not arrive")
    assert advice(findings(asked(BETA), beat=Beat(BETA, problem="none"))) == []


def test_ports_that_must_be_open_are_told_with_a_line_for_each_firewall() -> None:
    lines = firewall_lines(findings(asked()))
    text = "\n".join(lines)
    assert max(map(len, lines)) <= WIDTH
    for words in ("nft insert rule", "ufw allow", "firewall-cmd", "2027", "2028", "2029", "tcp"):
        assert words in text
    _, _, server = text.partition("The server hears")
    for words in ("tcp dport 2027", "ufw allow 2027/tcp", "--add-port=2027/tcp"):
        assert words in server
