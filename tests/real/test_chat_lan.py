"""The chat between hosts of a LAN: one room behind all doors, and what of it goes over the wire."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from sockd.formats.chat.events import Code, pack, unpack
from tests.daemons import Daemon, run, socket_on
from tests.real.chatnet import (
    CHAT,
    SERVER,
    Net,
    Talker,
    Tap,
    all_join,
    member,
    net,
    routing_groups,
    talking,
    tell,
)

WEATHER = "225.1.0.2"
GROUPS = f"{SERVER}:2029"
MANY = ["CurrentEvents", "Weather", *(f"Channel{number}" for number in range(3, 26))]
"""25 channels, with the groups from 225.1.0.1 on."""
CONFIG = f"{CHAT}event_burst = 100\n[service.chat.channels]\n" + "".join(
    f'{title} = "about {title}"\n' for title in MANY
)


@pytest.fixture(scope="module")
def lan(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Net]:
    with net() as made:
        folder = tmp_path_factory.mktemp("chat")
        with Daemon(folder, CONFIG, namespace=made.server):
            yield made


@pytest.fixture(scope="module")
def busy(lan: Net, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Talker]:
    """One that is on the way into all channels: as fast as the server takes it."""
    with talking(lan.carl, "busy", tmp_path_factory.mktemp("homes"), GROUPS) as made:
        made.says(*(f"/join {title}" for title in MANY))
        yield made


@pytest.fixture(scope="module")
def users(
    lan: Net, busy: Talker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[Talker]]:
    """One at each door, and two of them on one host by multicast."""
    home = tmp_path_factory.mktemp("homes")
    with ExitStack() as stack:
        made = [
            stack.enter_context(talking(host, name, home, *arguments))
            for host, name, arguments in (
                (lan.anna, "anna", (GROUPS,)),
                (lan.anna, "anton", (GROUPS,)),
                (lan.bert, "bert", (GROUPS,)),
                (lan.carl, "carl", (SERVER,)),
                (lan.carl, "carla", ("--tcp", SERVER)),
            )
        ]
        all_join(made, "Weather")
        yield made


def test_all_doors_lead_to_one_room_and_everybody_hears_everything_once(
    users: list[Talker],
) -> None:
    for one in users:
        one.says(f"I am {one.nickname}")
    for one in users:
        for other in users:
            one.hears("Weather", other.nickname, f"I am {other.nickname}")
    users[0].says("that is all")
    for one in users:
        one.hears("Weather", "anna", "that is all")
        for other in users:
            said = f"[Weather] {other.nickname}: I am {other.nickname}"
            assert one.lines.count(said) == 1


def test_who_knows_no_server_finds_it_by_broadcast(
    lan: Net, users: list[Talker], tmp_path: Path
) -> None:
    with Tap(lan.switch, "bert") as tap, talking(lan.bert, "dora", tmp_path) as dora:
        all_join([dora], "Weather")
        asked = {one.to for one in tap.read() if one.code == Code.NOTHING and not one.is_out}
        dora.says("found you")
        for one in (*users, dora):
            one.hears("Weather", "dora", "found you")
        users[0].says("hello dora")
        dora.hears("Weather", "anna", "hello dora")
        dora.leaves()
    tell(f"dora asked {asked}: {dora.lines[:2]}")
    assert "10.79.1.255" in asked


def test_a_message_goes_to_a_group_once_however_many_hear_it_there(
    lan: Net, users: list[Talker]
) -> None:
    with Tap(lan.switch, "server") as tap:
        for one in users:
            one.says(f"{one.nickname} counts")
        for one in users:
            for other in users:
                one.hears("Weather", other.nickname, f"{other.nickname} counts")
        said = [one for one in tap.read() if one.code == Code.PUBLIC_MSG and not one.is_out]
    to = {
        one.nickname: [p.to for p in said if f"{one.nickname} counts".encode() in p.data]
        for one in users
    }
    tell(f"datagrams of a message to 3 by multicast, 1 by UDP, 1 by TCP: {to['anna']}")
    for there in to.values():
        assert sorted(there) == ["10.79.1.4", WEATHER]
    for one in users:
        for other in users:
            assert one.lines.count(f"[Weather] {other.nickname}: {other.nickname} counts") == 1


def test_a_network_behind_a_router_hears_nothing_as_far_as_one_hop_goes(
    lan: Net, users: list[Talker]
) -> None:
    """The router sends groups on, as what is sent with a time to live of 2 shows."""
    with (
        routing_groups(lan, WEATHER),
        member(lan.far, WEATHER, 2028) as far,
        Tap(lan.router, "lan") as tap,
    ):
        users[0].says("stays here")
        for one in users:
            one.hears("Weather", "anna", "stays here")
        with socket_on(lan.server, socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 2)
            sock.sendto(b"goes on", (WEATHER, 2028))
        assert far.recv(1024) == b"goes on"
        came = [one.ttl for one in tap.read() if one.to == WEATHER and not one.is_out]
    assert came == [1, 2]


def test_a_client_in_25_channels_hears_each_of_them_once(lan: Net, busy: Talker) -> None:
    """A socket may be in 20 groups."""
    for title in MANY:
        busy.sees(f"-- you are in {title} ")
    most = run("ip", "netns", "exec", lan.carl, "sysctl", "-n", "net.ipv4.igmp_max_memberships")
    groups = set(re.findall(r"inet\s+(225\S+)", run("ip", "-n", lan.carl, "maddr", "show", "lan")))
    assert int(most) < len(MANY)
    assert groups == {f"225.1.0.{number}" for number in range(1, len(MANY) + 2)}
    with socket_on(lan.bert, socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect((SERVER, 2027))
        answer(sock, Code.LOGIN_REQ, b"crier", Code.LOGIN_ACK)
        for title in MANY:
            answer(sock, Code.JOIN_REQ, title.encode(), Code.JOIN_ACK)
            answer(sock, Code.SEND_PUBLIC, b"hear, " + title.encode(), Code.PUBLIC_MSG)
        answer(sock, Code.SEND_PUBLIC, b"that is all", Code.PUBLIC_MSG)
        sock.send(pack(Code.LOGOFF, b"crier"))
    for title in MANY:
        busy.hears(title, "crier", f"hear, {title}")
    busy.hears(MANY[-1], "crier", "that is all")
    heard = [line for line in busy.lines if " crier: hear" in line]
    assert sorted(heard) == sorted(f"[{title}] crier: hear, {title}" for title in MANY)


def answer(sock: socket.socket, code: Code, text: bytes, wanted: Code) -> None:
    """Send an event as an old client, and wait for its answer."""
    sock.send(pack(code, text))
    while (event := unpack(sock.recv(1024))) is None or event.code != wanted:
        assert event is not None
        assert event.code != Code.ERROR, event
