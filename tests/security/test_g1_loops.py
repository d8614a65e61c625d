"""G1: no datagram starts a conversation between two services, whoever is said to have sent it."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest

from sockd.service import find
from tests.daemons import namespace, run
from tests.processes import wait_until
from tests.security.hosts import Watched, forged, heard, on, raw_sender, sniffer

FIRST_PORT = 7001
COUNT_SECONDS = 2.0
MOST_THAT_FOLLOW = 10
SIZES = (0, 1, 512)
HOST = "127.0.0.1"
OWN = (HOST, "10.66.0.1")
"""Addresses of the daemon's host."""
STRANGER = ("10.9.9.9", 50_000)
"""A peer that may well be answered: what the tests can hear is proved by it."""

PORTS = {
    name: FIRST_PORT + number
    for number, name in enumerate(name for name, kind in find().kinds.items() if kind.datagram)
}
"""Every kind of service that answers datagrams, from the registry, and where it listens here."""
SILENT = {"discard"}
GROUP = "224.225.226.227"
"""Where the senders send, unasked."""


def config() -> str:
    """Every service that answers datagrams, over UDP, and every one that sends them unasked."""
    return "".join(
        f'[service.{name}]\nlisten = ["udp:{port}:interface=0.0.0.0"]\n'
        for name, port in PORTS.items()
    ) + "".join(
        f'[service.{name}]\nlisten = ["multicast:{GROUP}:2070:interface=127.0.0.1"]\n'
        for name, kind in find().kinds.items()
        if kind.sender and not kind.datagram
    )


def ports_of(daemon: Watched) -> set[int]:
    """Every UDP port of the daemon, those of its senders too, as the kernel knows them."""
    rows = Path(f"/proc/{daemon.pid}/net/udp").read_text().splitlines()[1:]
    return {int(row.split()[1].rpartition(":")[2], 16) for row in rows}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Watched]]:
    """A host with a daemon on every address, its loopback and a card, with a route to anywhere."""
    with namespace() as host:
        run("ip", "-n", host, "link", "add", "card", "arp", "off", "type", "veth", "peer", "cable")
        run("ip", "-n", host, "addr", "add", "10.66.0.1/24", "dev", "card")
        run("ip", "-n", host, "link", "set", "card", "up")
        run("ip", "-n", host, "link", "set", "cable", "up")
        run("ip", "-n", host, "route", "add", "default", "dev", "card")
        folder = tmp_path_factory.mktemp("loops")
        with Watched(folder, config(), namespace=host) as daemon:
            yield host, daemon


def test_there_is_more_than_one_service_to_make_a_loop_of() -> None:
    """The matrix is made from the registry, and the registry is not empty."""
    assert {"echo", "chargen", "daytime", "localtime", "quote", "time"} <= PORTS.keys()


def test_every_service_answers_a_stranger(served: tuple[str, Watched]) -> None:
    """What is counted below can be heard: a datagram from an ordinary port is answered once."""
    host, _ = served
    with raw_sender(host) as raw, sniffer(host) as ear:
        for port in PORTS.values():
            raw.sendto(forged((HOST, STRANGER[1]), (HOST, port), b"44"), (HOST, 0))
        answered = Counter[int]()

        def has_answered() -> bool:
            answered.update(port for _, port, _, to, _ in heard(ear, 1.0) if to == STRANGER[1])
            return answered.keys() >= expected.keys()

        expected = {port: 1 for name, port in PORTS.items() if name not in SILENT}
        wait_until(has_answered, "each has answered")
    assert answered == expected


def test_no_service_answers_another(served: tuple[str, Watched]) -> None:
    """For every ordered pair of services, a datagram of one that comes from the other is the last.

    Itself too: a source that is the daemon's own address with the very port it is sent to.
    """
    host, daemon = served
    ports = ports_of(daemon)
    assert ports > set(PORTS.values())
    pairs = [(own, source, target) for own, source, target in product(OWN, ports, PORTS.values())]
    with raw_sender(host) as raw, sniffer(host) as ear:
        for (own, source, target), size in product(pairs, SIZES):
            raw.sendto(forged((own, source), (own, target), b"4" * size), (own, 0))
        counts = Counter(
            (to, source, target)
            for _, source, to, target, _ in heard(ear, COUNT_SECONDS)
            if to != GROUP
        )
    assert all(count <= len(SIZES) + MOST_THAT_FOLLOW for count in counts.values())
    assert counts == dict.fromkeys(pairs, len(SIZES))


def refused(daemon: Watched, mark: int) -> set[tuple[str, str]]:
    """The services that refused something since the mark, and why, as people are told."""
    events = daemon.events("refused")[mark:]
    told = [(one["service"], one["message"].partition(" refused: ")[2]) for one in events]
    return {(service, why.partition(" (and ")[0]) for service, why in told}


@pytest.mark.parametrize(
    "sources",
    [
        {
            (host, port): f"source port {port} is a service's"
            for host, port in product([HOST, STRANGER[0]], [0, 7, 1023, 2049])
        },
        {
            ("224.0.0.1", 50_000): "source is a multicast address",
            ("239.255.255.250", 50_000): "source is a multicast address",
            ("255.255.255.255", 50_000): "source is the broadcast address",
            ("10.66.0.255", 50_000): "",
        },
    ],
    ids=["ports", "addresses"],
)
def test_no_service_answers_a_source_that_is_none(
    served: tuple[str, Watched], sources: dict[tuple[str, int], str]
) -> None:
    """Port 0, below 1024 or 2049, a multicast or the broadcast address: nothing is sent there.

    The broadcast address of the network is refused by the kernel, when an answer is to be sent.
    """
    host, daemon = served
    mark = len(daemon.events("refused"))
    with raw_sender(host) as raw, sniffer(host) as ear, sniffer(host, "cable") as wire:
        for source, port in product(sources, PORTS.values()):
            raw.sendto(forged(source, (HOST, port), b"4"), (HOST, 0))
        answers = [one for one in heard(ear, 1.0) if one[1] in PORTS.values()]
        answers += [one for one in heard(wire, 0.1) if one[1] in PORTS.values()]
    assert answers == []
    rules = set(filter(None, sources.values()))
    everything = set(product(PORTS, rules))
    wait_until(lambda: refused(daemon, mark) >= everything, "each has been refused")
    assert refused(daemon, mark) == everything


def test_no_service_answers_an_unspecified_source(served: tuple[str, Watched]) -> None:
    """A host that has no address yet broadcasts from 0.0.0.0; nothing is sent back."""
    host, _ = served

    def open_card() -> socket.socket:
        return socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM)

    with on(host, open_card) as card, sniffer(host) as ear:
        for port in PORTS.values():
            packet = forged(("0.0.0.0", 50_000), ("255.255.255.255", port), b"4")
            card.sendto(packet, ("lo", 0x0800))
        everything = heard(ear, 1.0)
    asked = [one for one in everything if one[0] == "0.0.0.0"]
    assert len(asked) == len(PORTS)
    assert [one for one in everything if one[1] in PORTS.values()] == []
