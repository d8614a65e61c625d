"""`sock travesty` without a terminal: in a pipe, and with --generate, over every transport."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client.liars import hears, says, stays, stream_liar
from tests.client.running import SOCK, sock, sock_open
from tests.client.served import STREAMS, served, way
from tests.daemons import Daemon
from tests.processes import PATIENCE, wait_until

Files = tuple[Path, Path, Path]
TEXT = b"the cat sat. the cat ran.\r\n.\nABORT\nthe dog sat."
UNIQUE = 7
WORDS = {*TEXT.decode().split()}


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory, tls_files: Files) -> Iterator[Daemon]:
    folder = tmp_path_factory.mktemp("travesty")
    limits = "max_words = 1000"
    with served(folder, tls_files, {"travesty": [*STREAMS, limits]}) as found:
        yield found


@pytest.fixture
def text(tmp_path: Path) -> Path:
    """A file with a name that has spaces."""
    file = tmp_path / "a text.txt"
    file.write_bytes(TEXT)
    return file


def to(daemon: Daemon, transport: str, tls_files: Files) -> tuple[list[str], list[str]]:
    """The options that lead there, and the host."""
    host = [] if transport == "unix" else ["127.0.0.1"]
    return way(daemon, "travesty", transport, tls_files), host


@pytest.fixture
def there(daemon: Daemon, tls_files: Files) -> list[str]:
    """By TCP, behind what a command takes else."""
    options, host = to(daemon, "tcp", tls_files)
    return [*host, *options]


# one text


@pytest.mark.parametrize("transport", STREAMS)
def test_a_text_is_made_of_a_file(
    daemon: Daemon, tls_files: Files, text: Path, transport: str
) -> None:
    options, host = to(daemon, transport, tls_files)
    done = sock("travesty", "--generate", "50", *options, text, *host)
    assert (done.code, done.err) == (0, "")
    words = done.out.decode().split()
    assert 40 <= len(words) <= 60
    assert {*words} <= WORDS
    assert done.out.endswith(b"\n")
    assert b"\r" not in done.out
    assert b"." not in done.out.split(b"\n")


def test_a_text_is_made_of_standard_input(there: list[str]) -> None:
    done = sock("travesty", "--generate", "5", "-", *there, stdin=TEXT)
    assert (done.code, done.err) == (0, "")
    assert {*done.out.decode().split()} <= WORDS


def test_by_json_the_words_are_told_with_the_text(there: list[str], text: Path) -> None:
    done = sock("travesty", "--json", "--generate", "5", text, *there)
    assert (done.code, done.err) == (0, "")
    start, probe, summary = map(json.loads, done.out.splitlines())
    assert start["command"] == "travesty"
    assert {*probe["text"].split()} <= WORDS
    assert probe["values"] == summary["hosts"][0]["values"] == {"unique_words": UNIQUE}


def test_a_limit_is_told_and_what_was_kept_is_used(there: list[str], tmp_path: Path) -> None:
    file = tmp_path / "long"
    file.write_bytes(b"many words again \n" * 1000)
    done = sock("travesty", "--generate", "5", file, *there)
    assert done.code == 1
    assert "said: 552 too long" in done.err
    assert {*done.out.split()} <= {b"many", b"words", b"again"}
    assert done.out


def test_a_text_without_words_is_refused(there: list[str]) -> None:
    done = sock("travesty", "--generate", "5", "-", *there)
    assert (done.code, done.out) == (1, b"")
    assert "said: 500 no words are known" in done.err


@pytest.mark.parametrize(
    ("name", "why"),
    [("nothing", "no such file or directory"), (".", "is a directory")],
)
def test_a_file_that_cannot_be_read_is_told_before_anything_is_sent(name: str, why: str) -> None:
    with stream_liar(stays) as liar:
        done = sock("travesty", "--generate", "5", name, f"127.0.0.1:{liar.port}")
        assert (done.code, done.out) == (2, b"")
        assert f"cannot read {name}: {why}" in done.err
        assert liar.heard == []


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--generate", "5"], "needs a FILE"),
        (["--generate", "5", "a", "b", "c"], "needs a FILE"),
        (["--generate", "0", "-"], "0 is not in the range"),
        (["--generate", "five", "-"], "'five' is not a valid integer"),
        (["a", "b"], "'b' is too much"),
        (["--json"], "--json is for --generate"),
        (["--timing"], "--timing is for --generate"),
        (["-w", "5"], "-w is for --generate"),
        (["--unix", "a", "host"], "'host' is too much"),
    ],
)
def test_mistakes_of_the_command_line_are_told(arguments: list[str], why: str) -> None:
    done = sock("travesty", *arguments)
    assert (done.code, done.out) == (2, b"")
    assert why in done.err


def test_nobody_there_is_told(text: Path) -> None:
    done = sock("travesty", "--generate", "5", text, "127.0.0.1:1")
    assert (done.code, done.out) == (1, b"")
    assert "nobody answers at 127.0.0.1:1: connection refused" in done.err


# a pipe


@pytest.mark.parametrize("transport", STREAMS)
def test_lines_of_a_pipe_are_commands(
    daemon: Daemon, tls_files: Files, text: Path, transport: str
) -> None:
    options, host = to(daemon, transport, tls_files)
    lines = f"\nanalyze {text}\ngenerate 5\nreset\nbye\nnever"
    done = sock("travesty", *host, *options, stdin=lines.encode())
    assert done.code == 0
    assert {*done.out.decode().split()} <= WORDS
    assert done.out
    assert done.err == f"{UNIQUE} unique words\nforgotten\n"


def test_what_cannot_be_done_is_told_and_the_rest_is_done(there: list[str], text: Path) -> None:
    lines = f"analyse x\ngenerate 5\nanalyze {text}x\nanalyze -\nanalyze {text}\ngenerate 1"
    done = sock("travesty", *there, stdin=lines.encode())
    assert done.code == 2
    told = done.err.splitlines()
    assert told[0] == "sock: there is no command 'analyse'; did you mean 'analyze'?"
    assert "said: 500 no words are known" in told[1]
    assert told[2].endswith("a text.txtx: no such file or directory")
    assert told[3].startswith("sock: what is typed here are commands")
    assert told[4:] == [f"{UNIQUE} unique words"]
    assert done.out.decode().strip() in WORDS


def test_a_refusal_alone_is_1(there: list[str]) -> None:
    assert sock("travesty", *there, stdin=b"generate 5").code == 1


def test_a_line_that_is_endless_ends_it(there: list[str]) -> None:
    done = sock("travesty", *there, stdin=b"x" * 100_000)
    assert (done.code, done.err) == (2, "sock: a line of the input has more than 65536 bytes\n")


def test_who_has_read_enough_ends_it_quietly(there: list[str], text: Path) -> None:
    with sock_open("travesty", "--generate", "1000000000", text, *there) as process:
        assert process.stdout is not None
        process.stdout.read(1000)
        process.stdout.close()
        assert process.wait(PATIENCE) == 0
        assert process.stderr is not None
        assert process.stderr.read() == b""


# ^C


@pytest.mark.parametrize("transport", STREAMS)
@pytest.mark.parametrize("mode", ["once", "pipe"])
def test_by_an_interrupt_a_text_is_stopped_in_order_and_all_ends(
    daemon: Daemon, tls_files: Files, text: Path, transport: str, mode: str
) -> None:
    before = len(daemon.events("transfer-stopped"))
    options, host = to(daemon, transport, tls_files)
    arguments = ["--generate", "1000000000", *options, str(text), *host]
    lines = f"analyze {text}\ngenerate 1000000000\nreset\n".encode()
    if mode == "pipe":
        arguments = [*options, *host]
    with sock_open("travesty", *arguments) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        if mode == "pipe":
            process.stdin.write(lines)
            process.stdin.flush()
        process.stdout.read(1000)
        os.kill(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == -signal.SIGINT
    assert {*out.decode().split()[1:-1]} <= WORDS
    assert b"forgotten" not in err
    if mode == "pipe":
        assert b"bytes discarded)" in err
    wait_until(lambda: daemon.events("transfer-stopped")[before:], "it is in the log")
    [stopped] = daemon.events("transfer-stopped")[before:]
    assert stopped["transfer"] == "text"
    assert stopped["how"] == ("urgent byte" if transport == "tcp" else "ABORT")


def test_by_an_interrupt_an_upload_is_stopped_in_order(daemon: Daemon, there: list[str]) -> None:
    before = len(daemon.events("transfer-stopped"))
    with sock_open("travesty", "--generate", "5", "-", *there) as process:
        assert process.stdin is not None
        process.stdin.write(b"some words\n" * 10_000)
        process.stdin.flush()  # a pipe holds less: it is being read
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(PATIENCE) == -signal.SIGINT
        assert process.stdout is not None
        assert process.stdout.read() == b""
    wait_until(lambda: daemon.events("transfer-stopped")[before:], "it is in the log")
    [stopped] = daemon.events("transfer-stopped")[before:]
    assert (stopped["transfer"], stopped["how"]) == ("upload", "urgent byte")


def test_explain_tells_the_urgent_bytes_from_others(there: list[str], text: Path) -> None:
    with sock_open("travesty", "--explain", "--generate", "1000000000", text, *there) as process:
        assert process.stdout is not None
        process.stdout.read(1000)
        os.kill(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE)
    told = re.findall(rb"^# .*: (write to|read from) .* \(tcp\), 1 urgent byte$", err, re.M)
    assert told == [b"write to", b"read from"]


def test_an_interrupt_with_nothing_under_way_ends_it() -> None:
    with (
        stream_liar(says(b"100 hi\r\n"), hears(10), says(b"500 what?\r\n"), stays) as liar,
        sock_open("travesty", f"127.0.0.1:{liar.port}") as process,
    ):
        wait_until(lambda: liar.heard and b"FEATURES" in liar.heard[0], "it was greeted")
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(PATIENCE) == -signal.SIGINT


def test_a_second_interrupt_does_not_wait(text: Path) -> None:
    """For a server that never says that it has stopped."""
    script = [says(b"100 hi\r\n"), hears(10), says(b"500 what?\r\n"), hears(16)]
    script += [says(b"201 go on\r\n"), stays]
    arguments = ("-W", "600", "--generate", "5", text)
    with (
        stream_liar(*script) as liar,
        sock_open("travesty", *arguments, f"127.0.0.1:{liar.port}") as process,
    ):
        wait_until(lambda: liar.heard and b"\nDATA\r\n" in liar.heard[0], "an upload")
        wait_until(lambda: _interrupt_again(process), "it has ended")
        assert process.wait(PATIENCE) == -signal.SIGINT


def _interrupt_again(process: subprocess.Popen[bytes]) -> bool:
    if process.poll() is None:
        os.kill(process.pid, signal.SIGINT)
    return process.poll() is not None


def test_help_says_what_can_be_done() -> None:
    done = subprocess.run([SOCK, "travesty", "--help"], capture_output=True, check=True)
    assert b"analyze FILE" in done.stdout
