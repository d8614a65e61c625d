"""`sock travesty` on a terminal, as its screen shows it, with a real service at the other end."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.client.chat.screens import Screen, on_screen
from tests.client.running import SOCK
from tests.client.served import served, way
from tests.daemons import Daemon
from tests.processes import PATIENCE, variables, wait_until

Files = tuple[Path, Path, Path]
TEXT = b"the cat sat. the cat ran. the dog sat.\n"
PROMPT = r"\n> $"
HOW = {"tcp": "urgent byte", "tls": "ABORT", "unix": "ABORT"}


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory, tls_files: Files) -> Iterator[Daemon]:
    folder = tmp_path_factory.mktemp("travesty")
    with served(folder, tls_files, {"travesty": ["tcp", "tls", "unix"]}) as found:
        yield found


@contextmanager
def prompt(folder: Path, daemon: Daemon, tls_files: Files, transport: str) -> Iterator[Screen]:
    """A user at the prompt, in a folder with a text in it."""
    host = [] if transport == "unix" else ["127.0.0.1"]
    arguments = [*way(daemon, "travesty", transport, tls_files), *host]
    with on_screen(
        folder / "screen", {}, *arguments, command="travesty", shows_errors=True
    ) as found:
        (folder / "screen" / "a text.txt").write_bytes(TEXT)
        found.wait_for("^>$")
        yield found


@pytest.fixture
def screen(tmp_path: Path, daemon: Daemon, tls_files: Files) -> Iterator[Screen]:
    """By TCP."""
    with prompt(tmp_path, daemon, tls_files, "tcp") as found:
        yield found


def shown(screen: Screen) -> list[str]:
    """What stands there, without empty rows."""
    return [row for row in screen.rows() if row]


def do(screen: Screen, line: str, pattern: str) -> None:
    """Type a line, until it has done something and the prompt is back."""
    screen.type(line, "Enter")
    screen.wait_for(rf"^> {re.escape(line)}\n(.*\n)*?{pattern}\n(.*\n)*?>$")


def test_the_whole_screen(screen: Screen) -> None:
    do(screen, "analyze a text.txt", "5 unique words")
    do(screen, "generate 3", ".*")
    do(screen, "reset", "forgotten")
    do(screen, "generate 3", ".*500 .*")
    do(screen, "analyze nothing", "sock: .*")
    screen.type("bye", "Enter")
    assert screen.code() == 0
    rows = shown(screen)
    assert rows[:2] == ["> analyze a text.txt", "5 unique words"]
    at = rows.index("> reset")
    assert {*" ".join(rows[3:at]).split()} <= {*TEXT.decode().split()}
    assert rows[at + 1 : at + 3] == ["forgotten", "> generate 3"]
    assert re.fullmatch(r"127.0.0.1:\d+ said: 500 no words are known.*", rows[at + 3])
    assert rows[at + 4 :] == [
        "> analyze nothing",
        "sock: cannot read nothing: no such file or directory",
        "> bye",
    ]


def test_help_is_what_can_be_typed(screen: Screen) -> None:
    do(screen, "help", "  help .*")
    assert shown(screen)[1].split()[:2] == ["analyze", "FILE"]


@pytest.mark.parametrize("transport", HOW)
def test_an_upload_and_a_text_are_stopped_and_both_sides_stay_in_step(
    tmp_path: Path, daemon: Daemon, tls_files: Files, transport: str
) -> None:
    before = len(daemon.events("transfer-stopped"))
    with prompt(tmp_path, daemon, tls_files, transport) as screen:
        pipe = tmp_path / "screen" / "pipe"
        os.mkfifo(pipe)
        descriptor = os.open(pipe, os.O_RDWR)
        try:
            os.write(descriptor, TEXT)
            screen.type("analyze pipe", "Enter")
            screen.wait_for("^pipe .*bytes")  # the bar
            screen.type("C-c")
            screen.wait_for(r"^\(stopped; \d+ bytes were sent\)\n\d unique words?\n>$")
        finally:
            os.close(descriptor)
        do(screen, "analyze a text.txt", "5 unique words")
        screen.type("generate 1000000000", "Enter")
        screen.wait_for(r"\A *(the|cat|dog|sat|ran)\b")  # it has filled the screen
        screen.type("C-c")
        screen.wait_for(r"^\(stopped; [\d,]+ bytes discarded\)\n>$")
        do(screen, "reset", "forgotten")
        do(screen, "generate 3", ".*500 .*")
        screen.type("bye", "Enter")
        assert screen.code() == 0
    wait_until(
        lambda: any(
            one["transfer"] == "text" for one in daemon.events("transfer-stopped")[before:]
        ),
        "it is in the log",
    )
    stopped = daemon.events("transfer-stopped")[before:]
    # an upload that had not begun is none
    assert stopped[-1]["transfer"] == "text"
    assert {one["how"] for one in stopped} == {HOW[transport]}
    assert {one["transfer"] for one in stopped[:-1]} <= {"upload"}


def test_at_the_prompt_it_takes_two(screen: Screen) -> None:
    screen.type("reset of a li", "C-c")
    screen.wait_for(r"^\(\^C again leaves\) >$")
    screen.type("help")  # then the next is the first again
    screen.wait_for("^> help$")
    screen.type("C-c")
    screen.wait_for(r"^\(\^C again leaves\) >$")
    screen.type("C-c")
    assert screen.code() == 0


def test_at_a_terminal_that_can_nothing_one_leaves_in_order(
    daemon: Daemon, tls_files: Files
) -> None:
    ours, its = os.openpty()
    try:
        process = subprocess.Popen(
            [SOCK, "travesty", *way(daemon, "travesty", "tcp", tls_files), "127.0.0.1"],
            stdin=its,
            stdout=its,
            stderr=its,
            env={**variables(), "TERM": "dumb"},
        )
        wait_until(lambda: not termios.tcgetattr(its)[3] & termios.ISIG, "it reads keys")
        os.write(ours, b"reset\x03")
        assert process.wait(PATIENCE) == 0
    finally:
        os.close(ours)
        os.close(its)


def test_the_end_of_the_input_leaves(screen: Screen) -> None:
    screen.type("C-d")
    assert screen.code() == 0


def test_lines_are_remembered_and_completed(screen: Screen) -> None:
    do(screen, "reset", "forgotten")
    screen.type("Up")
    screen.wait_for("^> reset\nforgotten\n> reset$")
    screen.type("C-c", "an", "Tab")
    screen.wait_for("^> analyze$")
    screen.type("Space", "a", "Tab")
    screen.wait_for("^> analyze a text.txt$")


def test_a_server_that_ends_it_at_the_prompt_is_told_at_once(
    tmp_path: Path, tls_files: Files
) -> None:
    with (
        served(tmp_path, tls_files, {"travesty": ["tcp"]}) as daemon,
        prompt(tmp_path, daemon, tls_files, "tcp") as screen,
    ):
        os.kill(daemon.pid, signal.SIGTERM)
        assert screen.code() == 1
        assert re.search(r"sock: .* (has ended|has reset) the connection", screen.text())


def test_a_signal_that_ends_it_leaves_the_terminal_as_it_was(screen: Screen) -> None:
    os.kill(screen.pid(), signal.SIGTERM)
    assert screen.code() == 128 + signal.SIGTERM


def test_what_a_file_is_called_does_nothing_to_the_terminal(screen: Screen) -> None:
    name = screen.folder / "bad\x1b[31m[bold]name"
    name.write_bytes(TEXT * 1000)
    screen.type("analyze bad", "Tab")
    screen.wait_for(r"^> analyze bad\^\[\[31m\[bold\]name$")
    screen.type("x", "Enter")
    screen.wait_for("^sock: ")
    assert "cannot read bad\\x1b[31m[bold]namex: no such file" in screen.text()


def test_a_bar_stands_there_while_it_takes_long_and_is_gone_then(screen: Screen) -> None:
    pipe = screen.folder / "pipe"
    os.mkfifo(pipe)
    descriptor = os.open(pipe, os.O_RDWR)
    try:
        screen.type("analyze pipe", "Enter")
        screen.wait_for("^pipe .*bytes")
        sent = 0

        def grows() -> bool:
            nonlocal sent
            os.write(descriptor, TEXT)
            sent += len(TEXT)
            return re.search(r"^pipe .* \d{3,} bytes|kB", screen.text(), re.M) is not None

        wait_until(grows, "the bar has grown", 60.0)
    finally:
        os.close(descriptor)
    screen.wait_for("^> analyze pipe\n5 unique words\n>$")
