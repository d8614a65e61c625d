"""inetd.conf, as OpenBSD's inetd reads it, which is Debian's; and what FreeBSD's adds."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from attrs import define

from sockd.importer.entry import (
    INTERNAL,
    TCPD,
    Entry,
    Found,
    Lookups,
    Lost,
    Note,
    Place,
    unwrapped,
)
from sockd.options.units import Size

_OFF = re.compile(r"#\s*(?:<off>\s*#\s*)?(?=\S)")
"""Before a line that is switched off: by hand, or by Debian's update-inetd."""
_PROTOCOL = re.compile(r"(rpc/)?(tcp|udp|unix)(46|4|6)?((?:,(?:snd|rcv)buf=[0-9]+[km]?)*)")
_WAIT = re.compile(r"(wait|nowait)(?:\.([0-9]+)|/([0-9]+)(?:/([0-9]+)(?:/([0-9]+))?)?)?", re.ASCII)
UNIX_MODE = "666"
"""Of the sockets that inetd makes."""


@define
class _Line:
    """The fields of a line that is a service."""

    place: Place
    where: str
    kind: str
    protocol: re.Match[str]
    wait: re.Match[str]
    user: str
    program: Sequence[str]


def parse(text: str, file: str, lookups: Lookups) -> Iterator[Found]:
    """What a file says, in its order. A line that is commented out is a service that is off."""
    hosts: Sequence[str] = ()
    for number, raw in enumerate(text.split("\n"), 1):
        place, written = Place(file, number), raw.strip()
        is_off = written.startswith("#")
        words = (_OFF.sub("", written, count=1) if is_off else written).split()
        if not words:
            continue
        line = _read(place, words)
        if line is not None:
            yield _service(line, hosts, lookups, is_enabled=not is_off)
        elif not is_off and len(words) == 1 and words[0].endswith(":"):
            hosts = _hosts(words[0][:-1])
        elif not is_off:
            yield Note(place, f"not understood: {written}")


def _read(place: Place, words: Sequence[str]) -> _Line | None:
    if len(words) < 6:
        return None
    where, kind, protocol, wait, user, *program = words
    known = _PROTOCOL.fullmatch(protocol)
    waits = _WAIT.fullmatch(wait)
    if known is None or waits is None or kind not in ("stream", "dgram"):
        return None
    return _Line(place, where, kind, known, waits, user, program)


def _service(
    line: _Line, hosts: Sequence[str], lookups: Lookups, *, is_enabled: bool
) -> Entry | Lost:
    rpc, protocol, version, buffers = line.protocol.groups()
    name = line.where
    if protocol != "unix" and ":" in name:
        before, _, name = name.rpartition(":")
        hosts = _hosts(before)
    lost = _why_not(line, rpc)
    entry = Entry(
        place=line.place,
        name=name.rpartition("/")[2].removesuffix(".sock") if protocol == "unix" else name,
        is_stream=line.kind == "stream",
        version=int(version) if version in ("4", "6") else 0,
        is_enabled=is_enabled,
    )
    if protocol == "unix":
        entry.path = name
    else:
        port = int(name) if name.isdecimal() else lookups.port(name, protocol)
        if port is None and not lost:
            lost = f"there is no service {name} over {protocol} in /etc/services"
        entry.port = port or 0
        entry.hosts = tuple(_addresses(entry, hosts, lookups))
        if hosts and not entry.hosts and not lost:
            lost = f"{', '.join(hosts)} has no address"
    if lost:
        return Lost(name, Note(line.place, lost), is_enabled)
    entry.user, _, entry.group = re.sub("[.:]", " ", line.user, count=1).partition(" ")
    _program(entry, line.program)
    _rates(entry, line.wait)
    _buffers(entry, buffers)
    return entry


def _why_not(line: _Line, rpc: str | None) -> str:
    """Why there is no such service here; empty where there may be."""
    is_internal = line.program[0] == "internal"
    if rpc:
        return "RPC services are not carried over: sockd registers with no portmapper"
    if is_internal:
        name = line.where.rpartition(":")[2]
        return "" if name in INTERNAL else f"sockd has nothing like inetd's own {name}"
    if line.kind == "dgram":
        return (
            "a program that reads datagrams itself is not carried over: leave it to inetd, or to a "
            "socket unit of systemd"
        )
    if line.wait[1] == "wait":
        return (
            "`wait`: a program that accepts connections itself is not carried over: leave it to "
            "inetd, or to a socket unit of systemd"
        )
    return ""


def _hosts(text: str) -> Sequence[str]:
    """The hosts of a list; none for all."""
    hosts = [host.strip("[]") for host in text.split(",") if host]
    return () if "*" in hosts else hosts


def _addresses(entry: Entry, hosts: Sequence[str], lookups: Lookups) -> Iterator[str]:
    for host in hosts:
        if host == "localhost":
            yield host
            continue
        found = lookups.addresses(host)
        if list(found) != [host] and found:
            entry.differ(f"{host} is looked up now, and not at each start")
        yield from found


def _program(entry: Entry, words: Sequence[str]) -> None:
    path, *arguments = words
    if path == "internal":
        entry.internal = entry.name
        return
    called, rest = (arguments[0], arguments[1:]) if arguments else (path, [])
    if (program := unwrapped(path, called)) != path:
        entry.lose(TCPD)
    entry.run(program, rest, called)


def _rates(entry: Entry, wait: re.Match[str]) -> None:
    _, each_minute, children, source_rate, source_children = wait.groups()
    if not entry.is_stream:
        return
    if each_minute and int(each_minute):
        entry.settings["total_connect_rate"] = f"{int(each_minute)}/m"
        entry.differ(
            f"{wait[0]}: who is too many is refused; inetd would take the service away for ten "
            "minutes"
        )
    if children and int(children):
        entry.settings["max_connections"] = int(children)
    if source_rate and int(source_rate):
        entry.settings["connect_rate"] = f"{int(source_rate)}/m"
    if source_children and int(source_children):
        entry.settings["max_connections_per_source"] = int(source_children)


def _buffers(entry: Entry, text: str) -> None:
    for part in text.split(",")[1:]:
        name, _, size = part.partition("=")
        if name == "rcvbuf" and not entry.is_stream:
            entry.settings["receive_buffer"] = str(Size.parse(size))
        else:
            entry.lose(f"{part}: the kernel sees to the buffers of connections")
