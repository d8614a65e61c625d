"""A host of made-up ports, names, programs and users, and what is made of files there."""

from __future__ import annotations

import tomllib
from typing import Any

from sockd.importer import blocks, inetd, xinetd
from sockd.importer.entry import Lookups, Note
from sockd.importer.tables import Imported, tables
from sockd.importer.toml import text

PORTS = {"echo": 7, "discard": 9, "daytime": 13, "chargen": 19, "time": 37, "finger": 79, "ftp": 21}
ADDRESSES = {"inside": ("10.0.0.1", "fd00::1"), "10.0.0.2": ("10.0.0.2",), "::1": ("::1",)}
RESERVED = ("fortune", "echo", "daytime", "welcome")


def lookups(**changes: Any) -> Lookups:
    """What the host knows."""
    known: dict[str, Any] = {
        "port": lambda name, protocol: PORTS.get(name),
        "addresses": lambda name: ADDRESSES.get(name, ()),
        "program_mistake": lambda path: "no program" if "missing" in path else "",
        "has_user": lambda user: user not in ("nemo", ""),
        "has_group": lambda group: group != "no-such",
    }
    return Lookups(**{**known, **changes})


def of_inetd(*lines: str, **changes: Any) -> Imported:
    """What is made of an inetd.conf."""
    host = lookups(**changes)
    return tables(inetd.parse("\n".join(lines), "inetd.conf", host), RESERVED, host)


def of_xinetd(*texts: str, **changes: Any) -> Imported:
    """What is made of a xinetd.conf."""
    host = lookups(**changes)
    parts = [part for text in texts for part in blocks.parse(text, "xinetd.conf")]
    found = [part for part in parts if isinstance(part, blocks.Block)]
    notes = [part for part in parts if isinstance(part, Note)]
    return tables([*notes, *xinetd.services(found, host)], RESERVED, host)


def service(name: str, *lines: str) -> str:
    """A block of xinetd's, of a program over TCP where nothing else is said."""
    told = {line.split()[0] for line in lines}
    usual = {
        "socket_type": "socket_type = stream",
        "wait": "wait = no",
        "user": "user = nobody",
        "server": "server = /usr/bin/prog",
    }
    body = [*lines, *(line for key, line in usual.items() if key not in told)]
    return "\n".join([f"service {name}", "{", *(f"\t{line}" for line in body), "}"])


def only(imported: Imported) -> dict[str, Any]:
    """The values of the one table."""
    [table] = imported.tables
    return table.values


def lost(imported: Imported) -> list[str]:
    """What could not be carried over."""
    return [note.text for _, note in imported.all_notes if note.is_lost]


def changed(imported: Imported) -> list[str]:
    """What is not quite the same."""
    return [note.text for _, note in imported.all_notes if not note.is_lost]


def of_all(imported: Imported) -> dict[str, Any]:
    """The values of all tables that stand there as such, by name."""
    return {table.name: table.values for table in imported.tables if table.is_possible}


def printed(imported: Imported) -> dict[str, Any]:
    """The whole text, read again."""
    return tomllib.loads(text(imported, ["a file"], has_wrappers=False))
