"""Whether a datagram was sent to its port alone; a port that is held by its protocol."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import TypeVar

import pytest

from sockd.reactor.ancillary import AskedOfMany
from sockd.reactor.datagram import DatagramPort
from tests.daemons import give, namespace, run
from tests.reactor.ports import BOTH_WAYS, PLAIN, WILDCARD, Listens, bound, hear, listening, send
from tests.security.hosts import on

T = TypeVar("T")
NETWORK, OWN = "10.66.0.255", "10.66.0.1"
ALL_HOSTS, ALL_NODES = "224.0.0.1", "ff02::1"


@pytest.fixture(scope="module")
def host() -> Iterator[str]:
    """A host with a card that takes what it sends to everybody."""
    with namespace() as name, namespace() as other:
        pair = f"link add card netns {name} type veth peer name cable netns {other}"
        run("ip", *pair.split())
        run("ip", "-n", name, "link", "set", "card", "up")
        run("ip", "-n", other, "link", "set", "cable", "up")
        run("ip", "-n", name, "addr", "add", f"{OWN}/24", "broadcast", NETWORK, "dev", "card")
        give(name, "fe80::66/64", "card")
        yield name


def asker(host: str, family: socket.AddressFamily) -> socket.socket:
    sock = on(host, lambda: socket.socket(family, socket.SOCK_DGRAM))
    if family == socket.AF_INET6:
        index = on(host, lambda: socket.if_nametoindex("card"))
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
    else:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        own = socket.inet_aton(OWN)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, own)
    return sock


@pytest.mark.parametrize("in_batches", BOTH_WAYS)
@pytest.mark.parametrize(
    ("place", "to", "many"),
    [
        (WILDCARD, OWN, False),
        (WILDCARD, "127.0.0.2", False),
        (WILDCARD, NETWORK, True),
        (WILDCARD, ALL_HOSTS, True),
        (NETWORK, NETWORK, True),
        (OWN, OWN, None),
        ("::", "::1", False),
        ("::", ALL_NODES, True),
        ("::1", "::1", None),
    ],
)
def test_a_port_knows_what_was_sent_to_many(
    host: str, place: str, to: str, many: bool | None, in_batches: bool
) -> None:
    """None: on one address nothing is sent to many, and nothing is told."""
    family = socket.AF_INET6 if ":" in place else socket.AF_INET
    protocol = Listens()
    sock = on(host, lambda: bound((place, 0), family))

    def listen() -> DatagramPort:
        with listening(sock, protocol, in_batches) as port, asker(host, family) as sender:
            sender.sendto(b"question", (to, sock.getsockname()[1]))
            hear(port, protocol, 1)
            return port

    on(host, listen)
    [heard] = protocol.heard
    assert (heard.asked is None) == (many is None)
    assert isinstance(heard.asked, AskedOfMany) == bool(many)


@pytest.mark.parametrize("in_batches", BOTH_WAYS)
@pytest.mark.parametrize("place", [PLAIN, WILDCARD])
def test_a_port_that_is_held_hands_on_nothing(place: str, in_batches: bool) -> None:
    protocol = Listens()
    with listening(bound((place, 0)), protocol, in_batches) as port:
        readers = port.reactor._readers
        port.hold()
        port.hold()
        assert port not in readers
        send(port, b"one")
        port.doRead()  # a reactor may have this turn in hand
        assert not protocol.heard
        port.startReading()
        assert port not in readers
        port.release()
        assert port in readers
        hear(port, protocol, 1)


def test_what_was_read_too_much_waits_while_a_port_is_held() -> None:
    hold: list[Callable[[], None]] = []
    protocol = Listens(lambda *_: hold[0]() if len(protocol.heard) == 3 else None)
    with listening(bound((PLAIN, 0)), protocol) as port:
        hold.append(port.hold)
        send(port, *[bytes([number]) * 30_000 for number in range(5)])
        port.doRead()
        assert not port.reactor.getDelayedCalls()
        port.release()
        hear(port, protocol, 5)
    assert [one.data[0] for one in protocol.heard] == [0, 1, 2, 3, 4]


def test_a_port_that_was_stopped_is_not_read_when_it_is_released() -> None:
    protocol = Listens()
    with listening(bound((PLAIN, 0)), protocol) as port:
        port.hold()
        port.stopReading()
        port.release()
        assert port not in port.reactor._readers
