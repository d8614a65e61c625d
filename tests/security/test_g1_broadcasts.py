"""G1: what is sent to all hosts of a network is answered by none that does not say so.

The attackers are on the next host; a source that they forge is who would be flooded.
"""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Iterator
from itertools import product

import pytest

from sockd.service import find
from tests.daemons import two_hosts
from tests.processes import PATIENCE, wait_until
from tests.security.hosts import Watched, add_addresses, forged, heard, on, raw_sender, sniffer

DAEMON, VICTIM = "10.77.0.1", "10.77.0.66"
ATTACKERS = ("10.77.0.2", "10.77.0.3", "10.77.0.4")
GROUPS = ("10.77.0.255", "255.255.255.255", "224.0.0.1")
"""The network's broadcast address, everybody's, and the group of all hosts."""
ALL_NODES = "ff02::1"
FIRST_PORT = 7001
FOUND_SO, SILENT = {"chat"}, {"discard"}
PORTS = {
    name: FIRST_PORT + number
    for number, name in enumerate(name for name, kind in find().kinds.items() if kind.datagram)
}
"""Every kind of service that answers datagrams, from the registry, and where it listens here."""
ANSWERING = PORTS.keys() - FOUND_SO - SILENT
NARROW_PORT, WILLING_PORT = 7998, 7999
FORGED_PORT = 40_000
WHENCE = (DAEMON, FORGED_PORT)
"""Who answers, and the port that the answer would go to."""


def config() -> str:
    wild = "".join(
        f'[service.{name}]\nlisten = ["udp:{port}:interface=*"]\n' for name, port in PORTS.items()
    )
    return f"""{wild}
[service.willing]
kind = "echo"
listen = ["udp:{WILLING_PORT}:interface=*"]
answer_broadcasts = true
[service.narrow]
kind = "echo"
listen = ["udp:{NARROW_PORT}:interface=10.77.0.255"]
"""


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Watched]]:
    """The next host, which has all attackers' addresses and the victim's, and the daemon."""
    with two_hosts() as (here, there):
        add_addresses(there, [*ATTACKERS[1:], VICTIM])
        folder = tmp_path_factory.mktemp("broadcasts")
        with Watched(folder, config(), namespace=here) as daemon:
            yield there, daemon


def refused(daemon: Watched, since: int) -> Counter[tuple[str, str]]:
    """How often each service has refused something, and why."""
    return Counter((one["service"], one["reason"]) for one in daemon.events("refused")[since:])


@pytest.mark.parametrize("group", GROUPS)
def test_what_is_sent_to_many_is_refused_by_all_that_do_not_say_otherwise(
    hosts: tuple[str, Watched], group: str
) -> None:
    """However many attackers, whoever they say that they are: nobody is sent an answer."""
    there, daemon = hosts
    since = len(daemon.events("refused"))
    with raw_sender(there) as raw, sniffer(there, card(there)) as ear:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, card(there).encode())
        for source, port in product((*ATTACKERS, VICTIM), (*PORTS.values(), NARROW_PORT)):
            raw.sendto(forged((source, FORGED_PORT), (group, port), b"4"), (group, 0))
        raw.sendto(forged((VICTIM, FORGED_PORT), (group, WILLING_PORT), b"4"), (group, 0))
        names = {*ANSWERING, *({"narrow"} if group == GROUPS[0] else ())}
        wait_until(
            lambda: {name for name, why in refused(daemon, since) if why == "to_many"} == names,
            lambda: f"each has refused it: {refused(daemon, since)}",
        )
        answers: list[int] = []

        def willing_has_answered() -> bool:
            answers.extend(port for host, port, _, to, _ in heard(ear, 0.2) if (host, to) == WHENCE)
            return WILLING_PORT in answers

        wait_until(willing_has_answered, "the one that says so has answered")
        ask_each(there)  # and so what came before has been looked at
        willing_has_answered()
    assert answers.count(WILLING_PORT) == 1
    assert set(answers) <= {WILLING_PORT, *(PORTS[name] for name in FOUND_SO)}


def test_nor_over_ipv6(hosts: tuple[str, Watched]) -> None:
    there, daemon = hosts
    since = len(daemon.events("refused"))
    with on(there, lambda: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)) as sock:
        index = on(there, lambda: socket.if_nametoindex(card(there)))
        sock.settimeout(PATIENCE)
        for port in (*PORTS.values(), WILLING_PORT):
            sock.sendto(b"4", (ALL_NODES, port, 0, index))
        wait_until(
            lambda: {name for name, why in refused(daemon, since) if why == "to_many"} == ANSWERING,
            lambda: f"each has refused it: {refused(daemon, since)}",
        )
        # the chat does not know the event and says so; the others have been silent before it
        ports = {sock.recvfrom(1024)[1][1]}
        while WILLING_PORT not in ports:
            ports.add(sock.recvfrom(1024)[1][1])
    assert ports <= {WILLING_PORT, *(PORTS[name] for name in FOUND_SO)}


def test_asked_by_its_own_address_each_answers(hosts: tuple[str, Watched]) -> None:
    """Each would have answered, had it been asked alone."""
    there, _ = hosts
    ask_each(there)


def ask_each(there: str) -> None:
    """Ask each service by its own address, and have its answer."""
    with on(there, lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sock:
        sock.settimeout(PATIENCE)
        for name in (*ANSWERING, "willing"):
            port = PORTS.get(name, WILLING_PORT)
            sock.sendto(b"4", (DAEMON, port))
            assert sock.recvfrom(1024)[1] == (DAEMON, port)


def card(host: str) -> str:
    """The interface of a host that is not its loopback."""
    names = on(host, lambda: [name for _, name in socket.if_nameindex()])
    return next(name for name in names if name.startswith("sk"))
