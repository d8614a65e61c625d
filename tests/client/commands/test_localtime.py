"""`sock localtime`: the time in a zone, by a socket file of this host or by UDP."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sockd.formats.clock import read_ctime
from tests.client.liars import datagram_liar
from tests.client.running import sock, sock_open
from tests.client.served import DATAGRAMS, served, way
from tests.daemons import Daemon

Files = tuple[Path, Path, Path]


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory, tls_files: Files) -> Iterator[Daemon]:
    """The service, over datagrams of both kinds."""
    with served(tmp_path_factory.mktemp("time"), tls_files, {"localtime": DATAGRAMS}) as found:
        yield found


@pytest.fixture(autouse=True)
def own_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Socket files of other clients lie elsewhere. Its name is short, as theirs must be."""
    with tempfile.TemporaryDirectory(prefix="lt") as folder:
        monkeypatch.setenv("TMPDIR", folder)
        monkeypatch.setattr(tempfile, "tempdir", None)
        yield


def left_over() -> set[Path]:
    """What lies where socket files of clients are made."""
    return set(Path(tempfile.gettempdir()).glob("sock*"))


@pytest.mark.parametrize("transport", DATAGRAMS)
def test_the_time_is_printed_in_a_zone_or_none(
    daemon: Daemon, tls_files: Files, transport: str
) -> None:
    there = way(daemon, "localtime", transport, tls_files)
    for zone in ([], ["Europe/Warsaw"]):
        done = sock("localtime", *there, *zone)
        assert (done.code, done.err) == (0, "")
        read_ctime(done.out.removesuffix(b"\n"))


def test_it_finds_the_daemon_of_this_host_by_its_runtime_directory(tmp_path: Path) -> None:
    with datagram_liar(lambda zone: [b"Sat Jun 17 18:06:14 2000"], tmp_path / "localtime.sock"):
        done = sock("localtime", environment={"RUNTIME_DIRECTORY": str(tmp_path)})
    assert (done.code, done.out) == (0, b"Sat Jun 17 18:06:14 2000\n")


@pytest.mark.parametrize("transport", DATAGRAMS)
def test_an_unknown_zone_is_told(daemon: Daemon, tls_files: Files, transport: str) -> None:
    done = sock("localtime", *way(daemon, "localtime", transport, tls_files), "Mars/Base")
    assert (done.code, done.out) == (1, b"")
    assert "'Mars/Base': unknown time zone Mars/Base" in done.err


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (b"Sat Jun 17 18:06:14 2000\r\n", 0),
        (b"Sun Jun 17 18:06:14 2000", 4),
        (b"\x1b[2Jnow", 4),
        (b"", 4),
        (None, 3),
    ],
)
def test_an_answer_is_a_time_or_has_its_exit_code(
    answer: bytes | None, code: int, tmp_path: Path
) -> None:
    path = tmp_path / "liar"
    before = left_over()
    with datagram_liar(lambda _: [] if answer is None else [answer], path) as liar:
        wait = "30" if answer is not None else "0.5"
        done = sock("localtime", "-W", wait, "--unix", path, "Mars/Base")
        assert liar.wait_heard(1) == b"Mars/Base"
    assert done.code == code, done.err
    assert "\x1b" not in done.err
    assert left_over() <= before


def test_its_socket_file_goes_when_it_is_interrupted(tmp_path: Path) -> None:
    path = tmp_path / "liar"
    before = left_over()
    for number in (signal.SIGINT, signal.SIGTERM):
        with (
            datagram_liar(lambda _: [], path) as liar,
            sock_open("localtime", "-W", "60", "--unix", path) as process,
        ):
            liar.wait_heard(1)
            os.kill(process.pid, number)
            assert process.wait(30) == -number
        assert left_over() <= before


def test_nobody_there_is_unreachable(tmp_path: Path) -> None:
    done = sock("localtime", environment={"RUNTIME_DIRECTORY": str(tmp_path)})
    assert (done.code, f"{tmp_path}/localtime.sock" in done.err) == (1, True)


def test_a_host_is_asked_by_udp() -> None:
    done = sock("localtime", "-H", "localhost")
    assert (done.code, "--host is for --udp" in done.err) == (2, True)
