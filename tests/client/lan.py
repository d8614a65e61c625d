"""Three hosts and two networks on one machine: network namespaces at two bridges.

`alpha` and `beta` have an interface on each network, `gamma` on `red` alone. An interface is called
as its network. Addresses: 10.78.1.N and fd78:1::N on red, 10.78.2.N and fd78:2::N on blue, with N 1
for alpha, 2 for beta, 3 for gamma. The hosts know each other's names by their IPv4 addresses.
"""

from __future__ import annotations

import json
import shutil
import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

from attrs import define, field, frozen
from jsonschema import Draft202012Validator

from sockd.listen.sockets import widen
from tests.client.liars import BUFFER
from tests.daemons import give, namespace, run, socket_on
from tests.processes import PATIENCE, Running

NETWORKS = {"red": 1, "blue": 2}
PLACES: dict[str, tuple[int, tuple[str, ...]]] = {
    "alpha": (1, ("red", "blue")),
    "beta": (2, ("red", "blue")),
    "gamma": (3, ("red",)),
}
_NUMBERS = count()
SCHEMA = json.loads((Path(__file__).parents[2] / "docs/sock.schema.json").read_text("utf-8"))
VALIDATOR = Draft202012Validator(SCHEMA)


@frozen
class Lan:
    """The names of the three namespaces."""

    alpha: str
    beta: str
    gamma: str

    def sock(self, *arguments: str, host: str = "") -> list[str]:
        """The command line of `sock` on a host, alpha if none is named."""
        started = ("ip", "netns", "exec", host or self.alpha)
        return [*started, sys.executable, "-m", "sockd.client.main", *arguments]

    def datagrams(self, host: str, family: int = socket.AF_INET) -> socket.socket:
        """A socket of a host for datagrams, which may broadcast."""
        made = socket_on(host, family, socket.SOCK_DGRAM)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        return made

    def index(self, host: str, device: str) -> int:
        """The number of an interface of a host."""
        return int(run("ip", "-n", host, "-o", "link", "show", device).split(":")[0])

    def aimed(self, host: str, device: str, family: int = socket.AF_INET) -> socket.socket:
        """A socket of a host that sends its multicasts out of an interface, and hears its own."""
        made = self.datagrams(host, family)
        index = self.index(host, device)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
        else:
            way = struct.pack("=4s4si", bytes(4), bytes(4), index)
            made.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, way)
        return made


@contextmanager
def lan() -> Iterator[Lan]:
    """Three hosts, joined and named."""
    with ExitStack() as stack:
        switch, *hosts = (stack.enter_context(namespace()) for _ in range(4))
        for network in NETWORKS:
            kind = ("type", "bridge", "mcast_snooping", "0")
            run("ip", "-n", switch, "link", "add", network, *kind)
            run("ip", "-n", switch, "link", "set", network, "up")
        for host, (_, networks) in zip(hosts, PLACES.values(), strict=True):
            for network in networks:
                _plug(switch, host, network)
        for host, (number, networks) in zip(hosts, PLACES.values(), strict=True):
            for network in networks:
                _number(host, network, number)
            stack.enter_context(_names(host))
        yield Lan(*hosts)


def _plug(switch: str, host: str, network: str) -> None:
    """A cable from a host to the bridge of a network."""
    end = f"p{next(_NUMBERS)}"
    pair = f"link add {network} netns {host} type veth peer name {end} netns {switch}"
    run("ip", *pair.split())
    # an address of its link is there at once, without a second of looking who else may have it
    run("ip", "netns", "exec", host, "sysctl", "-qw", f"net.ipv6.conf.{network}.accept_dad=0")
    run("ip", "-n", switch, "link", "set", end, "master", network, "up")
    run("ip", "-n", host, "link", "set", network, "up")


def _number(host: str, network: str, number: int) -> None:
    run(
        *("ip", "-n", host, "addr", "add", f"10.78.{NETWORKS[network]}.{number}/24"),
        *("broadcast", "+", "dev", network),
    )
    give(host, f"fd78:{NETWORKS[network]}::{number}/64", network)


@contextmanager
def _names(host: str) -> Iterator[None]:
    """The names of the hosts, as a host sees them (ip-netns(8))."""
    folder = Path("/etc/netns", host)
    folder.mkdir(parents=True)
    lines = ["127.0.0.1 localhost", "::1 localhost"]
    for name, (number, networks) in PLACES.items():
        lines += [f"10.78.{NETWORKS[network]}.{number} {name}" for network in networks]
    try:
        (folder / "hosts").write_text("\n".join(lines) + "\n", "ascii")
        (folder / "resolv.conf").write_text("nameserver 127.0.0.1\n", "ascii")
        yield
    finally:
        shutil.rmtree(folder)


def events_of(child: Running, kind: str) -> list[dict[str, Any]]:
    """Events of one type that a child with `-J` has told; all of them are as the schema says."""
    events = [json.loads(line) for line in child.text().splitlines()]
    for event in events:
        VALIDATOR.validate(event)
    return [event for event in events if event["type"] == kind]


def hear(sock: socket.socket, count: int) -> dict[str, bytes]:
    """What the next `count` senders say, by their address."""
    sock.settimeout(PATIENCE)
    found: dict[str, bytes] = {}
    while len(found) < count:
        data, (host, *_) = sock.recvfrom(65_535)
        found[host] = data
    return found


@define(eq=False)
class Answerer:
    """A thread that is called with each datagram that comes to a port of a host, to answer it."""

    sock: socket.socket
    answer: Callable[[socket.socket, bytes, tuple[str, int]], None]
    is_over: threading.Event = field(factory=threading.Event)

    def work(self) -> None:
        self.sock.settimeout(0.05)
        while not self.is_over.is_set():
            with suppress(TimeoutError):
                data, peer = self.sock.recvfrom(65_535)
                self.answer(self.sock, data, peer)


@contextmanager
def answering(
    sock: socket.socket, answer: Callable[[socket.socket, bytes, tuple[str, int]], None]
) -> Iterator[None]:
    """Datagrams to a socket are answered while the block runs."""
    widen(sock, BUFFER)
    made = Answerer(sock, answer)
    thread = threading.Thread(target=made.work)
    thread.start()
    try:
        yield
    finally:
        made.is_over.set()
        thread.join(PATIENCE)
        sock.close()
