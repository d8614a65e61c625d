"""Who was found on the networks of this host: where to ask, what was found, and how it is told."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from enum import StrEnum

from attrs import Factory, define, field, frozen

from sockd.client.net.interfaces import EVERYWHERE, Interface
from sockd.client.targets import Transport

ALL_HOSTS = "224.0.0.1"
"""The group of all hosts on a network (RFC 1112): each is a member, so whatever listens on all
addresses hears it."""
ALL_NODES = "ff02::1"
"""The same for IPv6 (RFC 4291)."""
MOST_PLACES = 64
"""Where to ask: a machine with a bridge for each of its containers has hundreds of interfaces."""
MOST_HOSTS = 1_024
"""Addresses that are kept: a large LAN has as many, and sources can be forged without end."""
MOST_WRONG = 256
"""Answers that prove nothing and are told one by one; the rest are counted."""
NARROW = 100
"""Columns of a terminal below which a row takes two lines."""
_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,252})")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Way(StrEnum):
    """How a question went out."""

    BROADCAST = "broadcast"
    MULTICAST = "multicast"
    LOOPBACK = "loopback"
    UNICAST = "unicast"


@frozen
class Place:
    """Where one question reaches many hosts, or this one."""

    way: Way
    address: str
    """To send to."""
    interface: str
    """To send by: a device, or an address of ours; empty: as the kernel does."""
    device: str
    """The name of the interface."""

    def __str__(self) -> str:
        return f"{self.address.partition('%')[0]} on {self.device}"


def places(interfaces: Sequence[Interface], wanted: str = "", family: int = 0) -> tuple[Place, ...]:
    """Everywhere that can be asked; `wanted` is what `-I` says, and has been checked before."""
    found: dict[Place, None] = {}
    for one in interfaces:
        own = _own_address(one, wanted)
        if not one.is_up or (wanted and not own and one.name != wanted):
            continue
        if one.is_loopback:
            found |= dict.fromkeys(_to_self(one, own, wanted))
        else:
            found |= dict.fromkeys(_to_all(one, own))
    return tuple(place for place in found if family in (0, _version(place.address)))


def _own_address(interface: Interface, wanted: str) -> str:
    """The address of the interface that `-I` names, or nothing."""
    try:
        ip = str(ipaddress.ip_address(wanted.partition("%")[0]))
    except ValueError:
        return ""
    return ip if ip in {str(own.ip) for own in interface.addresses} else ""


def _to_self(interface: Interface, own: str, wanted: str) -> Iterable[Place]:
    for version, address in ((4, "127.0.0.1"), (6, "::1")):
        if address in interface.of_version(version) and own in ("", address):
            yield Place(Way.LOOPBACK, address, wanted, interface.name)


def _to_all(interface: Interface, own: str) -> Iterable[Place]:
    version = _version(own) if own else 0
    way = own or interface.name
    if version != 6 and interface.of_version(4):
        for address in interface.broadcasts:
            yield Place(Way.BROADCAST, address, way, interface.name)
        if interface.broadcasts:
            yield Place(Way.BROADCAST, EVERYWHERE, way, interface.name)
        if interface.can_multicast:
            yield Place(Way.MULTICAST, ALL_HOSTS, way, interface.name)
    if version != 4 and interface.of_version(6) and interface.can_multicast:
        yield Place(Way.MULTICAST, f"{ALL_NODES}%{interface.index}", way, interface.name)


def _version(address: str) -> int:
    return ipaddress.ip_address(address.partition("%")[0]).version


@frozen
class Service:
    """A service that was found."""

    name: str
    transport: Transport
    port: int


@define
class Host:
    """An address that has answered."""

    address: str
    services: dict[Service, None] = Factory(dict)
    """In the order in which they answered."""
    rtt_ns: int | None = None
    """The shortest round trip."""
    name: str = ""
    is_own: bool = False

    def told(self) -> list[str]:
        """Its services, sorted, each with where it listens: as in listen strings."""
        found: dict[str, list[str]] = {}
        for one in sorted(self.services, key=lambda one: (one.name, one.transport, one.port)):
            found.setdefault(one.name, []).append(f"{one.transport}:{one.port}")
        return [" ".join([name, *places]) for name, places in found.items()]


@define(eq=False)
class Findings:
    """What was found so far; bounded, whatever comes."""

    own: frozenset[str] = frozenset()
    """Our own addresses."""
    hosts: dict[str, Host] = field(factory=dict, init=False)
    left_out: int = field(default=0, init=False)
    """Answers of addresses beyond those that are kept."""
    wrong: int = field(default=0, init=False)
    """Answers that prove nothing."""

    def add(self, address: str, service: Service, rtt_ns: int | None) -> bool:
        """A proof that it is there. Whether that is new."""
        host = self.hosts.get(address)
        if host is None:
            if len(self.hosts) >= MOST_HOSTS:
                self.left_out += 1
                return False
            host = self.hosts[address] = Host(address, is_own=address in self.own)
        if rtt_ns is not None and (host.rtt_ns is None or rtt_ns < host.rtt_ns):
            host.rtt_ns = rtt_ns
        is_new = service not in host.services
        host.services[service] = None
        return is_new

    def add_wrong(self) -> bool:
        """An answer that proves nothing. Whether it is to be told."""
        self.wrong += 1
        return self.wrong <= MOST_WRONG

    def in_order(self) -> list[Host]:
        """By address, IPv4 first; addresses of one name stand together."""
        ordered = sorted(self.hosts.values(), key=lambda host: _rank(host.address))
        groups: dict[str, list[Host]] = {}
        for host in ordered:
            groups.setdefault(host.name or host.address, []).append(host)
        return [host for group in groups.values() for host in group]


def _rank(address: str) -> tuple[int, int, str]:
    text, _, scope = address.partition("%")
    ip = ipaddress.ip_address(text)
    return ip.version, int(ip), scope


def as_name(text: str) -> str:
    """A name that a name server told, if it is the name of a host: anybody can tell anything."""
    text = text.removesuffix(".")
    return text if _NAME.fullmatch(text) else ""


def is_near(address: str, networks: Iterable[Network]) -> bool:
    """Whether an address is on a network of ours: what claims another one may be forged."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    return ip.is_loopback or ip.is_link_local or any(ip in network for network in networks)


def rows(hosts: Sequence[Host], width: int | None = None) -> list[tuple[Host, str]]:
    """A row an address: name, address, round trip, services; broken where a terminal is narrow.

    `width` is that of a terminal; None: as long as it gets.
    """
    names = max((len(host.name) for host in hosts), default=0)
    addresses = max((len(host.address) for host in hosts), default=0)
    found = []
    for host in hosts:
        rtt = "-" if host.rtt_ns is None else f"{host.rtt_ns / 1e6:.2f} ms"
        lead = f"{host.name:{names}}  " if names else ""
        lead += f"{host.address:{addresses}}  {rtt:>9}"
        items = [*host.told(), *(["(this host)"] if host.is_own else [])]
        found.append((host, _row(lead, items, width)))
    return found


def _row(lead: str, items: Sequence[str], width: int | None) -> str:
    text = ", ".join(items).replace(", (", " (")
    if width is None or len(lead) + 2 + len(text) <= width:
        return f"{lead}  {text}"
    indent = "    " if width < NARROW else " " * (len(lead) + 2)
    lines = [lead] if width < NARROW else []
    line = indent if width < NARROW else f"{lead}  "
    for part in text.replace(", ", ",\0").split("\0"):
        if len(line) + len(part) > width and line.strip() and line != f"{lead}  ":
            lines.append(line.rstrip())
            line = indent
        line += f"{part} "
    return "\n".join([*lines, line.rstrip()])
