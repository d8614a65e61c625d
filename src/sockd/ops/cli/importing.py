"""`sockd import`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sockd.formats.text import readable
from sockd.ops.cli.printing import tell

if TYPE_CHECKING:
    from sockd.importer.tables import Imported


@click.command("import")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
def import_(paths: tuple[str, ...]) -> None:
    """Print what files of inetd and xinetd say, as a configuration.

    PATH is such a file, or a folder of them: /etc/inetd.conf, /etc/xinetd.conf, /etc/xinetd.d. What
    could not be carried over stands there as comments, and is told on standard error. Services that
    are switched off are printed as such.

    Exit codes: 0 it is printed; 1 a file cannot be read, or there is no service in any.
    """
    from sockd.config.settings import default_instances
    from sockd.importer.reading import Reader, Unreadable, of_this_host
    from sockd.importer.tables import tables
    from sockd.importer.toml import text
    from sockd.service import find

    reader = Reader(of_this_host())
    try:
        for path in paths:
            reader.read(Path(path))
    except Unreadable as error:
        sys.exit(f"sockd: {readable(str(error))}")
    imported = tables(reader.result(), default_instances(find()), reader.lookups)
    _warn(imported)
    if not imported.tables:
        sys.exit(f"sockd: no service to carry over in {readable(' and '.join(paths))}")
    tell(text(imported, paths, has_wrappers=reader.lookups.has_wrappers))


def _warn(imported: Imported) -> None:
    lost = [(name, note) for name, note in imported.all_notes if note.is_lost]
    lost.sort(key=lambda one: (one[1].place.file, one[1].place.line))
    if lost:
        click.echo("sockd: not everything could be carried over:", err=True)
    for name, note in lost:
        where = f"{note.place}: {name}: " if name else f"{note.place}: "
        click.echo(readable(f"{where}{note.text}"), err=True)


COMMANDS = (import_,)
