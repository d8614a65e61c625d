"""Log files: what is written when descriptors or the disk run out."""

from __future__ import annotations

import errno
import io
import json
import sys
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from twisted.internet import tcp
from twisted.internet.error import ConnectionDone
from twisted.logger import (
    LogEvent,
    Logger,
)
from twisted.python.failure import Failure
from twisted.python.logfile import LogFile

from sockd.ops.logs import DESCRIPTORS_SECONDS, LogWriter, as_json, as_text
from tests.memory import NOON
from tests.ops.samples import event_of


class Broken(io.StringIO):
    """A file that cannot be written, until `is_full` is False."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error
        self.is_full = True

    def write(self, text: str) -> int:
        if self.is_full:
            raise self.error
        return super().write(text)


# descriptors have run out


class FullListener:
    """A listening socket of a process that has no descriptor left."""

    def accept(self) -> Any:
        raise OSError(errno.EMFILE, "Too many open files")


def flood(writer: LogWriter, moments: list[float]) -> None:
    """What Twisted logs of connections for which there is no descriptor, at these moments."""
    for moment in moments:

        def at_that_time(event: LogEvent, moment: float = moment) -> None:
            writer({**event, "log_time": moment})

        observer: Any = at_that_time
        for reserved in (tcp._reservedFD, tcp._NullFileDescriptorReservation()):
            logger = Logger(namespace="twisted.internet.tcp", observer=observer)
            list(tcp._accept(logger, range(10), FullListener(), reserved))


def test_connections_without_descriptors_are_one_line_a_second() -> None:
    file = io.StringIO()
    writer = LogWriter(file, as_json)
    moments = [NOON + step / 100 for step in range(1000)]
    flood(writer, moments)
    rows = [json.loads(line) for line in file.getvalue().splitlines()]
    assert 9 <= len(rows) <= 10
    assert {(row["level"], row["event"]) for row in rows} == {("warn", "descriptors")}
    assert {row["message"] for row in rows} == {
        "no descriptors are left (ulimit -n): new connections are closed"
    }
    seconds = [float(row["time"][17:-1]) for row in rows]
    # a line shows milliseconds
    assert min(b - a for a, b in pairwise(seconds)) >= DESCRIPTORS_SECONDS - 0.002


def test_a_clock_that_is_set_back_does_not_silence_the_line() -> None:
    file = io.StringIO()
    flood(LogWriter(file, as_text), [NOON, NOON - 3600, NOON - 3600])
    assert len(file.getvalue().splitlines()) == 2


def test_other_reasons_not_to_accept_are_told_as_they_are() -> None:
    file = io.StringIO()
    writer = LogWriter(file, as_text)
    text = "Could not accept new connection ({acceptError})"
    writer(event_of(text, acceptError="ENFILE"))
    writer(event_of(text, acceptError="ENOMEM"))
    first, second = file.getvalue().splitlines()
    assert "no descriptors are left" in first
    assert second.endswith(" Could not accept new connection (ENOMEM)")


# files that cannot be written


@pytest.mark.parametrize(
    "error",
    [OSError(errno.ENOSPC, "No space left on device"), ValueError("I/O operation on closed file")],
    ids=repr,
)
def test_a_file_that_cannot_be_written_is_complained_of_once(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    stderr, file = io.StringIO(), Broken(error)
    monkeypatch.setattr(sys, "__stderr__", stderr)
    writer = LogWriter(file, as_text)
    for _ in range(100):
        writer(event_of("lost"))
    assert stderr.getvalue() == f"sockd: the log cannot be written: {error}\n"
    file.is_full = False
    writer(event_of("there is room again"))
    assert file.getvalue().endswith(" there is room again\n")
    file.is_full = True
    writer(event_of("lost"))
    assert len(stderr.getvalue().splitlines()) == 2


def test_a_full_disk_costs_only_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    stderr = io.StringIO()
    monkeypatch.setattr(sys, "__stderr__", stderr)
    full = Path("/dev/full").open("w", encoding="utf-8")  # noqa: SIM115 - closing it fails too
    writer = LogWriter(full, as_text)
    for _ in range(1000):
        writer(event_of("lost" * 100))
    with suppress(OSError):
        full.close()
    writer(event_of("the file is closed"))
    assert len(stderr.getvalue().splitlines()) == 1
    assert "No space left on device" in stderr.getvalue()


@pytest.mark.parametrize("stderr", [None, Broken(OSError(errno.EIO, "gone"))], ids=repr)
def test_where_nobody_can_be_told_nobody_is(stderr: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "__stderr__", stderr)
    LogWriter(Broken(OSError(errno.ENOSPC, "full")), as_text)(event_of("lost"))


def test_a_character_that_a_file_does_not_have_is_escaped() -> None:
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding="latin-1", newline="\n")
    writer = LogWriter(file, as_text)
    writer(event_of("café"))
    writer(event_of("café 日本"))
    assert raw.getvalue().decode("latin-1").splitlines() == [
        "2000-06-17T18:06:14.000Z café",
        r"2000-06-17T18:06:14.000Z caf\xe9 \u65e5\u672c",
    ]


def test_lines_go_to_a_log_file_of_twisted_too(tmp_path: Path) -> None:
    file: Any = LogFile("sockd.log", str(tmp_path))
    writer = LogWriter(file, as_text)
    writer(event_of("żółw"))
    file.rotate()
    writer(event_of("{why}", log_failure=Failure(ConnectionDone()), why="done"))
    file.close()
    assert (tmp_path / "sockd.log.1").read_text("utf-8").endswith(" żółw\n")
    assert " done\n    " in (tmp_path / "sockd.log").read_text("utf-8")
