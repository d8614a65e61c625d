"""Addresses of IPv6 that are on one interface: fe80::1%eth0."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from sockd.listen.sockets import ListenError, aim, bound
from sockd.listen.strings import parse
from sockd.reactor.datagram import DatagramPort
from sockd.reactor.sockaddr import bound_to
from tests.daemons import give, namespace, run
from tests.reactor.ports import Listens, listening
from tests.security.hosts import on

OWN = "fe80::77"


@pytest.fixture(scope="module")
def host() -> Iterator[str]:
    """A host whose two cards have the same address."""
    with namespace() as name, namespace() as other:
        for card in ("eth0", "eth1"):
            pair = f"link add {card} netns {name} type veth peer name {card} netns {other}"
            run("ip", *pair.split())
            for end in (name, other):
                run("ip", "-n", end, "link", "set", card, "up")
            give(name, f"{OWN}/64", card)
        yield name


@pytest.mark.parametrize("card", ["eth0", "eth1"])
@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_a_scoped_address_is_bound_on_its_interface(host: str, transport: str, card: str) -> None:
    def bind() -> tuple[tuple[str, int], int, int]:
        with bound(parse(f"{transport}:0:interface=[{OWN}%{card}]")) as sock:
            return bound_to(sock), sock.getsockname()[3], socket.if_nametoindex(card)

    (name, port), scope, number = on(host, bind)
    assert name == f"{OWN}%{card}"
    assert port > 0
    assert scope == number


def test_an_interface_can_be_named_by_its_number(host: str) -> None:
    def bind() -> tuple[str, int]:
        number = socket.if_nametoindex("eth1")
        with bound(parse(f"tcp:0:interface=[{OWN}%{number}]")) as sock:
            return bound_to(sock)

    assert on(host, bind)[0] == f"{OWN}%eth1"


def test_a_port_says_which_interface_it_is_on(host: str) -> None:
    def say() -> str:
        with listening(bound(parse(f"udp:0:interface=[{OWN}%eth1]")), Listens()) as port:
            assert isinstance(port, DatagramPort)
            return str(getattr(port.getHost(), "host", ""))

    assert on(host, say) == f"{OWN}%eth1"


@pytest.mark.parametrize(
    ("place", "why"),
    [
        (f"{OWN}%eth9", "no interface"),
        (f"{OWN}%99", "No such device"),
        (f"{OWN}%lo", "Cannot assign requested address"),
        (OWN, f"it is on every interface; name one, as in [{OWN}%eth0]"),
    ],
)
def test_what_cannot_be_bound_is_told_why(host: str, place: str, why: str) -> None:
    with pytest.raises(ListenError, match=r"^cannot listen on tcp ") as caught:
        on(host, lambda: bound(parse(f"tcp:0:interface=[{place}]")))
    assert why in str(caught.value)


def test_who_holds_a_scoped_address_is_told() -> None:
    with bound(parse("tcp:0:interface=[::1%lo]")) as sock:
        again = f"tcp:{sock.getsockname()[1]}:interface=[::1%lo]"
        with pytest.raises(ListenError) as caught:
            bound(parse(again))
    assert str(caught.value).endswith("address in use, held by this daemon")


def test_a_group_is_sent_to_by_the_interface_that_is_named() -> None:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        aim(sock, "::1%lo", 1)
        found = sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF)
    assert found == socket.if_nametoindex("lo")


@pytest.mark.parametrize("place", ["::1%nowhere", "::1%99", "2001:db8::1%lo"])
def test_a_group_is_not_sent_to_by_an_interface_that_there_is_not(place: str) -> None:
    with (
        socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock,
        pytest.raises(OSError, match=r"no interface|assign"),
    ):
        aim(sock, place, 1)
