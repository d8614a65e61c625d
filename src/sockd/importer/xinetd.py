"""Services of xinetd, from the blocks of its files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from attrs import define, field

from sockd.importer.attributes import ACCESS, CARRIED, LISTS, carry
from sockd.importer.blocks import Attribute, Block
from sockd.importer.entry import (
    INTERNAL,
    TCPD,
    TRANSPORTS,
    Entry,
    Found,
    Lookups,
    Lost,
    Note,
    unwrapped,
)

_TYPES = {
    "RPC": "RPC services are not carried over: sockd registers with no portmapper",
    "TCPMUX": "services of TCPMUX are not carried over: sockd has no port for all of them",
    "TCPMUXPLUS": "services of TCPMUX are not carried over: sockd has no port for all of them",
}
_INHERITED = (
    *("bind", "interface", "per_source", "umask", "instances", "banner", "banner_success"),
    *("banner_fail", "groups", "cps", "max_load", "log_type", "passenv", *ACCESS),
)
"""What a service has of `defaults` that does not say it itself."""
DEFAULT_CPS = ("50", "10")
"""What xinetd allows where nothing is said."""


@define
class Service:
    """The attributes of a service, those of `defaults` behind its own."""

    block: Block
    values: dict[str, Sequence[str]] = field(factory=dict)
    places: dict[str, Attribute] = field(factory=dict)

    def one(self, name: str, default: str = "") -> str:
        """The first word of an attribute."""
        words = self.values.get(name, ())
        return words[0] if words else default

    def yes(self, name: str) -> bool:
        """Whether an attribute says so."""
        return self.one(name).lower() in ("yes", "true", "on", "1")


def services(blocks: Sequence[Block], lookups: Lookups) -> Iterator[Found]:
    """What the blocks of all files say together."""
    defaults = Service(Block(blocks[0].place, "")) if blocks else None
    for block in blocks:
        if defaults is not None and not block.name:
            _take(defaults, block.attributes)
    if defaults is None:
        return
    common = {one.place for one in defaults.places.values()}
    told: set[Note] = set()
    for block in blocks:
        if block.name:
            service = Service(block)
            _take(service, block.attributes, defaults)
            found = _found(service, defaults, lookups)
            if isinstance(found, Entry):  # what all have of `defaults` is told once
                shared = [note for note in found.notes if note.place in common]
                yield from (note for note in shared if note not in told)
                told.update(shared)
                found.notes = [note for note in found.notes if note.place not in common]
            yield found


def _take(
    service: Service, attributes: Sequence[Attribute], defaults: Service | None = None
) -> None:
    """Lay attributes over each other: lists are added to, and taken from."""
    inherited = defaults.values if defaults is not None else {}
    for one in attributes:
        known = service.values.get(one.name)
        if one.name not in LISTS:
            service.values[one.name] = one.values
        else:
            if known is None:
                known = () if one.operator == "=" else inherited.get(one.name, ())
            if one.operator == "-=":
                service.values[one.name] = [word for word in known if word not in one.values]
            else:
                service.values[one.name] = [*known, *one.values]
        service.places[one.name] = one
    if defaults is not None:
        for name in _INHERITED:
            if name in defaults.values and name not in service.values:
                service.values[name] = defaults.values[name]
                service.places[name] = defaults.places[name]


def _found(service: Service, defaults: Service, lookups: Lookups) -> Found:
    block, is_enabled = service.block, _is_enabled(service, defaults)
    is_stream = service.one("socket_type") == "stream"
    protocol = service.one("protocol", TRANSPORTS[is_stream])
    port = service.one("port")
    types = [word.upper() for word in service.values.get("type", ())]
    why = _why_not(service, types, protocol)
    number = int(port) if port.isdecimal() else lookups.port(port or block.name, protocol)
    if number is None and not why:
        name = port or block.name
        why = f"there is no service {name} over {protocol} in /etc/services"
    if why and not is_enabled and _says_nothing(service, types):
        why = "it is disabled, and has nothing that could be carried over"
    if why:
        return Lost(block.name, Note(block.place, why), is_enabled)
    entry = Entry(
        place=block.place,
        name=service.one("id", block.name),
        is_stream=is_stream,
        version=_version(service.values.get("flags", ())),
        port=number or 0,
        is_enabled=is_enabled,
    )
    if "INTERNAL" in types:
        entry.internal = block.name
        _tell_of_internal(entry)
    else:
        _program(entry, service)
    if is_stream:
        service.values.setdefault("cps", DEFAULT_CPS)
    for name, values in service.values.items():
        if name in service.places:
            entry.at = service.places[name].place
        carry(entry, name, values, lookups)
        if name not in CARRIED:
            entry.lose(f"{name} = {' '.join(values)}: sockd knows of no such attribute")
    entry.at = entry.place
    return entry


def _why_not(service: Service, types: Sequence[str], protocol: str) -> str:
    """Why there is no such service here; empty where there may be."""
    kind = service.one("socket_type")
    for word in types:
        if word in _TYPES:
            return _TYPES[word]
    if kind not in ("stream", "dgram") or protocol not in ("tcp", "udp"):
        return f"sockets of type {kind or 'none'} over {protocol} are not carried over"
    if "SENSOR" in service.values.get("flags", ()):
        return "SENSOR: a port that only watches who comes is not carried over"
    if "INTERNAL" in types:
        name = service.block.name
        return "" if name in INTERNAL else f"sockd has nothing like xinetd's own {name}"
    if target := " ".join(service.values.get("redirect", ())):
        host, _, port = target.partition(" ")
        return (
            f"redirect = {target}: sockd forwards nothing itself; a program can, such as "
            f'kind = "exec" with command = ["socat", "-", "TCP:{host}:{port}"]'
        )
    if kind == "dgram":
        return (
            "a program that reads datagrams itself is not carried over: leave it to xinetd, or to "
            "a socket unit of systemd"
        )
    if service.yes("wait"):
        return (
            "wait = yes: a program that accepts connections itself is not carried over: leave it "
            "to xinetd, or to a socket unit of systemd"
        )
    return "" if service.one("server") else "it has no server"


def _says_nothing(service: Service, types: Sequence[str]) -> bool:
    """Whether nothing says what would be served, as where a package only switches a name off."""
    return not (types or service.one("server") or service.one("redirect"))


def _version(flags: Sequence[str]) -> int:
    return 4 if "IPv4" in flags else 6 if "IPv6" in flags else 0


def _is_enabled(service: Service, defaults: Service) -> bool:
    name = service.one("id", service.block.name)
    enabled = defaults.values.get("enabled")
    return not (
        service.yes("disable")
        or "DISABLE" in service.values.get("flags", ())
        or name in defaults.values.get("disabled", ())
        or (enabled is not None and name not in enabled)
    )


def _program(entry: Entry, service: Service) -> None:
    path = service.one("server")
    arguments = list(service.values.get("server_args", ()))
    called = path
    if "NAMEINARGS" in service.values.get("flags", ()) and arguments:
        called = arguments.pop(0)
    if (program := unwrapped(path, called)) != path:
        entry.lose(TCPD)
    entry.run(program, arguments, called)
    entry.user, entry.group = service.one("user"), service.one("group")


def _tell_of_internal(entry: Entry) -> None:
    if entry.internal == "daytime":
        entry.differ("xinetd writes 17 JUN 2000 18:06:14 UTC, sockd Sat Jun 17 18:06:14 2000")
    if entry.internal == "chargen":
        entry.differ("sockd sends the lines of RFC 864, xinetd others")
