"""What is printed where a disk is full: a line about it, and the exit code of what was wrong."""

from __future__ import annotations

from errno import ENOSPC
from subprocess import CompletedProcess

import click
import pytest

from sockd.cli import main
from tests.processes import SOCKD, run

FULL = "sockd: cannot write the output: no space left on device\n"


def shell(words: str) -> CompletedProcess[str]:
    return run("sh", "-c", f"{SOCKD} {words}")


@pytest.mark.parametrize("words", ["--help", "status --help", "chat --help", "--version"])
def test_help_and_version_on_a_full_disk_are_told_in_a_line(words: str) -> None:
    done = shell(f"{words} > /dev/full")
    assert (done.returncode, done.stderr) == (1, FULL)


@pytest.mark.parametrize(
    ("words", "code"),
    [("nosuch", 2), ("kill", 2), ("status --control /nowhere", 1), ("check /nowhere", 1)],
)
def test_what_is_wrong_has_its_exit_code_though_it_cannot_be_told(words: str, code: int) -> None:
    assert shell(f"{words} 2> /dev/full").returncode == code
    assert shell(f"{words} > /dev/full 2>&1").returncode == code


def test_nobody_who_has_read_enough_is_told_of_it() -> None:
    done = shell("--help | true")
    assert (done.returncode, done.stderr) == (0, "")


def test_another_file_that_is_on_a_full_disk_is_not_the_output(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def elsewhere() -> None:
        raise OSError(ENOSPC, "No space left on device", "/var/file")

    monkeypatch.setitem(main.commands, "x", click.Command("x", callback=elsewhere))
    with pytest.raises(OSError, match="/var/file"):
        main.main(["x"])
