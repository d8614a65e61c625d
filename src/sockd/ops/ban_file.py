"""Bans as a file keeps them: a small SQLite database, opened for each change and closed again.

SQLite's journal has a change in it whole or not at all, whenever the process or the host ends. All
of this waits for the disk, and so it is called in threads. Times are Unix times here.
"""

from __future__ import annotations

import contextlib
import math
import os
import sqlite3
import stat
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from attrs import frozen

from sockd.access.bans import MAX_NOTE, MOST_BANS
from sockd.access.prefixes import parse_prefix
from sockd.listen.runtime import make_runtime_directory

WAIT_SECONDS = 5.0
"""For another process that has the file locked, such as somebody's `sqlite3`."""
GRACE = 86_400.0
"""Seconds for which a ban that is over stays in the file: a clock that is set forward by a day and
back again takes none away."""
_VERSION = 1
_TABLE = """CREATE TABLE IF NOT EXISTS ban (
    scope TEXT NOT NULL, prefix TEXT NOT NULL, since REAL NOT NULL, until REAL, note TEXT NOT NULL,
    PRIMARY KEY (scope, prefix)) WITHOUT ROWID"""
_BROKEN = {sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
"""What SQLite says of a file that is damaged, no database, or one with other tables."""


@frozen
class KeptBan:
    """A row."""

    scope: str
    prefix: str
    since: float
    until: float = math.inf
    note: str = ""


class BanFileError(Exception):
    """Why the file cannot be read or written."""


class BrokenError(BanFileError):
    """It is no file of bans, or not any more: it was set aside."""


def read(path: Path) -> list[KeptBan]:
    """All rows that are bans; none where there is no file. Raises BanFileError."""
    if not os.path.lexists(path):
        return []
    with _opened(path) as connection:
        if not connection.execute("SELECT 1 FROM sqlite_schema").fetchone():
            return []
        order = "ORDER BY since DESC LIMIT ?"  # where there are more: the latest
        rows = connection.execute(
            f"SELECT scope, prefix, since, until, note FROM ban {order}", (MOST_BANS,)
        ).fetchall()
    return [ban for row in rows if (ban := _ban(row)) is not None]


def write(
    path: Path, wall: float, kept: Iterable[KeptBan], gone: Iterable[tuple[str, str]]
) -> None:
    """Have some in it and others not, all at once. Raises BanFileError.

    `gone`: scope and prefix. What has been over for `GRACE` leaves it, too.
    """
    with _opened(path) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(_TABLE)
        connection.execute(f"PRAGMA user_version = {_VERSION}")
        connection.execute("DELETE FROM ban WHERE until <= ?", (wall - GRACE,))
        connection.executemany("DELETE FROM ban WHERE scope = ? AND prefix = ?", gone)
        connection.executemany(
            "INSERT OR REPLACE INTO ban VALUES (?, ?, ?, ?, ?)",
            [(one.scope, one.prefix, one.since, _or_null(one.until), one.note) for one in kept],
        )
        connection.execute("COMMIT")


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    try:
        _own(path)
        with contextlib.closing(
            sqlite3.connect(path, timeout=WAIT_SECONDS, isolation_level=None)
        ) as connection:
            connection.text_factory = lambda text: text.decode("utf-8", "replace")
            [version] = connection.execute("PRAGMA user_version").fetchone()
            if version > _VERSION:
                raise BanFileError(f"{path} is of a later sockd: it is left as it is")
            yield connection
    except OSError as error:
        raise BanFileError(f"{path}: {error.strerror or error}") from None
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in _BROKEN:
            raise BrokenError(_set_aside(path, str(error))) from None
        raise BanFileError(f"{path}: {error}") from None


def _own(path: Path) -> None:
    """See that there is a file, and whose it is: nobody else bans, or takes back, in our name."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    make_runtime_directory(str(path.parent))
    descriptor = os.open(path, flags, 0o600)
    try:
        found = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    if not stat.S_ISREG(found.st_mode):
        raise OSError(0, "it is no regular file")
    if found.st_uid not in (0, os.geteuid()):
        raise PermissionError(0, "it is another user's")


def _set_aside(path: Path, why: str) -> str:
    """Have a broken file out of the way; what is told of it."""
    aside = path.with_name(f"{path.name}.broken")
    try:
        path.replace(aside)
        for suffix in ("-journal", "-wal", "-shm"):  # they would be taken for the new file's
            path.with_name(path.name + suffix).unlink(missing_ok=True)
    except OSError as error:
        return f"{path}: {why}; and it cannot be set aside: {error.strerror}"
    return f"{path}: {why}: it is set aside as {aside.name}"


def _ban(row: Sequence[object]) -> KeptBan | None:
    """A row, unless somebody has written what is none."""
    scope, prefix, since, until, note = row
    if not (isinstance(scope, str) and isinstance(prefix, str) and isinstance(note, str)):
        return None
    end = math.inf if until is None else until
    if not (isinstance(since, float) and isinstance(end, float) and math.isfinite(since)):
        return None
    try:
        found = parse_prefix(prefix)
    except ValueError:
        return None
    if not found.prefixlen or math.isnan(end):
        return None
    return KeptBan(scope, str(found), since, end, note[:MAX_NOTE])


def _or_null(until: float) -> float | None:
    return None if until == math.inf else until
