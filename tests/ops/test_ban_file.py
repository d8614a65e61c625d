"""Bans in a file: whole or not at all, whatever happens to the process or to the file."""

from __future__ import annotations

import contextlib
import math
import os
import random
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockd.access.bans import MAX_NOTE, MOST_BANS
from sockd.ops.ban_file import GRACE, BanFileError, BrokenError, KeptBan, read, write

WALL = 1_700_000_000.0
ONE = KeptBan("", "192.0.2.7/32", WALL, WALL + 60, "what it did")
TWO = KeptBan("chat", "2001:db8::/32", WALL)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "bans.sqlite3"


def execute(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def test_what_is_written_is_read(path: Path) -> None:
    assert read(path) == []
    assert not path.parent.exists()
    write(path, WALL, [ONE, TWO], [])
    assert sorted(read(path), key=str) == sorted([ONE, TWO], key=str)
    write(path, WALL, [KeptBan("", ONE.prefix, WALL + 1)], [(TWO.scope, TWO.prefix)])
    assert read(path) == [KeptBan("", ONE.prefix, WALL + 1)]


def test_the_file_is_its_users_alone(path: Path) -> None:
    write(path, WALL, [ONE], [])
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o022 == 0


def test_what_has_been_over_for_a_day_leaves_the_file(path: Path) -> None:
    write(path, WALL, [ONE, TWO], [])
    write(path, ONE.until + GRACE - 1, [], [])
    assert len(read(path)) == 2
    write(path, ONE.until + GRACE, [], [])
    assert read(path) == [TWO]


@pytest.mark.parametrize("content", [b"no database " * 1000, b"SQLite format 3\0" + b"?" * 90])
def test_a_file_that_is_no_database_is_set_aside_and_said_so(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(BrokenError, match=r"set aside as bans\.sqlite3\.broken"):
        read(path)
    assert path.with_name("bans.sqlite3.broken").read_bytes() == content
    assert read(path) == []
    path.write_bytes(content)
    with pytest.raises(BrokenError):
        write(path, WALL, [ONE], [])
    write(path, WALL, [ONE], [])
    assert read(path) == [ONE]


def test_a_database_of_something_else_is_set_aside(path: Path) -> None:
    path.parent.mkdir()
    execute(path, "CREATE TABLE ban (name TEXT)")
    with pytest.raises(BrokenError, match="no such column: scope"):
        read(path)


def test_a_damaged_page_is_found_and_the_file_set_aside(path: Path) -> None:
    write(path, WALL, [KeptBan("", f"10.0.{n // 250}.{n % 250}", WALL) for n in range(1000)], [])
    data = bytearray(path.read_bytes())
    data[4096:8192] = bytes(4096)
    path.write_bytes(data)
    with pytest.raises(BrokenError, match="malformed"):
        read(path)


@given(st.integers(0, 2**32), st.integers(1, 200))
def test_whatever_bytes_of_a_file_are_changed_it_is_read_or_complained_of(
    tmp_path_factory: pytest.TempPathFactory, seed: int, size: int
) -> None:
    path = tmp_path_factory.mktemp("any") / "bans.sqlite3"
    write(path, WALL, [ONE, TWO], [])
    data, chance = bytearray(path.read_bytes()), random.Random(seed)
    at = chance.randrange(len(data))
    data[at : at + size] = chance.randbytes(size)
    path.write_bytes(data)
    with contextlib.suppress(BanFileError):
        found = read(path)
        assert len(found) <= MOST_BANS
        assert all(len(one.note) <= MAX_NOTE and one.since < math.inf for one in found)
    with contextlib.suppress(BanFileError):
        write(path, WALL, [ONE], [])
        assert ONE in read(path)


def test_rows_that_are_no_bans_are_passed_over(path: Path) -> None:
    write(path, WALL, [ONE], [])
    for row in (
        "'', 'pets', 1.0, NULL, ''",
        "'', '0.0.0.0/0', 1.0, NULL, ''",
        "'', '192.0.2.9/24', 1.0, NULL, ''",
        "'', x'00', 1.0, NULL, ''",
        "'', '192.0.2.9', 'never', NULL, ''",
        "'', '192.0.2.10', 1.0, 'never', ''",
        "'', '192.0.2.11', 9e999, NULL, ''",
        "'', '192.0.2.12', 1.0, NULL, x'ff'",
    ):
        execute(path, f"INSERT INTO ban VALUES ({row})")
    assert read(path) == [ONE]


def test_no_more_are_read_than_there_can_be_and_those_are_the_latest(path: Path) -> None:
    rows = [
        KeptBan("", f"10.{n // 65536}.{n // 256 % 256}.{n % 256}/32", WALL + n)
        for n in range(MOST_BANS + 1)
    ]
    write(path, WALL, rows, [])
    assert set(read(path)) == set(rows[1:])


def test_a_file_of_a_later_version_is_left_as_it_is(path: Path) -> None:
    write(path, WALL, [ONE], [])
    execute(path, "PRAGMA user_version = 2")
    before = path.read_bytes()
    for call in (lambda: read(path), lambda: write(path, WALL, [TWO], [])):
        with pytest.raises(BanFileError, match="is of a later sockd: it is left as it is"):
            call()
    assert path.read_bytes() == before


def test_a_file_of_another_user_is_not_believed(path: Path) -> None:
    write(path, WALL, [ONE], [])
    os.chown(path, 12_345, 12_345)
    with pytest.raises(BanFileError, match="it is another user's"):
        read(path)


def test_what_is_no_file_is_told_and_left(path: Path) -> None:
    path.parent.mkdir()
    path.symlink_to("/etc/passwd")
    with pytest.raises(BanFileError, match="symbolic links"):
        read(path)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(BanFileError, match="it is no regular file"):
        read(path)


def test_a_directory_that_others_can_write_to_is_none_for_it(path: Path) -> None:
    path.parent.mkdir()
    path.parent.chmod(0o777)
    with pytest.raises(BanFileError, match="can be written by others"):
        write(path, WALL, [ONE], [])


WRITER = """
import sys
from pathlib import Path
from sockd.ops.ban_file import KeptBan, write
for n in range(100_000):
    rows = [KeptBan("", f"10.{n // 256 % 256}.{n % 256}.{i}/32", 1e9 + n) for i in range(20)]
    write(Path(sys.argv[1]), 1e9, rows, [])
    print(n, flush=True)
"""


def test_after_kill_9_there_is_what_was_written_and_each_change_whole(path: Path) -> None:
    chance = random.Random(7)
    for _ in range(5):
        path.unlink(missing_ok=True)
        command = [sys.executable, "-c", WRITER, str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for _ in range(chance.randrange(1, 30)):
                process.stdout.readline()
            process.send_signal(signal.SIGKILL)
            said = process.stdout.read().split()
        rows = read(path)
        changes = len({one.since for one in rows})
        assert len(rows) == 20 * changes
        assert changes >= (int(said[-1]) + 1 if said else 1)
