"""The client's datagrams between hosts: broadcasts, groups, and who says that a host is not there.

Each host is a network namespace; the client runs in one as a process of its own.
"""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Iterator
from typing import Any

import pytest

from tests.client.abroad import command
from tests.daemons import inside, join, namespace, run, socket_on, two_hosts
from tests.processes import PATIENCE, Running, finish, running

PORT = 7007
GROUP, OTHER_GROUP, GROUP6 = "239.1.2.3", "239.1.2.4", "ff15::77"


@pytest.fixture(scope="module")
def hosts() -> Iterator[tuple[str, str, str, str]]:
    """Two hosts joined by a cable, and the names of its ends."""
    with namespace() as first, namespace() as second:
        yield (first, second, *join(first, second))


def outcome(host: str, *arguments: object) -> list[dict[str, Any]]:
    """All that the client says."""
    done = finish(command(host, *arguments), seconds=2 * PATIENCE)
    assert done.returncode == 0, done.stderr
    return lines(done.stdout.decode())


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def answering(host: str, family: int = socket.AF_INET, place: str = "") -> socket.socket:
    sock = socket_on(host, family, socket.SOCK_DGRAM)
    sock.bind((place, PORT))
    return sock


def answer_one(sock: socket.socket) -> None:
    data, asker = sock.recvfrom(100)
    sock.sendto(data, asker)


# who says that a host is not there


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ("10.77.0.2", "port unreachable"),
        ("fd77::2", "port unreachable"),
    ],
)
def test_a_host_says_that_nobody_listens(
    hosts: tuple[str, str, str, str], host: str, said: str
) -> None:
    first = hosts[0]
    start, error, icmp = outcome(first, "ask", host, PORT, 1)
    assert start["source"] == host[:-1] + "1"
    assert error["error"] == "NotDelivered"
    assert error["text"].endswith(f": {said}, said by {host}")
    assert icmp == {"icmp": [[said, host, 1]]}


@pytest.mark.parametrize(
    ("version", "network", "host", "router", "said"),
    [
        ("-4", "10.99.0.0/16", "10.99.0.1", "10.77.0.2", "host unreachable"),
        ("-6", "fd99::/64", "fd99::1", "fd77::2", "no route there"),
    ],
)
def test_a_router_says_that_there_is_no_such_host(
    version: str, network: str, host: str, router: str, said: str
) -> None:
    with two_hosts() as (first, second):
        forwarding = "net.ipv4.ip_forward" if version == "-4" else "net.ipv6.conf.all.forwarding"
        run("ip", "netns", "exec", second, "sysctl", "-qw", f"{forwarding}=1")
        run("ip", "-n", second, version, "route", "add", "unreachable", network)
        run("ip", "-n", first, version, "route", "add", network, "via", router)
        _, error, icmp = outcome(first, "ask", host, PORT, 1)
    assert error["error"] == "NotDelivered"
    assert error["text"].endswith(f": {said}, said by {router}")
    assert icmp == {"icmp": [[said, router, 1]]}


def test_our_own_kernel_says_that_no_neighbour_answers(hosts: tuple[str, str, str, str]) -> None:
    _, error, _ = outcome(hosts[0], "ask", "10.77.0.99", PORT, 1)
    assert error["text"].endswith(": host unreachable, said by our own kernel")


def test_no_way_there_is_unreachable() -> None:
    with namespace() as alone:
        assert outcome(alone, "ask", "10.77.0.2", PORT, 1) == [
            {
                "error": "Unreachable",
                "text": "cannot send to 10.77.0.2:7007: network is unreachable",
            }
        ]
        (error,) = outcome(alone, "hear", GROUP6, PORT, 1, "eth0")
        assert error["text"] == "-I eth0: there is no such interface; there are lo"


# broadcasts


@pytest.mark.parametrize("host", ["10.77.0.255", "255.255.255.255"])
def test_a_broadcast_is_answered_by_another_host(
    hosts: tuple[str, str, str, str], host: str
) -> None:
    first, second, end, _ = hosts
    with answering(second) as server, running(command(first, "many", host, PORT, 1, end)) as child:
        answer_one(server)
        assert child.wait() == 0
    start, answer, _ = lines(child.text())
    assert start == {"many": True, "source": ""}
    assert (answer["data"], answer["sender"]) == ("hello", "10.77.0.2")
    assert answer["destination"] == "10.77.0.1"
    assert inside(first, "cat", f"/sys/class/net/{end}/ifindex") == b"%d\n" % answer["interface"]


def test_a_broadcast_leaves_by_the_interface_that_was_asked_for() -> None:
    with two_hosts() as (first, second), namespace() as third:
        end, _ = join(first, third)
        with answering(second) as near, answering(third) as far:
            arguments = ("many", "255.255.255.255", PORT, 1, end)
            with running(command(first, *arguments)) as child:
                answer_one(far)
                assert child.wait() == 0
            near.setblocking(False)
            with pytest.raises(BlockingIOError):
                near.recv(100)


# groups


def member(host: str, end: str, group: str) -> socket.socket:
    """Who answers what comes to a group."""
    index = struct.pack("=I", int(inside(host, "cat", f"/sys/class/net/{end}/ifindex")))
    if ":" in group:
        sock = answering(host, socket.AF_INET6, "::")
        request = socket.inet_pton(socket.AF_INET6, group) + index
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, request)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
    else:
        sock = answering(host)
        request = socket.inet_aton(group) + bytes(4) + index
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, request)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, bytes(8) + index)
    return sock


@pytest.mark.parametrize(
    ("group", "sender"), [(GROUP, "10.77.0.2"), (GROUP6, "fd77::2"), ("ff02::77", "fe80::")]
)
def test_a_group_is_asked_by_the_interface_that_was_asked_for(
    hosts: tuple[str, str, str, str], group: str, sender: str
) -> None:
    first, second, end, far_end = hosts
    with (
        member(second, far_end, group) as server,
        running(command(first, "many", group, PORT, 1, end)) as child,
    ):
        answer_one(server)
        assert child.wait() == 0
    start, answer, _ = lines(child.text())
    assert start["many"]
    assert answer["data"] == "hello"
    assert answer["sender"].startswith(sender)


def wait_to_hear(child: Running) -> None:
    child.wait_for("joined")


@pytest.mark.parametrize(
    ("group", "other", "near"),
    [(GROUP, OTHER_GROUP, "10.77.0.2"), (GROUP6, "ff15::78", "fd77::2")],
)
def test_only_the_group_is_heard(
    hosts: tuple[str, str, str, str], group: str, other: str, near: str
) -> None:
    first, second, end, far_end = hosts
    with (
        running(command(second, "hear", group, PORT, 1)) as child,
        member(first, end, group) as sender,
    ):
        wait_to_hear(child)
        if ":" not in group:
            with member_beside(second, far_end, other):
                sender.sendto(b"to another group", (other, PORT))
        sender.sendto(b"to the host", (near, PORT))
        sender.sendto(b"to the group", (group, PORT))
        assert child.wait() == 0
    joined, heard, _ = lines(child.text())
    assert joined == {"joined": [far_end, "lo"]}, "programs of this host may speak to its own"
    assert (heard["data"], heard["destination"]) == ("to the group", group)


def member_beside(host: str, end: str, group: str) -> socket.socket:
    """Has the host listen to a group on a port of its own."""
    sock = socket_on(host, socket.AF_INET, socket.SOCK_DGRAM)
    index = struct.pack("=I", int(inside(host, "cat", f"/sys/class/net/{end}/ifindex")))
    request = socket.inet_aton(group) + bytes(4) + index
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, request)
    return sock


def test_a_group_is_heard_on_every_interface() -> None:
    with two_hosts() as (first, second), namespace() as third:
        near_end, far_end = join(first, third)
        (ours,) = (name for name in ends(first) if name != near_end)
        (theirs,) = ends(second)
        with (
            running(command(first, "hear", GROUP, PORT, 2)) as child,
            member(second, theirs, GROUP) as one,
            member(third, far_end, GROUP) as other,
        ):
            wait_to_hear(child)
            one.sendto(b"second", (GROUP, PORT))
            other.sendto(b"third", (GROUP, PORT))
            assert child.wait() == 0
        joined, *heard, _ = lines(child.text())
        assert set(joined["joined"]) == {ours, near_end, "lo"}
        assert {line["data"] for line in heard} == {"second", "third"}
        assert len({line["interface"] for line in heard}) == 2


def ends(host: str) -> list[str]:
    """The cables of a host."""
    names = inside(host, "ls", "/sys/class/net").decode().split()
    return [name for name in names if name != "lo"]


def test_two_hear_a_group_on_one_host(hosts: tuple[str, str, str, str]) -> None:
    first, second, end, _ = hosts
    hears = command(second, "hear", GROUP, PORT, 1)
    with (
        running(hears) as one,
        running(hears) as other,
        member(first, end, GROUP) as sender,
    ):
        wait_to_hear(one)
        wait_to_hear(other)
        sender.sendto(b"to both", (GROUP, PORT))
        assert (one.wait(), other.wait()) == (0, 0)
    assert [lines(child.text())[1]["data"] for child in (one, other)] == ["to both"] * 2
