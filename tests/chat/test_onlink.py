"""Who is on the link: the networks of the interface that a datagram came in by."""

from __future__ import annotations

import socket
from ipaddress import ip_network

import pytest

from sockd.chat.onlink import REREAD_SECONDS, Links, Networks, network, read

LO, ETH0, ETH1 = 1, 2, 3
NETWORKS: Networks = {
    LO: [ip_network("127.0.0.0/8"), ip_network("::1/128")],
    ETH0: [ip_network("192.0.2.0/24"), ip_network("fe80::/64"), ip_network("2001:db8::/64")],
    ETH1: [ip_network("198.51.100.0/25"), ip_network("fe80::/64")],
}


@pytest.mark.parametrize(
    ("host", "interface", "is_on_link"),
    [
        ("192.0.2.77", ETH0, True),
        ("192.0.2.77", ETH1, False),
        ("192.0.3.1", ETH0, False),
        ("198.51.100.127", ETH1, True),
        ("198.51.100.128", ETH1, False),
        ("::ffff:192.0.2.77", ETH0, True),
        ("fe80::1%eth0", ETH0, True),
        ("2001:db8::9", ETH0, True),
        ("2001:db8:1::9", ETH0, False),
        ("127.0.0.1", LO, True),
        ("::1", LO, True),
        ("127.0.0.1", 0, True),
        ("192.0.2.77", 0, False),
        ("192.0.2.77", 99, False),
        ("192.0.2.1", LO, True),  # this host by its own address: it is heard by the loopback
    ],
)
def test_a_host_is_on_the_link_if_it_is_of_a_network_of_the_interface_it_is_heard_by(
    host: str, interface: int, is_on_link: bool
) -> None:
    assert Links(lambda: 0.0, lambda: NETWORKS).has(host, interface) is is_on_link


def test_the_networks_are_read_again_now_and_then() -> None:
    now, networks = [0.0], [NETWORKS]
    links = Links(lambda: now[0], lambda: networks[0])
    assert links.has("192.0.2.1", ETH0)
    networks[0] = {ETH0: [ip_network("203.0.113.0/24")]}
    now[0] = REREAD_SECONDS - 0.1
    assert links.has("192.0.2.1", ETH0)
    now[0] = REREAD_SECONDS
    assert not links.has("192.0.2.1", ETH0)
    assert links.has("203.0.113.1", ETH0)


@pytest.mark.parametrize(
    ("address", "mask", "found"),
    [
        ("192.0.2.7", "255.255.255.0", "192.0.2.0/24"),
        ("192.0.2.7", "255.255.255.255", "192.0.2.7/32"),
        ("fe80::1%eth0", "ffff:ffff:ffff:ffff::", "fe80::/64"),
        ("fe80::1%eth0", "ffff:ffff:ffff:ffff::%eth0", "fe80::/64"),
    ],
)
def test_a_mask_is_written_as_an_address(address: str, mask: str, found: str) -> None:
    assert network(address, mask) == ip_network(found)


def test_the_system_knows_the_loopback() -> None:
    found = read()[socket.if_nametoindex("lo")]
    assert ip_network("127.0.0.0/8") in found


def test_where_the_networks_cannot_be_read_they_are_as_they_were() -> None:
    now = [0.0]
    found: list[Networks | OSError] = [{2: [ip_network("192.0.2.0/24")]}, OSError(24, "no files")]

    def read() -> Networks:
        one = found.pop(0)
        if isinstance(one, OSError):
            raise one
        return one

    links = Links(lambda: now[0], read)
    assert links.has("192.0.2.9", 2)
    now[0] = REREAD_SECONDS
    assert links.has("192.0.2.9", 2)
    assert found == []
    assert not links.has("192.0.3.9", 2)  # and it is not tried for each datagram
