"""Who is on the link: the networks of each interface of this host."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

import psutil

from sockd.access.prefixes import parse_address

REREAD_SECONDS = 10.0
"""Until the networks are read again: addresses come and go, and a reading takes a millisecond."""

Network = IPv4Network | IPv6Network
Networks = Mapping[int, Sequence[Network]]
"""By the number of the interface."""


def read() -> Networks:
    """The networks of this host's own addresses, from the system."""
    numbers = {name: number for number, name in socket.if_nameindex()}
    found: dict[int, list[Network]] = {}
    for name, entries in psutil.net_if_addrs().items():
        number = numbers.get(name)
        if number is None:
            continue  # it has gone meanwhile
        for entry in entries:
            if entry.family in (socket.AF_INET, socket.AF_INET6) and entry.netmask:
                found.setdefault(number, []).append(network(entry.address, entry.netmask))
    return found


def network(address: str, netmask: str) -> Network:
    """The network of an address: a mask is written as an address, of IPv6 too."""
    bits = int(ip_address(netmask.partition("/")[0])).bit_count()
    return ip_network(f"{address.partition('%')[0]}/{bits}", strict=False)


class Links:
    """The networks, read again now and then."""

    def __init__(self, seconds: Callable[[], float], read: Callable[[], Networks] = read) -> None:
        self._seconds = seconds
        self._read = read
        self._networks: Networks = {}
        self._until = float("-inf")

    def has(self, host: str, interface: int) -> bool:
        """Whether a host is of a network of the interface by which it was heard. This host is."""
        address = parse_address(host)
        if address.is_loopback:
            return True
        if (now := self._seconds()) >= self._until:
            self._until = now + REREAD_SECONDS
            with suppress(OSError):  # descriptors have run out: as they were
                self._networks = self._read()
        networks = self._networks.get(interface, ())
        # by the loopback interface nobody else comes, whatever address this host talks from
        return any(one.is_loopback or address in one for one in networks)
