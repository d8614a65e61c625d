"""Log files of a size: the oldest go, no line is torn, and no trouble stops the log."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockd.ops.log_drain import Drain
from sockd.ops.log_file import LogFile
from sockd.ops.logs import LogWriter
from tests.helpers import LogRecorder
from tests.ops.samples import TEXT, event_of
from tests.processes import PATIENCE

LINE = f"{'x' * 99}\n"


@pytest.fixture
def open_log(tmp_path: Path) -> Iterator[Callable[[int, int], LogFile]]:
    """Opens the log of a test, with a size and a number of files that are kept."""
    made: list[LogFile] = []

    def opened(most: int, keep: int) -> LogFile:
        made.append(LogFile(str(tmp_path / "log"), most, keep))
        return made[-1]

    yield opened
    for file in made:
        file.close()


def say(file: LogFile, *lines: str) -> None:
    """Write lines, each at once."""
    for line in lines:
        file.write(line)
        file.flush()


def names(folder: Path) -> list[str]:
    """What lies there."""
    return sorted(one.name for one in folder.iterdir())


def test_a_file_that_is_full_moves_away_and_the_oldest_goes(
    open_log: Callable[[int, int], LogFile], tmp_path: Path
) -> None:
    file = open_log(250, 2)
    say(file, *(f"{number:99}\n" for number in range(9)))
    assert names(tmp_path) == ["log", "log.1", "log.2"]
    found = [(tmp_path / name).read_text("ascii").split() for name in ("log.2", "log.1", "log")]
    assert found == [["4", "5"], ["6", "7"], ["8"]]


def test_without_a_size_a_file_only_grows(
    open_log: Callable[[int, int], LogFile], tmp_path: Path
) -> None:
    say(open_log(0, 2), *[LINE] * 100)
    assert names(tmp_path) == ["log"]


def test_where_none_is_kept_there_is_one_file(
    open_log: Callable[[int, int], LogFile], tmp_path: Path
) -> None:
    say(open_log(250, 0), *[LINE] * 9)
    assert names(tmp_path) == ["log"]
    assert (tmp_path / "log").stat().st_size == 100


def test_files_of_a_larger_number_that_was_kept_once_go(
    open_log: Callable[[int, int], LogFile], tmp_path: Path
) -> None:
    for number in range(1, 8):
        (tmp_path / f"log.{number}").write_text(str(number), "ascii")
    say(open_log(150, 3), LINE, LINE)
    assert names(tmp_path) == ["log", "log.1", "log.2", "log.3"]
    assert (tmp_path / "log.3").read_text("ascii") == "2"


@given(st.lists(st.integers(1, 120), max_size=60), st.integers(1, 9), st.integers(0, 3))
def test_each_file_is_whole_lines_within_its_size_and_they_are_the_last(
    sizes: list[int], batch: int, keep: int
) -> None:
    lines = [f"{number} {'é' * size}\n" for number, size in enumerate(sizes)]
    with tempfile.TemporaryDirectory() as folder:
        file = LogFile(f"{folder}/log", 500, keep)
        for start in range(0, len(lines), batch):
            say(file, "".join(lines[start : start + batch]))
        file.close()
        paths = sorted(Path(folder).iterdir(), key=lambda one: one.suffix or ".0", reverse=True)
        texts = [path.read_text("utf-8") for path in paths]
    assert len(texts) <= keep + 1
    assert all(len(text.encode()) <= 500 and text.endswith("\n") for text in texts if text)
    assert "".join(lines).endswith("".join(texts))


def test_a_line_longer_than_a_file_has_one_of_its_own(
    open_log: Callable[[int, int], LogFile], tmp_path: Path
) -> None:
    say(open_log(50, 2), "a\n" + LINE + "b\n")
    assert [(tmp_path / name).stat().st_size for name in ("log.2", "log.1", "log")] == [2, 100, 2]


def test_the_new_file_has_the_mode_of_the_old(
    open_log: Callable[[int, int], LogFile], tmp_path: Path
) -> None:
    file = open_log(150, 1)
    file.path.chmod(0o640)
    say(file, LINE, LINE)
    assert [stat.S_IMODE((tmp_path / one).stat().st_mode) for one in ("log", "log.1")] == [
        0o640,
        0o640,
    ]


def test_a_file_that_somebody_has_moved_away_is_left_where_it_is(
    open_log: Callable[[int, int], LogFile], tmp_path: Path
) -> None:
    file = open_log(150, 1)
    say(file, LINE)
    file.path.rename(tmp_path / "elsewhere")
    file.path.write_text("somebody's\n", "ascii")
    say(file, LINE)
    assert names(tmp_path) == ["elsewhere", "log"]
    assert file.path.read_text("ascii") == "somebody's\n" + LINE


def test_a_link_stays_and_the_file_behind_it_moves(tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.mkdir()
    (tmp_path / "log").symlink_to(there / "real")
    file = LogFile(str(tmp_path / "log"), 150, 1)
    say(file, LINE, LINE)
    file.close()
    assert (tmp_path / "log").is_symlink()
    assert names(there) == ["real", "real.1"]


def test_what_is_no_file_is_never_moved(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "log")
    reader = os.open(tmp_path / "log", os.O_RDONLY | os.O_NONBLOCK)
    file = LogFile(str(tmp_path / "log"), 150, 1)
    say(file, LINE, LINE)
    file.close()
    assert os.read(reader, 1000) == 2 * LINE.encode()
    os.close(reader)
    assert names(tmp_path) == ["log"]


def test_what_cannot_be_moved_goes_on_is_told_once_and_tried_again(
    tmp_path: Path, log: LogRecorder
) -> None:
    file = LogFile(str(tmp_path / "log"), 4000, 1)
    (tmp_path / "log.1").mkdir()
    (tmp_path / "log.1" / "in the way").touch()
    writer = LogWriter(Drain(file, PATIENCE), TEXT)
    for number in range(200):
        writer(event_of(f"line {number} {'x' * 60}"))
    [kept] = log.events("log-kept")
    assert (kept["reason"].name, kept["log_level"].name) == ("log_error", "warn")
    assert len(file.path.read_text("utf-8").splitlines()) == 200
    (tmp_path / "log.1" / "in the way").unlink()
    (tmp_path / "log.1").rmdir()
    for number in range(60):
        writer(event_of(f"line {number} {'x' * 60}"))
    assert file.path.stat().st_size <= 4000
    assert names(tmp_path) == ["log", "log.1"]
    (tmp_path / "log.1").unlink()
    (tmp_path / "log.1" / "in the way").mkdir(parents=True)
    for number in range(60):
        writer(event_of(f"line {number} {'x' * 60}"))
    file.close()
    assert len(log.events("log-kept")) == 2, "that is trouble anew"


def test_another_size_holds_from_the_next_line_on(
    open_log: Callable[[int, int], LogFile], tmp_path: Path
) -> None:
    file = open_log(0, 0)
    say(file, *[LINE] * 5)
    file.bound(250, 1)
    say(file, LINE)
    assert [(tmp_path / one).stat().st_size for one in ("log", "log.1")] == [100, 500]
