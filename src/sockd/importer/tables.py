"""The tables that a configuration of sockd has for services of inetd or xinetd."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

from attrs import field, frozen

from sockd.importer.entry import Entry, Found, Lookups, Lost, Note, Place

DEFAULTS = {
    "max_connections_per_source": "off",
    "connect_rate": "off",
    "idle_timeout": "off",
}
"""Limits that neither inetd nor xinetd has where nothing is said."""
UNBOUND = {"max_time": "off", "cpu": "off", "memory": "off", "file_size": "off"}
"""The same of programs."""
DESCRIPTORS = 1024
"""What programs usually may have open."""
MOST_CHILDREN = 1000
"""As many programs as connections, where nothing is said."""
_NAME_LENGTH = 64


@frozen
class Table:
    """A `[service.NAME]` table, and what is to stand above it."""

    name: str
    place: Place
    values: dict[str, Any]
    notes: Sequence[Note] = ()
    is_possible: bool = True
    """False: this host has not what it needs, and it stands there as a comment."""


@frozen
class Imported:
    """What came of all files."""

    tables: Sequence[Table] = ()
    lost: Sequence[Lost] = ()
    """Services that have none."""
    notes: Sequence[Note] = field(default=())
    """What concerns no service."""

    @property
    def all_notes(self) -> Iterator[tuple[str, Note]]:
        """Every note, with the service that it is about, unless that was off."""
        yield from (("", note) for note in self.notes)
        yield from ((lost.name, lost.note) for lost in self.lost if lost.is_enabled)
        yield from ((table.name, note) for table in self.tables for note in table.notes)

    @property
    def has_programs(self) -> bool:
        """Whether any of them runs a program."""
        return any(table.values["kind"] == "exec" for table in self.tables)


def tables(found: Iterable[Found], reserved: Collection[str], lookups: Lookups) -> Imported:
    """Tables of what was found.

    `reserved` are the names of built-in instances, whose settings a table of the same name and
    kind would have.
    """
    made: dict[str, Table] = {}
    taken_by: dict[str, str] = {}
    lost, notes = [], []
    for one in found:
        if isinstance(one, Note):
            notes.append(one)
        elif isinstance(one, Lost):
            lost.append(one)
        else:
            kind = one.internal or "exec"
            taken = made.keys() | (reserved if kind != _plain(one.name) else set())
            name = _name(one, taken)
            if not one.internal:
                _look_at(one, lookups)
            _find_rival(one, name, taken_by)
            values = _values(one)
            made[name] = Table(name, one.place, values, tuple(one.notes), one.is_possible)
    return Imported(tuple(made.values()), tuple(lost), tuple(notes))


def _find_rival(entry: Entry, name: str, taken_by: dict[str, str]) -> None:
    """The second of two at one address would be left out by inetd too."""
    if not entry.is_possible:
        return
    for listen in _listen(entry):
        owner = taken_by.get(listen)
        if entry.is_enabled and owner is not None:
            entry.lose(f"service.{owner} listens there already: it is switched off")
            entry.is_enabled = False
    if entry.is_enabled:
        taken_by.update(dict.fromkeys(_listen(entry), name))


def _plain(name: str) -> str:
    """A name that a table may have."""
    return re.sub("[^A-Za-z0-9_-]", "-", name)[: _NAME_LENGTH - 8] or "service"


def _name(entry: Entry, taken: Collection[str]) -> str:
    name = _plain(entry.name)
    if name in taken and not entry.is_stream and not name.endswith(("dgram", "udp")):
        name = f"{name}-udp"
    if name in taken and entry.version:
        name = f"{name}-ipv{entry.version}"
    numbers = (f"{name}-{number}" for number in range(2, len(taken) + 3))
    return name if name not in taken else next(one for one in numbers if one not in taken)


def _look_at(entry: Entry, lookups: Lookups) -> None:
    """Whether this host has its program and its user."""
    why = lookups.program_mistake(entry.program)
    if not why and not lookups.has_user(entry.user):
        why = f"there is no user {entry.user or 'named'} on this host"
    if not why and entry.group and not lookups.has_group(entry.group):
        why = f"there is no group {entry.group} on this host"
    if why:
        (entry.lose if entry.is_enabled else entry.differ)(f"{why}: it is commented out")
        entry.is_possible = False


def _values(entry: Entry) -> dict[str, Any]:
    off: dict[str, Any] = {} if entry.is_enabled else {"enabled": False}
    where = {"kind": entry.internal or "exec", "listen": list(_listen(entry))}
    own = {} if entry.internal else _program(entry)
    return {**off, **where, **own, **entry.settings}


def _program(entry: Entry) -> dict[str, Any]:
    return {
        "command": list(entry.command),
        "user": entry.user,
        **({"group": entry.group} if entry.group else {}),
        "socket": True,
        "privileged": True,
        "max_children": entry.settings.get("max_connections", MOST_CHILDREN),
        "descriptors": DESCRIPTORS,
        **UNBOUND,
    }


def _listen(entry: Entry) -> Iterator[str]:
    if entry.path:
        yield f"unix:{_escaped(entry.path)}:mode=666"
        return
    scheme = "tcp" if entry.is_stream else "udp"
    for host in entry.hosts:
        shown = f"[{host}]" if ":" in host else host
        yield f"{scheme}:{entry.port}:interface={shown}"
    if not entry.hosts:
        version = {0: ":interface=*", 4: "", 6: ""}[entry.version]
        yield f"{scheme}{'6' if entry.version == 6 else ''}:{entry.port}{version}"


def _escaped(path: str) -> str:
    """A path in a listen string."""
    return path.replace("\\", "\\\\").replace(":", "\\:")
