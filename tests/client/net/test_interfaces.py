"""Our interfaces: what is read of them, and what follows from it."""

from __future__ import annotations

import os
import socket
from ipaddress import ip_address, ip_network

import pytest

from sockd.client.errors import UsageFault
from sockd.client.net.interfaces import (
    Interface,
    Own,
    Way,
    is_broadcast,
    is_multicast,
    own,
    read,
    to_join,
    use_device,
    way,
)
from tests.processes import NOBODY

LO = Interface(
    name="lo",
    index=1,
    is_loopback=True,
    addresses=(own("127.0.0.1", "255.0.0.0", None), own("::1", None, None)),
)
ETH = Interface(
    name="eth0",
    index=2,
    can_broadcast=True,
    can_multicast=True,
    addresses=(
        own("10.77.0.1", "255.255.255.0", "10.77.0.255"),
        own("fe80::1%eth0", None, None),
        own("fd77::1", None, None),
    ),
)
DOWN = Interface(
    name="wlan0",
    index=3,
    is_up=False,
    can_broadcast=True,
    can_multicast=True,
    addresses=(own("10.78.0.1", "255.255.255.0", "10.78.0.255"),),
)
TUN = Interface(
    name="tun0",
    index=4,
    can_multicast=True,
    addresses=(own("10.79.0.1", "255.255.255.255", "10.79.0.2"),),
)
ALL = (LO, ETH, DOWN, TUN)


@pytest.mark.parametrize(
    ("netmask", "configured", "broadcasts"),
    [
        ("255.255.255.0", "10.0.0.255", ("10.0.0.255",)),
        ("255.255.255.0", None, ("10.0.0.255",)),
        ("255.255.255.0", "10.0.0.0", ("10.0.0.0", "10.0.0.255")),
        ("255.255.255.252", None, ("10.0.0.7",)),
        ("255.255.255.254", None, ()),
        ("255.255.255.255", None, ()),
        (None, None, ()),
    ],
)
def test_a_network_has_the_broadcast_address_that_linux_sends_to(
    netmask: str | None, configured: str | None, broadcasts: tuple[str, ...]
) -> None:
    network = ip_network(f"10.0.0.5/{netmask}", strict=False) if netmask else None
    assert own("10.0.0.5", netmask, configured) == Own(ip_address("10.0.0.5"), broadcasts, network)


def test_a_network_of_ipv6_is_known_and_has_no_broadcast_address() -> None:
    made = own("fe80::1%eth0", "ffff:ffff:ffff:ffff::", None)
    assert made == Own(ip_address("fe80::1"), (), ip_network("fe80::/64"))


@pytest.mark.parametrize(
    ("host", "is_one"),
    [
        ("255.255.255.255", True),
        ("10.77.0.255", True),
        ("10.77.0.1", False),
        ("10.78.0.255", False),  # its interface is down
        ("10.79.0.2", False),  # the other end of a line
        ("127.255.255.255", False),
    ],
)
def test_a_broadcast_goes_to_a_network_of_an_interface_that_is_up(host: str, is_one: bool) -> None:
    assert is_broadcast(host, ALL) is is_one


@pytest.mark.parametrize(
    ("host", "is_one"),
    [("224.0.0.1", True), ("ff02::1%eth0", True), ("10.0.0.1", False), ("fe80::1%2", False)],
)
def test_a_group_is_told_by_its_address(host: str, is_one: bool) -> None:
    assert is_multicast(host) is is_one


@pytest.mark.parametrize(
    ("wanted", "version", "found"),
    [
        ("", 4, Way()),
        ("eth0", 4, Way(ETH)),
        ("eth0", 6, Way(ETH)),
        ("10.77.0.1", 4, Way(None, "10.77.0.1")),
        ("fd77::1", 6, Way(None, "fd77::1")),
        ("fe80::1%eth0", 6, Way(ETH, "fe80::1")),
        ("fe80::1", 6, Way(ETH, "fe80::1")),
        ("127.0.0.9", 4, Way(None, "127.0.0.9")),
        ("fd77::1", 0, Way(None, "fd77::1")),
        ("10.77.0.1", 0, Way(None, "10.77.0.1")),
    ],
)
def test_an_interface_is_named_by_its_device_or_by_an_address(
    wanted: str, version: int, found: Way
) -> None:
    assert way(wanted, ALL, version) == found


def test_an_address_that_several_interfaces_have_is_that_of_the_one_it_names() -> None:
    other = Interface(name="eth1", index=9, addresses=(own("fe80::1%eth1", None, None),))
    for scope in ("eth1", "9"):
        assert way(f"fe80::1%{scope}", (*ALL, other), 6) == Way(other, "fe80::1")


@pytest.mark.parametrize(
    ("wanted", "version", "why"),
    [
        ("eth1", 4, "-I eth1: there is no such interface; did you mean 'eth0'?"),
        ("bridge", 4, "-I bridge: there is no such interface; there are lo, eth0, wlan0, tun0"),
        ("wlan0", 4, "-I wlan0: the interface is down"),
        ("fe80::1%lo", 6, "-I fe80::1%lo: it is none of this host's own addresses"),
        ("10.99.0.1", 4, "-I 10.99.0.1: it is none of this host's own addresses"),
        ("fd77::1", 4, "-I fd77::1: it is of IPv6, what is asked of IPv4"),
        ("10.77.0.1", 6, "-I 10.77.0.1: it is of IPv4, what is asked of IPv6"),
    ],
)
def test_an_interface_that_cannot_be_used_is_refused(wanted: str, version: int, why: str) -> None:
    with pytest.raises(UsageFault) as refused:
        way(wanted, ALL, version)
    assert str(refused.value) == why


def test_a_group_is_heard_on_all_interfaces_that_can_and_on_the_loopback() -> None:
    assert to_join(ALL, 4) == (ETH, TUN, LO)
    assert to_join(ALL, 6) == (ETH, LO)
    assert to_join((LO, DOWN), 4) == (LO,)
    assert to_join((DOWN,), 4) == ()


def test_who_may_choose_no_interface_is_told_what_will_do() -> None:
    loopback = Interface(name="lo", index=1)
    with socket.socket() as sock:
        use_device(sock, loopback)
        os.seteuid(NOBODY)  # who may choose one, and then no other
        try:
            with pytest.raises(UsageFault, match="-I lo: only root may choose it here"):
                use_device(sock, loopback)
        finally:
            os.seteuid(0)


def test_what_is_read_is_what_this_host_has() -> None:
    found = {one.name: one for one in read()}
    assert {one.index: one.name for one in found.values()} == dict(socket.if_nameindex())
    loopback = found["lo"]
    assert loopback.is_up
    assert loopback.is_loopback
    assert "127.0.0.1" in loopback.of_version(4)
    assert loopback.broadcasts == ()
