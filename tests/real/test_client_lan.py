"""Broadcasts and multicasts between three hosts: raw, and by `sock discover`."""

from __future__ import annotations

import json
import re
import signal
import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from sockd.client.lan.discovery import MOST_HOSTS, MOST_WRONG
from tests.client.lan import Lan, answering, events_of, hear, lan
from tests.daemons import Daemon, namespace, run, socket_on
from tests.processes import Running, finish, running, wait_until

WILD = """
[defaults]
answer_broadcasts = true
[service.echo]
listen = ["udp:10007:interface=*", "tcp:10007:interface=*"]
[service.time]
listen = ["udp:37:interface=*"]
[service.reverse]
listen = ["udp:2007:interface=*", "tcp:7800:interface=*"]
[service.quote]
listen = ["udp:17:interface=*"]
[service.chargen]
listen = ["udp:10019:interface=*"]
[service.ack]
listen = ["udp:8888:interface=*"]
[service.factor]
listen = ["udp:7801:interface=*"]
"""
NARROW = """
[service.daytime]
listen = ["udp:10013:interface=10.78.1.3"]
"""
LONG = ("-W", "60")
"""A discovery that is ended by the test, once it has found what is there."""
IPV6_FREEBIND = 78  # linux/in6.h


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lan]:
    """Three hosts; beta and gamma have services on all addresses, gamma one on a single address."""
    with ExitStack() as stack:
        hosts = stack.enter_context(lan())
        for host, config in ((hosts.beta, WILD), (hosts.gamma, WILD + NARROW)):
            folder = tmp_path_factory.mktemp("lan")
            stack.enter_context(Daemon(folder, config, namespace=host))
        yield hosts


@pytest.fixture(scope="module")
def silent() -> Iterator[Lan]:
    """Three hosts without a service."""
    with lan() as hosts:
        yield hosts


# what the services do


@pytest.mark.parametrize(
    ("device", "broadcast", "answered"),
    [
        ("red", "10.78.1.255", {"10.78.1.2", "10.78.1.3"}),
        ("blue", "10.78.2.255", {"10.78.2.2"}),
        ("red", "255.255.255.255", {"10.78.1.2", "10.78.1.3"}),
        ("blue", "255.255.255.255", {"10.78.2.2"}),
    ],
)
def test_a_broadcast_is_answered_by_every_host_of_the_network_from_its_own_address(
    network: Lan, device: str, broadcast: str, answered: set[str]
) -> None:
    with network.datagrams(network.alpha) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
        sock.sendto(b"who is there?", (broadcast, 10007))
        assert hear(sock, len(answered)) == dict.fromkeys(answered, b"who is there?")


@pytest.mark.parametrize(
    ("device", "answered"), [("red", {"10.78.1.2", "10.78.1.3"}), ("blue", {"10.78.2.2"})]
)
def test_the_group_of_all_hosts_reaches_services_on_all_addresses(
    network: Lan, device: str, answered: set[str]
) -> None:
    with network.aimed(network.alpha, device) as sock:
        sock.sendto(b"who is there?", ("224.0.0.1", 10007))
        assert hear(sock, len(answered)) == dict.fromkeys(answered, b"who is there?")


def test_the_group_of_all_nodes_is_answered_from_addresses_of_the_link(network: Lan) -> None:
    with network.aimed(network.alpha, "red", socket.AF_INET6) as sock:
        sock.sendto(b"who is there?", ("ff02::1", 10007))
        answers = hear(sock, 2)
    assert set(answers.values()) == {b"who is there?"}
    assert all(address.startswith("fe80::") for address in answers)


def test_a_service_on_a_single_address_hears_no_broadcast_and_no_group(network: Lan) -> None:
    with network.aimed(network.alpha, "red") as sock:
        for to in ("10.78.1.255", "224.0.0.1", "10.78.1.3"):
            sock.sendto(b"", (to, 10013))
        first = sock.recv(100)
        # answers come in the order of questions: this one is to the next
        sock.sendto(b"mark", ("10.78.1.3", 10007))
        assert b":" in first
        assert sock.recv(100) == b"mark"


# discover


def found_by(child: Running) -> dict[str, dict[str, Any]]:
    """The probes that were answered, by address and service, of a discovery with -J."""
    events = [json.loads(line) for line in child.text().splitlines() if line.endswith("}")]
    return {
        f"{event['address']} {event['values']['service']} {event['transport']}:{event['port']}": (
            event
        )
        for event in events
        if event["type"] == "probe" and event["outcome"] == "answered"
    }


SERVICES = (
    *("ack udp:8888", "chargen udp:10019", "echo udp:10007", "factor udp:7801", "quote udp:17"),
    *("reverse udp:2007", "time udp:37"),
)


def expected(*addresses: str) -> set[str]:
    return {f"{address} {service}" for address in addresses for service in SERVICES}


def test_discover_finds_each_service_at_each_address_of_each_host(network: Lan) -> None:
    wanted = expected("10.78.1.2", "10.78.2.2", "10.78.1.3")
    with running(network.sock("discover", "-4", "-J", *LONG)) as child:
        wait_until(lambda: wanted <= set(found_by(child)), child.text)
        assert child.stop(signal.SIGINT) == -signal.SIGINT
    assert set(found_by(child)) == wanted
    # each answer was the answer to a question, which was sent before
    for event in found_by(child).values():
        assert event["values"]["interface"] == ("red" if "10.78.1" in event["address"] else "blue")
        assert event["rtt_ns"] is None or event["rtt_ns"] > 0
    [summary] = events_of(child, "summary")
    assert summary["interrupted"]
    assert [host["target"] for host in summary["hosts"]] == ["10.78.1.2", "10.78.2.2", "10.78.1.3"]


def test_discover_finds_hosts_by_their_addresses_on_a_link(network: Lan) -> None:
    with running(network.sock("discover", "-6", "-I", "red", "-J", *LONG)) as child:
        wait_until(lambda: len(found_by(child)) >= 2 * len(SERVICES), child.text)
        child.stop(signal.SIGINT)
    hosts = {name.partition(" ")[0] for name in found_by(child)}
    assert len(hosts) == 2
    assert all(re.fullmatch("fe80::[0-9a-f:]+%red", host) for host in hosts)


@pytest.mark.parametrize("way", ["red", "10.78.1.1"])
def test_discover_asks_one_network_alone(network: Lan, way: str) -> None:
    wanted = expected("10.78.1.2", "10.78.1.3")
    with running(network.sock("discover", "-4", "-I", way, "-J", *LONG)) as child:
        wait_until(lambda: wanted <= set(found_by(child)), child.text)
        child.stop(signal.SIGINT)
    [start] = events_of(child, "start")
    places = start["options"]["places"].split(", ")
    assert all(place.endswith(" on red") for place in places)
    assert set(found_by(child)) == wanted


def test_a_host_on_two_networks_is_told_with_both_addresses_under_its_name(network: Lan) -> None:
    """The rows are told at any moment that asks for them, and at the end."""
    with running(network.sock("discover", "-4", "--tcp", *LONG)) as child:

        def has_all() -> bool:
            child.process.send_signal(signal.SIGQUIT)
            return all(re.search(row, child.text(), re.MULTILINE) for row in rows)

        services = (
            "ack udp:8888, chargen udp:10019, echo tcp:10007 udp:10007, factor udp:7801, "
            "quote udp:17, reverse tcp:7800 udp:2007, time udp:37"
        )
        rows = [
            rf"^{name} +{address} +\S+ ms  {services}$"
            for name, address in (
                ("beta", r"10\.78\.1\.2"),
                ("beta", r"10\.78\.2\.2"),
                ("gamma", r"10\.78\.1\.3"),
            )
        ]
        _wait_until_it_catches(child, signal.SIGQUIT)
        wait_until(has_all, child.text)
        child.stop(signal.SIGINT)
    last = child.text().splitlines()[-3:]
    assert [line.split()[:2] for line in last] == [
        ["beta", "10.78.1.2"],
        ["beta", "10.78.2.2"],
        ["gamma", "10.78.1.3"],
    ]


def _wait_until_it_catches(child: Running, number: signal.Signals) -> None:
    """Wait until a process has a handler for a signal that would end it."""

    def catches() -> bool:
        status = Path(f"/proc/{child.pid}/status").read_text()
        [mask] = re.findall(r"^SigCgt:\s*(\w+)", status, re.MULTILINE)
        return bool(int(mask, 16) >> (number - 1) & 1)

    wait_until(catches, f"it catches {number.name}")


def test_discover_says_that_nobody_answers_and_what_could_be_done(silent: Lan) -> None:
    done = finish(silent.sock("discover", "-W", "0.1"))
    assert done.returncode == 3
    assert done.stdout == b""
    said = done.stderr.decode()
    assert "nobody answered (127.0.0.1 on lo, ::1 on lo" in said
    assert "10.78.1.255 on red" in said
    assert "interface=*" in said


def test_discover_explains_each_datagram(silent: Lan) -> None:
    done = finish(silent.sock("discover", "--explain", "-4", "-I", "red", "-W", "0.1"))
    assert done.returncode == 3
    said = done.stderr.decode()
    assert re.search(r"^# .* datagram to 10\.78\.1\.255:10007 \(udp\), 16 bytes$", said, re.M)
    assert re.search(r"^# .* datagram to 224\.0\.0\.1:13 \(udp\), 0 bytes$", said, re.M)


def test_discover_ends_at_its_deadline(silent: Lan) -> None:
    done = finish(silent.sock("discover", "-w", "0.1", *LONG))
    assert done.returncode == 3
    assert b"nobody answered" in done.stderr


def test_discover_says_why_nobody_can_be_asked(silent: Lan) -> None:
    with namespace() as host:
        run("ip", "-n", host, "link", "set", "lo", "down")
        done = finish(silent.sock("discover", host=host))
    assert done.returncode == 1
    assert b"no interface that is up can broadcast or multicast" in done.stderr


# who lies


def test_garbage_and_floods_are_no_services_and_reach_no_terminal(silent: Lan) -> None:
    def flood(sock: socket.socket, data: bytes, peer: tuple[str, int]) -> None:
        for _ in range(500):
            sock.sendto(b"\x1b]0;owned\x07" + data, peer)

    sock = silent.datagrams(silent.gamma)
    sock.bind(("", 10007))
    with (
        answering(sock, flood),
        running(silent.sock("discover", "-4", "-I", "red", "-v", "-J", *LONG)) as child,
    ):
        wait_until(lambda: child.text().count('"corrupt"') >= MOST_WRONG, child.text)
        child.stop(signal.SIGINT)
    assert child.text().count('"outcome":"corrupt"') == MOST_WRONG
    assert found_by(child) == {}
    assert "\x1b" not in child.text()
    [summary] = events_of(child, "summary")
    assert summary["exit"] == 3


def test_forged_sources_fill_no_memory(silent: Lan) -> None:
    def forge(sock: socket.socket, data: bytes, peer: tuple[str, int]) -> None:
        for number in range(MOST_HOSTS + 100):
            source = socket.inet_pton(socket.AF_INET6, f"fd78:1::1:{number:x}")
            told = (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, source + struct.pack("=I", 0))
            sock.sendmsg([data], [told], 0, peer)

    sock = silent.datagrams(silent.gamma, socket.AF_INET6)
    sock.setsockopt(socket.IPPROTO_IPV6, IPV6_FREEBIND, 1)
    sock.bind(("::", 10007))
    command = silent.sock("discover", "-6", "-I", "red", "-n", "-J", *LONG)
    with answering(sock, forge), running(command) as child:
        wait_until(lambda: len(found_by(child)) >= MOST_HOSTS, "all that are kept are found")
        child.stop(signal.SIGINT)
    [summary] = events_of(child, "summary")
    assert len(summary["hosts"]) == MOST_HOSTS


def test_discover_does_not_try_ports_of_addresses_that_are_on_no_network_of_ours(
    silent: Lan,
) -> None:
    """A source may be forged to have us try the ports of somebody else."""

    def forge(sock: socket.socket, data: bytes, peer: tuple[str, int]) -> None:
        for source in ("2001:db8::7", "fd78:1::3"):
            raw = socket.inet_pton(socket.AF_INET6, source) + struct.pack("=I", 0)
            told = (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, raw)
            sock.sendmsg([data], [told], 0, peer)

    run("ip", "-n", silent.alpha, "-6", "route", "add", "2001:db8::/64", "dev", "red")
    run("ip", "-n", silent.gamma, "addr", "add", "2001:db8::7/64", "dev", "red", "nodad")
    sock = silent.datagrams(silent.gamma, socket.AF_INET6)
    sock.setsockopt(socket.IPPROTO_IPV6, IPV6_FREEBIND, 1)
    sock.bind(("::", 10007))
    with ExitStack() as stack:
        stack.enter_context(answering(sock, forge))
        door = stack.enter_context(socket_on(silent.gamma, socket.AF_INET6, socket.SOCK_STREAM))
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        door.bind(("::", 10017))
        door.listen()
        command = silent.sock("discover", "-6", "-I", "red", "-n", "-J", "--tcp", *LONG)
        child = stack.enter_context(running(command))
        wait_until(lambda: len(found_by(child)) >= 2, child.text)
        connection, (_, *_) = door.accept()
        with connection:
            asked = connection.getsockname()[0]
            connection.sendall(b"A quotation.\r\n")
        wait_until(lambda: "fd78:1::3 quote tcp:10017" in found_by(child), child.text)
        child.stop(signal.SIGINT)
    assert asked == "fd78:1::3"
    assert {name for name in found_by(child) if "tcp" in name} == {"fd78:1::3 quote tcp:10017"}
