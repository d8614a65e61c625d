"""Log files: what is written when descriptors or the disk run out."""

from __future__ import annotations

import errno
import io
import json
import os
import resource
import signal
import stat
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from twisted.internet import tcp
from twisted.logger import (
    LogEvent,
    Logger,
)

from sockd.ops import log_drain
from sockd.ops.log_drain import COMPLAINT_SECONDS, Drain
from sockd.ops.log_file import LogFile, Output
from sockd.ops.logs import DESCRIPTORS_SECONDS, LogWriter
from tests.helpers import LogRecorder
from tests.memory import NOON
from tests.ops.samples import JSON, TEXT, event_of
from tests.processes import PATIENCE, wait_until


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
    writer = LogWriter(file, JSON)
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
    flood(LogWriter(file, TEXT), [NOON, NOON - 3600, NOON - 3600])
    assert len(file.getvalue().splitlines()) == 2


def test_other_reasons_not_to_accept_are_told_as_they_are() -> None:
    file = io.StringIO()
    writer = LogWriter(file, TEXT)
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
    writer = LogWriter(Drain(file, PATIENCE), TEXT)
    for _ in range(100):
        writer(event_of("lost"))
    why = error.args[-1]
    assert stderr.getvalue() == f"sockd: the log cannot be written: {why}\n"
    file.is_full = False
    writer(event_of("there is room again"))
    told, line = file.getvalue().splitlines()
    assert told.endswith(f" warn: the log could not be written: 100 lines lost here: {why}")
    assert line.endswith(" there is room again")
    assert writer.lines_lost == 100


def test_a_disk_that_takes_a_line_now_and_then_is_complained_of_once_a_minute(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stderr, file = io.StringIO(), Broken(OSError(errno.ENOSPC, "full"))
    now = 1000.0
    monkeypatch.setattr(sys, "__stderr__", stderr)
    monkeypatch.setattr(log_drain, "monotonic", lambda: now)
    drain = Drain(file, 0.0)
    for turn in range(10):
        file.is_full = turn % 2 == 0
        drain.write("a line\n")
        drain.call(lambda: None)
        wait_until(drain._is_empty, "it was tried")
    assert len(stderr.getvalue().splitlines()) == 1
    now += COMPLAINT_SECONDS
    file.is_full = True
    drain.write("a line\n")
    drain.flush()
    wait_until(drain._is_empty, "it was tried")
    assert len(stderr.getvalue().splitlines()) == 2


def test_a_full_disk_costs_only_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    stderr = io.StringIO()
    monkeypatch.setattr(sys, "__stderr__", stderr)
    descriptor = os.open("/dev/full", os.O_WRONLY)
    writer = LogWriter(Drain(Output(descriptor), PATIENCE), TEXT)
    for _ in range(1000):
        writer(event_of("lost" * 100))
    os.close(descriptor)
    writer(event_of("the file is closed"))
    assert len(stderr.getvalue().splitlines()) == 1
    assert "No space left on device" in stderr.getvalue()


@pytest.mark.parametrize("stderr", [None, Broken(OSError(errno.EIO, "gone"))], ids=repr)
def test_where_nobody_can_be_told_nobody_is(stderr: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "__stderr__", stderr)
    drain = Drain(Broken(OSError(errno.ENOSPC, "full")), PATIENCE)
    LogWriter(drain, TEXT)(event_of("lost"))


def test_a_character_that_a_terminal_does_not_have_is_escaped(tmp_path: Path) -> None:
    with (tmp_path / "file").open("w+b", buffering=0) as file:
        writer = LogWriter(Output(file.fileno(), "latin-1"), TEXT)
        writer(event_of("caf\xe9"))
        writer(event_of("caf\xe9 \u65e5\u672c"))
    assert (tmp_path / "file").read_text("latin-1").splitlines() == [
        "2000-06-17T18:06:14.000Z caf\xe9",
        "2000-06-17T18:06:14.000Z caf\xe9 \\u65e5\\u672c",
    ]


# a file of one's own


@pytest.fixture
def file(tmp_path: Path) -> Iterator[LogFile]:
    """A log file in a folder of its own."""
    made = LogFile(str(tmp_path / "log"))
    yield made
    made.close()


def test_a_log_file_goes_on_where_it_ended(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("before\n", "utf-8")
    file = LogFile(str(tmp_path / "log"))
    LogWriter(file, TEXT)(event_of("żółw"))
    file.close()
    assert (tmp_path / "log").read_text("utf-8") == "before\n2000-06-17T18:06:14.000Z żółw\n"


def test_a_log_that_was_moved_away_goes_on_in_a_new_file_of_the_same_mode(
    file: LogFile, tmp_path: Path, log: LogRecorder
) -> None:
    writer = LogWriter(file, TEXT)
    writer(event_of("one"))
    file.path.chmod(0o640)
    file.path.rename(tmp_path / "log.1")
    writer(event_of("two"))
    umask = os.umask(0o077)  # twistd's own, as a daemon
    try:
        writer.reopen()
    finally:
        os.umask(umask)
    writer(event_of("three"))
    assert (tmp_path / "log.1").read_text("utf-8").count("\n") == 2
    assert file.path.read_text("utf-8").endswith("Z three\n")
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o640
    [reopened] = log.events("log-reopened")
    assert reopened["path"] == file.path


def test_a_log_that_somebody_made_anew_keeps_the_mode_that_it_was_given(
    file: LogFile, tmp_path: Path
) -> None:
    file.path.rename(tmp_path / "log.1")
    file.path.touch(0o600)
    LogWriter(file, TEXT).reopen()
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600


def test_a_log_that_lies_where_it_lay_is_not_renamed(file: LogFile, tmp_path: Path) -> None:
    writer = LogWriter(file, TEXT)
    for word in ("one", "two"):
        writer(event_of(word))
        writer.reopen()
    assert [one.name for one in tmp_path.iterdir()] == ["log"]
    assert len(file.path.read_text("utf-8").splitlines()) == 2


def test_a_log_that_cannot_be_opened_anew_goes_on_in_the_old_file(
    file: LogFile, tmp_path: Path, log: LogRecorder
) -> None:
    file.path.rename(tmp_path / "log.1")
    file.path.mkdir()
    writer = LogWriter(file, TEXT)
    writer.reopen()
    writer(event_of("still here"))
    assert (tmp_path / "log.1").read_text("utf-8").endswith("Z still here\n")
    [kept] = log.events("log-kept")
    assert str(kept["reason"]) == f"{file.path}: Is a directory"


def test_a_pipe_that_nobody_reads_does_not_hold_up_the_daemon(
    file: LogFile, tmp_path: Path, log: LogRecorder
) -> None:
    file.path.rename(tmp_path / "log.1")
    os.mkfifo(file.path)
    LogWriter(file, TEXT).reopen()
    [kept] = log.events("log-kept")
    assert kept["reason"].name == "log_error"


def test_a_log_without_a_file_of_its_own_goes_on(log: LogRecorder) -> None:
    LogWriter(io.StringIO(), TEXT).reopen()
    assert [str(one["reason"]) for one in log.events("log-kept")] == ["it has no file of its own"]


def test_a_line_that_was_cut_by_a_full_disk_does_not_run_into_the_next(tmp_path: Path) -> None:
    file = LogFile(str(tmp_path / "log"))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5, hard))
    try:
        file.write("a line\n")
        with pytest.raises(OSError, match="too large"):
            file.flush()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, old)
    file.write("another\n")
    file.flush()
    file.close()
    assert (tmp_path / "log").read_text("utf-8") == "a lin\nanother\n"
