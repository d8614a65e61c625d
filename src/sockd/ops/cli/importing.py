"""`sockd import`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sockd.formats.text import readable
from sockd.ops.cli.asking import json_option
from sockd.ops.cli.printing import tell

if TYPE_CHECKING:
    from sockd.importer.entry import Note
    from sockd.importer.tables import Imported


@click.command("import")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@json_option
def import_(paths: tuple[str, ...], as_json: bool) -> None:
    """Print what files of inetd and xinetd say, as a configuration.

    PATH is such a file, or a folder of them: /etc/inetd.conf, /etc/xinetd.conf, /etc/xinetd.d. What
    could not be carried over stands there as comments, and is told on standard error; so is a PATH
    that cannot be read, and what the others say is printed. Services that are switched off are
    printed as such. The object of --json has all that: toml, notes, unread.

    Exit codes: 0 it is printed; 1 a file cannot be read, or there is no service in any.
    """
    from sockd.config.settings import default_instances
    from sockd.importer.reading import Reader, of_this_host
    from sockd.importer.tables import tables
    from sockd.importer.toml import text
    from sockd.service import find

    reader = Reader(of_this_host())
    sources = [path for path in paths if reader.read(Path(path))]
    imported = tables(reader.result(), default_instances(find()), reader.lookups)
    made = None
    if imported.tables:
        wrapped = reader.lookups.has_wrappers
        made = text(imported, sources, unread=reader.unread, has_wrappers=wrapped)
    if as_json:
        told = {"toml": made, "notes": _told(imported), "unread": reader.unread}
        tell(f"{json.dumps(told)}\n")
    else:
        _warn(imported, reader.unread)
        if made is not None:
            tell(made)
        elif sources or not reader.unread:
            where = readable(" and ".join(sources or paths))
            click.echo(f"sockd: no service to carry over in {where}", err=True)
    if made is None or reader.unread:
        sys.exit(1)


def _notes(imported: Imported) -> Iterator[tuple[str, Note]]:
    """Notes in the order of the files; of services that were off only where there is no other."""
    notes = [*imported.all_notes]
    if not imported.tables:
        notes += [(lost.name, lost.note) for lost in imported.lost if not lost.is_enabled]
    yield from sorted(notes, key=lambda one: (one[1].place.file, one[1].place.line))


def _told(imported: Imported) -> list[dict[str, Any]]:
    return [
        {
            "place": str(note.place),
            "service": name or None,
            "text": note.text,
            "is_lost": note.is_lost,
        }
        for name, note in _notes(imported)
    ]


def _warn(imported: Imported, unread: Sequence[str]) -> None:
    for why in unread:
        click.echo(readable(f"sockd: {why}"), err=True)
    lost = [(name, note) for name, note in _notes(imported) if note.is_lost]
    if lost:
        click.echo("sockd: not everything could be carried over:", err=True)
    for name, note in lost:
        where = f"{note.place}: {name}: " if name else f"{note.place}: "
        click.echo(readable(f"{where}{note.text}"), err=True)


COMMANDS = (import_,)
