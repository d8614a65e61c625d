"""A configuration of sockd, as text, with what could not be carried over as comments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from textwrap import wrap
from typing import Any

from sockd.config.toml import toml
from sockd.formats.text import escape
from sockd.importer.entry import Note
from sockd.importer.tables import DEFAULTS, Imported, Table

WIDTH = 98
_LIMITS = """\
Neither inetd nor xinetd has these limits. Take a line away, and sockd's own holds; `sockd services
exec` tells what it is. What is bounded anyway: a service has 1000 connections at once
(max_connections), and who does not read what it was sent is cut off after a minute
(write_timeout)."""
_PROGRAMS = """\
Programs run as they did: with the connection itself (socket), any time and memory, and as a user of
their own with all that this user may do, setuid programs too (privileged). sockd has to stay root
for that: its unit must have no User=, and not take capabilities away. What needs none of it is
better off without, above all without `privileged`: `sockd services exec` tells of each.
What a program leaves running when it ends is ended with it."""
_WRAPPERS = """\
This host has rules for TCP wrappers, in /etc/hosts.allow or /etc/hosts.deny. sockd does not ask
them: write allow and deny, in [defaults] for all services."""


def text(
    imported: Imported, sources: Sequence[str], *, unread: Sequence[str] = (), has_wrappers: bool
) -> str:
    """The whole file; `unread` is what else it was to be made from, and why it is not."""
    return "\n\n".join(_parts(imported, sources, unread, has_wrappers)) + "\n"


def _parts(
    imported: Imported, sources: Sequence[str], unread: Sequence[str], has_wrappers: bool
) -> Iterator[str]:
    yield _comment(
        f"sockd in place of inetd, made from {' and '.join(sources)}. `sockd check FILE` tells "
        "whether it can run here."
    )
    if unread:
        yield "\n".join(_comment(f"Not read: {why}") for why in unread)
    if has_wrappers:
        yield _comment(_WRAPPERS)
    if imported.has_programs:
        yield _comment(_PROGRAMS)
    apart = [*imported.notes, *(lost.note for lost in imported.lost)]
    if apart:
        names = {lost.note: f"{lost.name}: " for lost in imported.lost}
        yield "\n".join(_note(note, f"{note.place}: {names.get(note, '')}") for note in apart)
    yield f"{_comment(_LIMITS)}\n[defaults]\n{_lines(DEFAULTS)}"
    for table in imported.tables:
        yield _table(table)


def _table(table: Table) -> str:
    above = [f"# {escape(str(table.place))}", *map(_note, table.notes)]
    lines = [f"[service.{table.name}]", *_lines(table.values).splitlines()]
    return "\n".join([*above, *(lines if table.is_possible else [f"#{one}" for one in lines])])


def _note(note: Note, where: str = "") -> str:
    mark = "Not carried over: " if note.is_lost else "Not quite the same: "
    return _comment(f"{mark}{where}{note.text}")


def _lines(values: Mapping[str, Any]) -> str:
    return "\n".join(f"{key} = {toml(value)}" for key, value in values.items())


def _comment(text: str) -> str:
    words = escape(" ".join(text.split()))
    return "\n".join(f"# {line}" for line in wrap(words, WIDTH, break_on_hyphens=False))
