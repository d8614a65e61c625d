"""What inetd and xinetd say of a service, whichever of the two, and what cannot be said here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import Factory, define, field, frozen

INTERNAL = ("echo", "discard", "daytime", "chargen", "time")
"""The services that both have built in, and sockd has by the same names."""


@frozen
class Place:
    """Where something stands."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@frozen
class Note:
    """What somebody should know of what was read there: above all what was not carried over."""

    place: Place
    text: str
    is_lost: bool = True
    """False: it is carried over, and yet not quite the same."""


@frozen(kw_only=True)
class Lookups:
    """What only the host knows."""

    port: Callable[[str, str], int | None]
    """The port of a service, by its name and protocol: /etc/services."""
    addresses: Callable[[str], Sequence[str]]
    """The addresses of a host's name; none where it has none."""
    program_mistake: Callable[[str], str]
    """What is wrong with the path of a program; empty where nothing is."""
    has_user: Callable[[str], bool]
    has_group: Callable[[str], bool]
    has_wrappers: bool = False
    """Whether TCP wrappers have rules, in /etc/hosts.allow or /etc/hosts.deny."""


@define(kw_only=True)
class Entry:
    """One service."""

    place: Place
    name: str
    """As it stands in the file: what its table is called after."""
    is_stream: bool
    version: int = 0
    """Of IP: 4 or 6; 0: both."""
    hosts: Sequence[str] = ()
    """The addresses of this host that it is to be had at; none: all."""
    port: int = 0
    path: str = ""
    """In place of a port."""
    internal: str = ""
    """The one of `INTERNAL` that it is; empty: a program."""
    program: str = ""
    """The path of it."""
    command: Sequence[str] = ()
    """What is run."""
    user: str = ""
    group: str = ""
    is_enabled: bool = True
    is_possible: bool = True
    """Whether this host has what it needs."""
    settings: dict[str, Any] = field(factory=dict)
    """What else its table is to have, by key."""
    notes: list[Note] = field(factory=list)
    at: Place = field(default=Factory(lambda self: self.place, takes_self=True))
    """Where that stands which is looked at now."""

    def run(self, path: str, arguments: Sequence[str], called: str) -> None:
        """It is this program, which is told that it is called so."""
        self.program, self.command = path, (path, *arguments)
        if called.rpartition("/")[2] != path.rpartition("/")[2]:
            self.differ(f"the program is not told that it is called {called}, but {path}")

    def lose(self, text: str) -> None:
        """This is not carried over."""
        self._note(text, is_lost=True)

    def differ(self, text: str) -> None:
        """This is carried over, and not quite the same."""
        self._note(text, is_lost=False)

    def _note(self, text: str, *, is_lost: bool) -> None:
        if text not in (note.text for note in self.notes):
            self.notes.append(Note(self.at, text, is_lost))


@frozen
class Lost:
    """A service that is not carried over at all."""

    name: str
    note: Note
    is_enabled: bool = True
    """Whether anybody had it."""


Found = Entry | Lost | Note
"""What comes of a part of a file."""

TRANSPORTS: Mapping[bool, str] = {True: "tcp", False: "udp"}
DAEMONS = "/usr/sbin"
"""Where Debian's tcpd looks for a program that is named without a path."""
TCPD = "tcpd: its rules in /etc/hosts.allow and hosts.deny: write them as allow and deny"
"""What is lost where the program is run by TCP wrappers."""


def unwrapped(path: str, called: str) -> str:
    """The program that tcpd runs; the path itself where it is not tcpd."""
    if path.rpartition("/")[2] != "tcpd":
        return path
    return called if called.startswith("/") else f"{DAEMONS}/{called}"
