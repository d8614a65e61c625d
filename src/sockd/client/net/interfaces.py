"""Our own interfaces: which are up, what they are called, where their broadcasts go, and which one
`-I` names.

What is there is read in one place (`read`); all else decides from what was read.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import NoReturn

import psutil
from attrs import frozen

from sockd.client.errors import UsageFault
from sockd.formats.nearest import near_miss

EVERYWHERE = "255.255.255.255"
"""The broadcast that no router sends on, on whichever interface it goes out (RFC 919)."""
_POINT_TO_POINT = 31
"""Bits of the prefix of a network that is too small to have a broadcast address (RFC 3021)."""
_SO_BINDTODEVICE = getattr(socket, "SO_BINDTODEVICE", 25)
"""asm-generic/socket.h."""

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network


@frozen
class Own:
    """An address of ours."""

    ip: IPAddress
    """Without the interface, even where it means something on one only."""
    broadcasts: tuple[str, ...] = ()
    """Of its network; both that was configured and that follows from the prefix, if they differ."""
    network: IPNetwork | None = None
    """None where the system does not tell it."""


@frozen(kw_only=True)
class Interface:
    """One of our interfaces."""

    name: str
    index: int
    is_up: bool = True
    can_broadcast: bool = False
    can_multicast: bool = False
    is_loopback: bool = False
    addresses: tuple[Own, ...] = ()

    def of_version(self, version: int) -> tuple[str, ...]:
        """Its addresses of IPv4 or of IPv6."""
        return tuple(str(own.ip) for own in self.addresses if own.ip.version == version)

    @property
    def broadcasts(self) -> tuple[str, ...]:
        """Where a datagram reaches all hosts of a network of its own."""
        if not (self.is_up and self.can_broadcast):
            return ()
        return tuple(dict.fromkeys(to for own in self.addresses for to in own.broadcasts))


def read() -> tuple[Interface, ...]:
    """All interfaces of this host. Asks the kernel: about a millisecond."""
    states, addresses = psutil.net_if_stats(), psutil.net_if_addrs()
    found = []
    for index, name in socket.if_nameindex():
        state = states.get(name)
        if state is None:
            continue  # it has gone meanwhile
        flags = state.flags.split(",")
        entries = addresses.get(name, [])
        owns = [
            own(entry.address, entry.netmask, entry.broadcast)
            for entry in entries
            if entry.family in (socket.AF_INET, socket.AF_INET6)
        ]
        found.append(
            Interface(
                name=name,
                index=index,
                is_up=state.isup,
                can_broadcast="broadcast" in flags,
                can_multicast="multicast" in flags,
                is_loopback="loopback" in flags,
                addresses=tuple(owns),
            )
        )
    return tuple(found)


def own(address: str, netmask: str | None, broadcast: str | None) -> Own:
    """An address as the system tells it.

    Linux sends to the last address of a network as a broadcast, whatever else was configured.
    """
    ip = ipaddress.ip_address(address.partition("%")[0])
    network: IPNetwork | None = None
    if netmask:
        bits = int(ipaddress.ip_address(netmask.partition("/")[0])).bit_count()
        network = ipaddress.ip_network(f"{ip}/{bits}", strict=False)
    if ip.version == 6:
        return Own(ip, network=network)
    broadcasts = [broadcast] if broadcast else []
    if network is not None and network.prefixlen < _POINT_TO_POINT:
        broadcasts.append(str(network.broadcast_address))
    return Own(ip, tuple(dict.fromkeys(broadcasts)), network)


def is_broadcast(host: str, interfaces: Iterable[Interface]) -> bool:
    """Whether a datagram to this address reaches many hosts of a network of ours."""
    return host == EVERYWHERE or any(host in one.broadcasts for one in interfaces)


def is_multicast(host: str) -> bool:
    """Whether it is the address of a group."""
    return ipaddress.ip_address(host.partition("%")[0]).is_multicast


@frozen
class Way:
    """Where datagrams leave from: an interface, an address of ours, or as the kernel finds best."""

    interface: Interface | None = None
    source: str = ""

    @property
    def version(self) -> int:
        """4 or 6 where it is an address; else 0."""
        return ipaddress.ip_address(self.source).version if self.source else 0


def way(wanted: str, interfaces: Sequence[Interface], version: int = 0) -> Way:
    """What `-I` means: the name of a device or one of our addresses; empty: as the kernel does.

    `version` is that of the address to send to; 0: any. Raises UsageFault.
    """
    if not wanted:
        return Way()
    for one in interfaces:
        if one.name == wanted:
            if not one.is_up:
                _refuse(wanted, "the interface is down")
            return Way(one)
    host, _, scope = wanted.partition("%")
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        miss = near_miss(wanted, [one.name for one in interfaces], or_all=True)
        _refuse(wanted, f"there is no such interface{miss}")
    for one in interfaces:
        is_meant = scope in ("", one.name, str(one.index))
        if is_meant and any(own.ip == ip for own in one.addresses):
            if version not in (0, ip.version):
                refuse_family(wanted, ip.version)
            return Way(one if ip.is_link_local or scope else None, str(ip))
    if ip.is_loopback and ip.version == 4:
        return Way(None, str(ip))  # all of 127.0.0.0/8 is ours
    _refuse(wanted, "it is none of this host's own addresses")


def use_device(sock: socket.socket, interface: Interface) -> None:
    """Have a socket send and hear by an interface alone. Raises OSError, UsageFault."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_BINDTODEVICE, interface.name.encode())
    except PermissionError:  # Linux before 5.7
        _refuse(interface.name, "only root may choose it here; one of its addresses will do")


def to_join(interfaces: Iterable[Interface], version: int) -> tuple[Interface, ...]:
    """Where to listen for a group: all that can, and the loopback, where a program of this host may
    speak to its own; Linux does not say of the loopback that it can."""
    usable = [one for one in interfaces if one.is_up and one.of_version(version)]
    able = [one for one in usable if one.can_multicast and not one.is_loopback]
    return (*able, *[one for one in usable if one.is_loopback])


def interface_name(index: int | None) -> str:
    """What an interface is called; its number where it has gone, nothing where there is none."""
    if not index:
        return ""
    with suppress(OSError):
        return socket.if_indextoname(index)
    return str(index)


def named(address: str) -> str:
    """An address with the name of the interface that it means something on, not its number."""
    host, _, scope = address.partition("%")
    return f"{host}%{interface_name(int(scope))}" if scope.isdecimal() else address


def refuse_family(wanted: str, version: int) -> NoReturn:
    """Raises UsageFault: an address of `-I` leads to none of what is asked."""
    _refuse(wanted, f"it is of IPv{version}, what is asked of IPv{10 - version}")


def _refuse(wanted: str, why: str) -> NoReturn:
    raise UsageFault(f"-I {wanted}: {why}")
