"""`sock echo` between hosts: to a broadcast, to a group, and where routers and hosts refuse."""

from __future__ import annotations

import json
import re
import socket
import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from typing import Any

import pytest

from sockd.formats.probe import TOKEN_BYTES
from tests.client.lan import VALIDATOR, Lan, answering, lan
from tests.daemons import give, namespace, run, two_hosts
from tests.processes import finish

PORT = 10007
IP_RECVTTL = 12  # linux/in.h
COUNT = 5
GROUP = "239.255.7.7"
GROUP6 = "ff02::7777"


def echo(sock: socket.socket, data: bytes, peer: tuple[str, int]) -> None:
    sock.sendto(data, peer)


@pytest.fixture(scope="module")
def network() -> Iterator[Lan]:
    """Three hosts; beta and gamma echo, by all of their addresses and in the groups."""
    with lan() as made, ExitStack() as stack:
        for host in (made.beta, made.gamma):
            for family in (socket.AF_INET, socket.AF_INET6):
                stack.enter_context(answering(echoing(made, host, family), echo))
        yield made


def echoing(made: Lan, host: str, family: int) -> socket.socket:
    """A socket of a host that hears broadcasts and groups on each of its interfaces."""
    sock = made.datagrams(host, family)
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    sock.bind(("" if family == socket.AF_INET else "::", PORT))
    for device in ("red", "blue") if host == made.beta else ("red",):
        index = made.index(host, device)
        if family == socket.AF_INET:
            wish = struct.pack("=4s4si", socket.inet_aton(GROUP), bytes(4), index)
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, wish)
        else:
            wish = socket.inet_pton(family, GROUP6) + struct.pack("=I", index)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, wish)
    return sock


def measure(made: Lan, *options: str, patience: str = "2") -> tuple[int, list[dict[str, Any]]]:
    """A run of alpha's, as events."""
    done = finish(made.sock("echo", "-J", f"-c{COUNT}", "-i0.02", f"-W{patience}", *options))
    events = [json.loads(line) for line in done.stdout.splitlines()]
    for event in events:
        VALIDATOR.validate(event)
    return done.returncode, events


def measure_many(made: Lan, *options: str, losses: int = 0) -> tuple[int, list[dict[str, Any]]]:
    """A run in which so many answers are missing; with more patience where it has more losses.

    That not all hosts have answered is known only when it is over.
    """
    for patience in ("2", "20"):
        code, events = measure(made, *options, patience=patience)
        lost = sum(one["counts"]["lost"] for one in summary(events)["answerers"])
        if code == 0 and lost == losses:
            break
    return code, events


def told(made: Lan, to: str) -> str:
    """What people see of a run in which both hosts answer twice."""
    for patience in ("1", "20"):
        done = finish(made.sock("echo", "-c2", "-i0.02", f"-W{patience}", to))
        text = (done.stdout + done.stderr).decode()
        if done.returncode == 0 and len(re.findall(r"^\S+ +2 +0 % ", text, re.MULTILINE)) == 2:
            break
    assert done.returncode == 0
    return text


def summary(events: list[dict[str, Any]]) -> dict[str, Any]:
    """That of the only host."""
    [found] = events[-1]["hosts"]
    return dict(found)


# many


MANY = [
    ("", "10.78.1.255", {"10.78.1.2", "10.78.1.3"}),
    ("blue", "255.255.255.255", {"10.78.2.2"}),
    ("red", GROUP, {"10.78.1.2", "10.78.1.3"}),
    ("blue", GROUP, {"10.78.2.2"}),
    ("10.78.1.1", GROUP, {"10.78.1.2", "10.78.1.3"}),
    ("red", "224.0.0.1", {"10.78.1.2", "10.78.1.3"}),
]
"""A device or an address of ours, what is asked, and who answers."""


def test_who_answers_is_listed_with_counts_of_its_own(network: Lan) -> None:
    def of(case: tuple[str, str, set[str]]) -> tuple[int, list[dict[str, Any]]]:
        return measure_many(network, *(["-I", case[0]] if case[0] else []), f"{case[1]}:{PORT}")

    with ThreadPoolExecutor(len(MANY)) as pool:
        runs = list(pool.map(of, MANY))
    for (_, _, answered), (code, events) in zip(MANY, runs, strict=True):
        assert code == 0
        found = summary(events)
        assert (found["counts"]["sent"], found["counts"]["received"]) == (COUNT, COUNT)
        assert {one["address"] for one in found["answerers"]} == answered
        for one in found["answerers"]:
            counts = one["counts"]
            assert (counts["sent"], counts["received"], counts["lost"]) == (COUNT, COUNT, 0)
            assert counts["duplicates"] == 0
            assert one["rtt"]["count"] == COUNT
        told = {(e["address"], e["seq"]) for e in events if e["type"] == "probe"}
        assert told == {(address, seq) for address in answered for seq in range(COUNT)}


def test_addresses_of_a_link_bear_the_name_of_the_interface(network: Lan) -> None:
    code, events = measure_many(network, "-I", "red", f"[{GROUP6}]:{PORT}")
    assert code == 0
    addresses = [one["address"] for one in summary(events)["answerers"]]
    assert len(addresses) == 2
    assert all(re.fullmatch(r"fe80::[0-9a-f:]+%red", address) for address in addresses)
    assert all(e["address"].endswith("%red") for e in events if e["type"] == "probe")
    text = told(network, f"[{GROUP6}%red]:{PORT}")
    assert text.count("%red") >= 2
    assert not re.search(r"fe80::\S+%\d", text)


def test_a_host_that_is_silent_for_a_while_has_losses_of_its_own(network: Lan) -> None:
    """Alpha answers itself as well, but every second time only."""

    def seldom(sock: socket.socket, data: bytes, peer: tuple[str, int]) -> None:
        if int.from_bytes(data[TOKEN_BYTES : TOKEN_BYTES + 8]) % 2 == 0:
            sock.sendto(data, peer)

    sock = network.datagrams(network.alpha)
    sock.bind(("10.78.1.255", PORT))
    with answering(sock, seldom):
        code, events = measure_many(network, f"10.78.1.255:{PORT}", losses=2)
    assert code == 0
    found = summary(events)
    by_address = {one["address"]: one["counts"] for one in found["answerers"]}
    assert {address: (c["received"], c["lost"]) for address, c in by_address.items()} == {
        "10.78.1.1": (3, 2),
        "10.78.1.2": (COUNT, 0),
        "10.78.1.3": (COUNT, 0),
    }
    assert found["counts"]["lost"] == 0


def test_people_see_who_answered(network: Lan) -> None:
    text = told(network, f"10.78.1.255:{PORT}")
    for address in ("10.78.1.2", "10.78.1.3"):
        assert re.search(rf"^{re.escape(address)} +2 +0 % +0 ", text, re.MULTILINE), text


def test_a_group_is_asked_on_this_link_only(network: Lan) -> None:
    """Multicasts leave with a TTL of 1."""
    ttls: list[int] = []
    sock = network.datagrams(network.gamma)
    sock.setsockopt(socket.IPPROTO_IP, IP_RECVTTL, 1)
    sock.bind(("", PORT + 1))
    wish = struct.pack(
        "=4s4si", socket.inet_aton(GROUP), bytes(4), network.index(network.gamma, "red")
    )
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, wish)
    with closing(sock):
        measure(network, "-I", "red", f"{GROUP}:{PORT + 1}")
        for _ in range(COUNT):
            _, beside, *_ = sock.recvmsg(100, 100)
            ttls += [struct.unpack("=i", raw)[0] for *_, raw in beside]
    assert ttls == [1] * COUNT


@pytest.mark.parametrize("to", ["255.255.255.255", "224.0.0.1", "[ff02::1]"])
def test_without_a_way_it_is_told_to_name_a_device(to: str) -> None:
    with namespace() as alone:
        made = Lan(alone, "", "")
        done = finish(made.sock("echo", "-c1", f"{to}:{PORT}"))
    assert done.returncode == 1
    assert b"network is unreachable: name a device with -I" in done.stderr


# what the network says


REFUSALS = [
    ("10.77.0.2", "port unreachable", "10.77.0.2"),
    ("[fd77::2]", "port unreachable", "fd77::2"),
    ("10.99.1.1", "host unreachable", "10.77.0.2"),
    ("10.99.2.1", "prohibited by a filter", "10.77.0.2"),
    ("[fd99:1::1]", "no route there", "fd77::2"),
    ("[fd99:2::1]", "prohibited by a filter", "fd77::2"),
]


@pytest.fixture(scope="module")
def host() -> Iterator[str]:
    """One that reaches others by a router, 10.77.0.2, which refuses what it is to refuse.

    Of its addresses there is one for each of what is refused.
    """
    with two_hosts() as (host, router):
        for name in ("ipv4.ip_forward", "ipv6.conf.all.forwarding"):
            run("ip", "netns", "exec", router, "sysctl", "-qw", f"net.{name}=1")
        for refusal, v4, v6 in (("unreachable", 1, 1), ("prohibit", 2, 2)):
            run("ip", "-n", router, "route", "add", refusal, f"10.99.{v4}.0/24")
            run("ip", "-n", router, "-6", "route", "add", refusal, f"fd99:{v6}::/64")
        run("ip", "-n", host, "route", "add", "default", "via", "10.77.0.2")
        run("ip", "-n", host, "-6", "route", "add", "default", "via", "fd77::2")
        [device] = re.findall(r"^\d+: (sk\w+)", run("ip", "-n", host, "-o", "link"), re.MULTILINE)
        for number in range(len(REFUSALS)):
            run("ip", "-n", host, "addr", "add", f"10.77.0.1{number}/24", "dev", device)
            give(host, f"fd77::1:{number}/64", device)
        yield host


def test_refusals_are_told_with_who_sent_them(host: str) -> None:
    def of(number: int) -> tuple[int, list[dict[str, Any]]]:
        to = REFUSALS[number][0]
        # routers say so only so often to one address: each run has its own
        source = f"fd77::1:{number}" if "[" in to else f"10.77.0.1{number}"
        return measure(Lan(host, "", ""), "-I", source, f"{to}:{PORT}")

    with ThreadPoolExecutor(len(REFUSALS)) as pool:
        runs = list(pool.map(of, range(len(REFUSALS))))
    for (_, text, sender), (code, events) in zip(REFUSALS, runs, strict=True):
        assert code == 1
        found, counts = summary(events), summary(events)["counts"]
        [said] = found["icmp"]
        assert (said["text"], said["sender"]) == (text, sender)
        # of what they say nothing of, no answer comes
        assert counts["failed"] == said["count"] > 0
        assert counts["failed"] + counts["lost"] == COUNT
        reasons = {event["reason"] for event in events if event.get("outcome") == "failed"}
        assert reasons == {f"{text}, said by {sender}"}
        assert found["error"].endswith(f": {text}, said by {sender}")


def test_people_see_who_refuses(host: str) -> None:
    done = finish(Lan(host, "", "").sock("echo", "-c1", "-W9", f"10.99.1.1:{PORT}"))
    assert done.returncode == 1
    assert re.search(rb"ICMP +1 x host unreachable, from 10\.77\.0\.2$", done.stderr, re.MULTILINE)
