"""A reader that stalls stops nobody: lines wait, then are dropped, counted and reported."""

from __future__ import annotations

import io
import os
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from attrs import Factory, define

from sockd.ops.log_drain import WAITING, Drain
from sockd.ops.log_file import LogFile, Output
from sockd.ops.logs import LogWriter
from tests.ops.samples import TEXT, event_of
from tests.processes import PATIENCE, wait_until

LINE = "x" * 99 + "\n"
PIPE = 64 * 1024
"""What a pipe holds."""


@define(eq=False)
class Pipe:
    """A pipe that is read when a test does it, and drains into it."""

    reader: int
    writer: int
    drains: list[Drain] = Factory(list)

    def drain(self, patience: float, report: Callable[[int], str] = str) -> Drain:
        """A drain into it."""
        made = Drain(Output(self.writer), patience, report)
        self.drains.append(made)
        return made


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    """A pipe; nobody writes to it any more when it is closed."""
    made = Pipe(*os.pipe())
    yield made
    os.close(made.reader)
    for drain in made.drains:
        wait_until(drain._is_empty, "nothing waits")
    os.close(made.writer)


def report(count: int) -> str:
    """A line for what was dropped."""
    return f"{count} dropped\n"


def read_lines(descriptor: int, last: str) -> list[str]:
    """What can be read up to this line."""
    data = b""
    while not data.endswith(last.encode()):
        data += os.read(descriptor, 65536)
    return data.decode().splitlines(keepends=True)


def test_lines_for_a_reader_that_stalls_are_dropped_and_counted_in_their_place(
    pipe: Pipe,
) -> None:
    drain = pipe.drain(0.0, report)
    every = (2 * WAITING + 2 * PIPE) // len(LINE)
    for number in range(every):
        drain.write(f"{number:99}\n")
        drain.flush()
    # the report is the next to come, when what waits has been read
    lines: list[str] = []
    while not lines or "dropped" not in lines[-1]:
        lines += read_lines(pipe.reader, "\n")
    drain.write("again\n")
    drain.flush()
    assert read_lines(pipe.reader, "again\n") == ["again\n"]
    *kept, told = lines
    assert [int(line) for line in kept] == list(range(len(kept)))
    assert told == report(every - len(kept))
    assert WAITING <= len(kept) * len(LINE) <= 2 * WAITING + PIPE


def test_patience_is_for_all_of_a_start_and_not_for_each_line(pipe: Pipe) -> None:
    drain = pipe.drain(0.1)
    for _ in range(2 * PIPE // len(LINE)):
        drain.write(LINE)
        drain.flush()  # each for 0.1 s would be two minutes
    assert len(os.read(pipe.reader, PIPE)) > PIPE // 2


def test_a_patient_one_has_written_what_it_was_given() -> None:
    file = io.StringIO()
    drain = Drain(file, PATIENCE)
    drain.write("one\n")
    drain.flush()
    assert file.getvalue() == "one\n"


def test_a_line_that_is_to_be_written_before_a_file_is_opened_anew_is_in_the_old_one(
    tmp_path: Path,
) -> None:
    file = LogFile(str(tmp_path / "log"))
    drain = Drain(file, PATIENCE)
    writer = LogWriter(drain, TEXT)
    drain.be_patient(is_patient=False)
    for number in range(100):
        writer(event_of(f"line {number}"))
    file.path.rename(tmp_path / "old")
    writer.reopen()
    drain.be_patient(is_patient=True)
    writer(event_of("after it"))
    assert (tmp_path / "old").read_text("utf-8").splitlines()[-1].endswith(" line 99")
    assert file.path.read_text("utf-8").splitlines()[-1].endswith(" after it")
    file.close()


def test_a_process_that_was_forked_writes_its_own_lines(pipe: Pipe) -> None:
    drain = pipe.drain(PATIENCE)
    drain.write("ours\n")
    drain.flush()
    if (child := os.fork()) == 0:
        drain.write("its\n")
        drain.flush()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert read_lines(pipe.reader, "its\n") == ["ours\n", "its\n"]


def test_where_no_thread_can_be_had_lines_are_written_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def start(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    file = io.StringIO()
    drain = Drain(file)
    drain.write("one\n")
    drain.flush()
    drain.call(lambda: None)
    assert file.getvalue() == "one\n"


def test_a_pipe_that_somebody_made_not_block_gets_every_line(pipe: Pipe) -> None:
    os.set_blocking(pipe.writer, False)
    drain = pipe.drain(0.0)
    for _ in range(4 * PIPE // len(LINE)):
        drain.write(LINE)
        drain.flush()
    drain.write("last\n")
    drain.flush()
    assert len(read_lines(pipe.reader, "last\n")) == 4 * PIPE // len(LINE) + 1


def test_the_report_is_an_event_of_its_own(pipe: Pipe) -> None:
    drain = pipe.drain(0.0)
    writer = LogWriter(drain, TEXT)
    big = event_of("y" * 3000)
    for _ in range((2 * WAITING + 2 * PIPE) // 3000):
        writer(big)
    text = ""
    while not (found := re.search(r"warn: the log was not read in time: (\d+) lines lost", text)):
        text += os.read(pipe.reader, 65536).decode()
    assert int(found[1]) > 0
