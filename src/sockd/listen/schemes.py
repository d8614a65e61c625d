"""What may stand behind the first word of a listen string, and how it is read.

`SCHEMES` at the end of the file is the whole of it: a row a word.
"""

import ipaddress
import re
from collections.abc import Callable
from typing import Literal

from attrs import frozen

from sockd.access.prefixes import Address as IPAddress
from sockd.formats.nearest import near_miss
from sockd.listen.address import Address, Binding
from sockd.listen.fields import Field
from sockd.listen.listen import Listen
from sockd.listen.terms import BACKLOG, MODE, TTL, Terms
from sockd.options.user import Group, User


class Given(dict[str, str]):
    """The values by name: of what may be given several times, the first."""

    def __init__(self) -> None:
        super().__init__()
        self.more: dict[str, list[str]] = {}
        """The others."""

    def all(self, key: str) -> list[str]:
        """Every value, in its order."""
        return [self[key], *self.more.get(key, ())] if key in self else []


@frozen
class Scheme:
    """What may stand behind the first word of a listen string."""

    read: Callable[[str, "Scheme", Given], tuple[Listen, ...]]
    binding: Binding
    example: str
    positional: tuple[str, ...]  # in Twisted's order; each may also be written key=value
    named: tuple[str, ...] = ()
    required: tuple[str, ...] = ("port",)
    interface: str = "0.0.0.0"  # where none is written
    version: Literal[4, 6] | None = None  # the only IP version that is taken
    several: tuple[str, ...] = ()  # what may be given more than once


_ELSEWHERE = {
    "sslmethod": "TLS 1.2 and later is what is spoken",
    "extraCertChain": "the file of certKey holds the chain",
    "dhParameters": "only elliptic curves are offered",
    "lockfile": "a dead socket is replaced without one",
    "proxies": 'write "haproxy:" in front of the transport',
}

_MEANT = {
    "key": "privateKey",
    "keyfile": "privateKey",
    "cert": "certKey",
    "certfile": "certKey",
    "certificate": "certKey",
    "ca": "clientCA",
    "cafile": "clientCA",
    "host": "interface",
    "ip": "interface",
    "path": "address",
    "perm": "mode",
    "owner": "user",
    "uid": "user",
    "gid": "group",
}
"""What other programs call it."""


def given_values(name: str, scheme: Scheme, parts: list[Field]) -> Given:
    """The values by name: each known, each at most once, none missing."""
    given = Given()
    known = (*scheme.positional, *scheme.named)
    free = iter(scheme.positional)
    for key, value in parts:
        place = key or next(free, "")
        if not place:
            raise ValueError(f'{name} has no place for {value!r}; write it as "{scheme.example}"')
        if place not in known:
            reason = _ELSEWHERE.get(place)
            meant = _MEANT.get(place.lower())
            nearest = near_miss(meant if meant in known else place, known, or_all=True)
            hint = f": {reason}" if reason else nearest
            raise ValueError(f"{name} takes no {place!r}{hint}")
        if place in given and place in scheme.several:
            given.more.setdefault(place, []).append(value)
            continue
        if place in given:
            raise ValueError(f"{place} is given twice: {given[place]!r} and {value!r}")
        given[place] = value
    for place in scheme.required:
        if place not in given:
            raise ValueError(f'{name} needs {place}, as in "{scheme.example}"')
    return given


def _number(given: Given, key: str, default: int, example: str = "") -> int:
    text = given.get(key)
    if text is None:
        return default
    if not re.fullmatch("[0-9]{1,9}", text):
        hint = f'; write it as "{example}"' if example else ""
        raise ValueError(f"{key} must be a number, got {text!r}{hint}")
    return int(text)


def _mode(given: Given) -> int:
    text = given.get("mode")
    if text is None:
        return MODE
    if not re.fullmatch("0?[0-7]{3}", text):
        raise ValueError(f"mode must be three octal digits such as 660, got {text!r}")
    return int(text, 8)


def _pairs(given: Given) -> list[tuple[str, str]]:
    """The certificates of TLS, each with its key. One file may hold both."""
    keys = given.all("privateKey")
    certificates = given.all("certKey") or keys
    if len(certificates) != len(keys):
        raise ValueError(
            "certKey and privateKey go in pairs, the nth with the nth: "
            f"there are {len(certificates)} and {len(keys)}"
        )
    return list(zip(certificates, keys, strict=True))


def _address(key: str, text: str) -> IPAddress:
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    try:
        address = ipaddress.ip_address(bare)
    except ValueError:
        also = ', "localhost" or "*"' if key == "interface" else ""
        raise ValueError(
            f"{key} must be an IP address{also}, got {text!r}: no name is looked up"
        ) from None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        raise ValueError(f"{key} must be {address.ipv4_mapped}, its own form, not {text!r}")
    if address.is_multicast != (key == "group"):
        kind = "a multicast group" if key == "group" else "an address of this host"
        raise ValueError(f"{key} must be {kind}, got {text!r}")
    return address


def _hosts(text: str, version: int | None) -> list[str]:
    """One address, or IPv4's and IPv6's where the name says no family."""
    neutral = {"localhost": {4: "127.0.0.1", 6: "::1"}, "*": {4: "0.0.0.0", 6: "::"}}.get(text)
    if neutral:
        return [neutral[version]] if version else list(neutral.values())
    address = _address("interface", text)
    if version not in (None, address.version):
        raise ValueError(f"interface must be an IPv{version} address here, got {text!r}")
    return [str(address)]


def _ip(text: str, scheme: Scheme, given: Given) -> tuple[Listen, ...]:
    port = _number(given, "port", 0, scheme.example)
    hosts = _hosts(given.get("interface", scheme.interface), scheme.version)
    (certificate, key), *further = _pairs(given) or [("", "")]
    return tuple(
        Listen(
            text,
            Address(scheme.binding, host, port),
            Terms(
                backlog=_number(given, "backlog", BACKLOG),
                certificate=certificate,
                key=key,
                further=tuple(further),
                client_ca=given.get("clientCA", ""),
                optional=host != hosts[0],
            ),
        )
        for host in hosts
    )


def _multicast(text: str, scheme: Scheme, given: Given) -> tuple[Listen, ...]:
    group = _address("group", given["group"])
    [interface] = _hosts(given.get("interface", scheme.interface), group.version)
    port = _number(given, "port", 0, scheme.example)
    address = Address(scheme.binding, str(group), port, interface=interface)
    return (Listen(text, address, Terms(ttl=_number(given, "ttl", TTL))),)


def _unix(text: str, scheme: Scheme, given: Given) -> tuple[Listen, ...]:
    backlog = _number(given, "backlog", BACKLOG)
    user = User.parse(given["user"]) if "user" in given else None
    group = Group.parse(given["group"]) if "group" in given else None
    terms = Terms(backlog=backlog, mode=_mode(given), user=user, group=group)
    return (Listen(text, Address(scheme.binding, path=given["address"]), terms),)


_INHERITED: dict[tuple[str, str], Binding] = {
    ("stream", "INET"): "tcp",
    ("stream", "INET6"): "tcp",
    ("stream", "UNIX"): "unix",
    ("datagram", "INET"): "udp",
    ("datagram", "INET6"): "udp",
    ("datagram", "UNIX"): "unixgram",
}


def _systemd(text: str, scheme: Scheme, given: Given) -> tuple[Listen, ...]:
    if ("name" in given) == ("index" in given):
        raise ValueError(f'systemd needs either name or index, as in "{scheme.example}"')
    name = given.get("name", "")
    # Digits alone would read as an index; the rest is what FileDescriptorName= takes.
    if name and (name.isdigit() or not re.fullmatch("[!-9;-~]{1,255}", name)):
        raise ValueError(f"systemd has no descriptor named {name!r}; for a number write index=")
    index = _number(given, "index", 0)
    kind = given.get("type", "stream"), given.get("domain", "INET")
    if kind not in _INHERITED:
        raise ValueError(
            "systemd takes type stream or datagram and domain INET, INET6 or UNIX, "
            f"got {kind[0]!r} and {kind[1]!r}"
        )
    return (Listen(text, Address(_INHERITED[kind], systemd=name or str(index))),)


_TCP = ("port", "interface", "backlog")
_TLS = Scheme(
    _ip,
    "tcp",
    "ssl:7843:privateKey=key.pem:certKey=cert.pem",
    ("port", "privateKey", "certKey"),
    ("clientCA", "interface", "backlog"),
    required=("port", "privateKey"),
    several=("privateKey", "certKey"),
)
SCHEMES = {
    "tcp": Scheme(_ip, "tcp", "tcp:7800:interface=127.0.0.1", _TCP),
    "tcp6": Scheme(_ip, "tcp", "tcp6:7800:interface=[::1]", _TCP, interface="::", version=6),
    "ssl": _TLS,
    "tls": _TLS,
    "unix": Scheme(
        _unix,
        "unix",
        "unix:/run/sockd/wrap.sock:mode=660",
        ("address", "mode", "backlog"),
        ("user", "group"),
        required=("address",),
    ),
    "udp": Scheme(_ip, "udp", "udp:2007:interface=127.0.0.1", ("port", "interface")),
    "udp6": Scheme(
        _ip, "udp", "udp6:2007:interface=[::1]", ("port", "interface"), interface="::", version=6
    ),
    "unixgram": Scheme(
        _unix,
        "unixgram",
        "unixgram:/run/sockd/localtime.sock:mode=660",
        ("address", "mode"),
        ("user", "group"),
        required=("address",),
    ),
    "multicast": Scheme(
        _multicast,
        "multicast",
        "multicast:224.225.226.227:2070:interface=127.0.0.1",
        ("group", "port", "ttl", "interface"),
        required=("group", "port"),
        interface="localhost",
    ),
    "systemd": Scheme(
        _systemd, "tcp", "systemd:name=echo", (), ("name", "index", "domain", "type"), required=()
    ),
}
