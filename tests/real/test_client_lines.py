"""`sock` with servers that others wrote: socat and ncat, which run programs of others."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.client.running import sock
from tests.processes import free_port, running

FACTOR = "while read n; do factor $n | cut -d: -f2 | cut -c2-; done"
SAID = 'read line; echo "You said:$line"'


@contextmanager
def socat(listens: str, runs: str) -> Iterator[None]:
    """socat, serving a program's answers while the block runs."""
    with running(["socat", "-d", "-d", listens, runs]) as server:
        server.wait_for("listening on|receiving on|N starting|recvfrom")
        yield


@pytest.fixture
def port() -> int:
    """A port that is free."""
    return free_port()


def at(port: int) -> tuple[str, str]:
    """The option that names the host."""
    return ("-H", f"127.0.0.1:{port}")


@pytest.mark.parametrize(
    ("command", "script", "given", "answered"),
    [
        ("reverse", "rev", ["stressed", "live"], b"desserts\nevil\n"),
        ("ack", "sed -u 's/^/OK : /'", ["a", "b"], b"OK : a\nOK : b\n"),
        ("factor", FACTOR, ["42", "360"], b"2 3 7\n2 2 2 3 3 5\n"),
        ("said", SAID, ["Hello there!"], b"You said:Hello there!\n"),
    ],
)
def test_lines_are_answered_by_programs_behind_socat(
    command: str, script: str, given: list[str], answered: bytes, port: int, tmp_path: Path
) -> None:
    program = tmp_path / "program"
    program.write_text(script)
    with socat(f"TCP4-LISTEN:{port},bind=127.0.0.1,fork", f"EXEC:sh {program}"):
        done = sock(command, *at(port), *given)
    assert (done.code, done.out, done.err) == (0, answered, "")


def test_lines_go_by_tls_and_socket_files_of_socat(
    tls_files: tuple[Path, Path, Path], port: int, tmp_path: Path
) -> None:
    certificate, key, authority = tls_files
    listens = f"OPENSSL-LISTEN:{port},bind=127.0.0.1,fork,cert={certificate},key={key},verify=0"
    with socat(listens, "EXEC:rev"):
        done = sock("reverse", *at(port), "--tls", "--ca", authority, "stressed")
        assert (done.code, done.out) == (0, b"desserts\n"), done.err
    path = tmp_path / "rev.sock"
    with socat(f"UNIX-LISTEN:{path},fork", "EXEC:rev"):
        assert sock("reverse", "--unix", path, "stressed").out == b"desserts\n"


def test_a_text_is_filled_by_fmt(tmp_path: Path) -> None:
    path = tmp_path / "wrap.sock"
    with socat(f"UNIX-LISTEN:{path},fork", "EXEC:fmt -w 30"):
        text = b"Sockets are where programs on two machines meet and talk.\n"
        done = sock("wrap", stdin=text, environment={"RUNTIME_DIRECTORY": str(tmp_path)})
    assert (done.code, done.err) == (0, "")
    assert done.out.split() == text.split()
    assert max(map(len, done.out.splitlines())) <= 30


def test_a_datagram_comes_back_from_socat(port: int) -> None:
    with socat(f"UDP4-RECVFROM:{port},bind=127.0.0.1,fork", "EXEC:cat"):
        done = sock("send", "--udp", "--answers", "1", "127.0.0.1", str(port), "hello")
    assert (done.code, done.out, done.err) == (0, b"hello", "")


def test_ncat_is_read_and_written(port: int) -> None:
    argv = ["ncat", "-v", "-l", "-k", "127.0.0.1", str(port)]
    with running([*argv, "-c", "echo hello"]) as server:
        server.wait_for("Listening on")
        assert sock("get", "127.0.0.1", str(port)).out == b"hello\n"
    with running([*argv, "-e", str(shutil.which("cat"))]) as server:
        server.wait_for("Listening on")
        # it ends its program at the end of our half, and loses the answer
        done = sock("send", "--keep-open", "--answers", "1", "127.0.0.1", str(port), "hello\n")
        assert (done.code, done.out) == (0, b"hello\n")
