"""`sock wrap`: a text filled by the daemon of this host, or by another."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sockd.client.commands.wrap import MOST_TEXT, is_filled
from tests.client.liars import Step, echoes, hears_end, resets, says, stays, stream_liar
from tests.client.running import sock
from tests.client.served import STREAMS, served, way
from tests.daemons import Daemon

TEXT = "Sockets are where programs on two machines meet and talk.\n\nÜber alles geschrieben.\n"
FILLED = (
    "Sockets are where programs on\r\ntwo machines meet and talk.\r\n\r\n"
    "Über alles geschrieben.\r\n"
).encode()
Files = tuple[Path, Path, Path]


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory, tls_files: Files) -> Iterator[Daemon]:
    """The service, as `wrap.sock` of the runtime directory, and on ports."""
    services = {"wrap": (*STREAMS, "max_text = 65536")}
    with served(tmp_path_factory.mktemp("wrap"), tls_files, services) as found:
        yield found


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A text."""
    (tmp_path / "text").write_text(TEXT, "utf-8")
    return tmp_path / "text"


@pytest.mark.parametrize("transport", STREAMS)
def test_files_and_standard_input_come_back_filled(
    daemon: Daemon, tls_files: Files, transport: str, file: Path
) -> None:
    there = way(daemon, "wrap", transport, tls_files)
    for names in ([str(file)], [], ["-"]):
        done = sock("wrap", *there, *names, stdin=TEXT.encode())
        assert (done.code, done.out, done.err) == (0, FILLED, "")


def test_it_finds_the_daemon_of_this_host_by_its_runtime_directory(
    daemon: Daemon, file: Path
) -> None:
    done = sock("wrap", file, environment={"RUNTIME_DIRECTORY": str(daemon.runtime)})
    assert (done.code, done.out) == (0, FILLED)


def test_several_files_are_one_text(daemon: Daemon, tls_files: Files, file: Path) -> None:
    done = sock(
        "wrap", *way(daemon, "wrap", "unix", tls_files), file, "-", file, stdin=b"\nand\n\n"
    )
    assert done.out == FILLED + b"\r\nand\r\n\r\n" + FILLED


def test_nothing_is_filled_to_nothing(daemon: Daemon, tls_files: Files) -> None:
    done = sock("wrap", *way(daemon, "wrap", "unix", tls_files))
    assert (done.code, done.out, done.err) == (0, b"", "")


def test_what_cannot_be_read_is_told_and_nothing_is_sent(file: Path, tmp_path: Path) -> None:
    with stream_liar(echoes) as liar:
        there = ("wrap", "-H", f"127.0.0.1:{liar.port}", file)
        for name, said in (
            (tmp_path / "nothing", "no such file or directory"),
            (tmp_path, "is a directory"),
        ):
            done = sock(*there, name)
            assert (done.code, f"cannot read {name}: {said}" in done.err) == (2, True)
        done = sock(*there, "-", stdin=bytes(MOST_TEXT))
        assert (done.code, f"more than {MOST_TEXT} bytes" in done.err) == (2, True)
        assert liar.heard == []


def test_a_text_that_is_too_long_for_the_service_is_refused(
    daemon: Daemon, tls_files: Files
) -> None:
    done = sock("wrap", *way(daemon, "wrap", "unix", tls_files), stdin=b"word " * 20_000)
    assert (done.code, done.out) == (1, b"")
    assert "65536 bytes" in done.err


def test_a_text_that_begins_as_an_error_is_a_text(daemon: Daemon, tls_files: Files) -> None:
    done = sock("wrap", *way(daemon, "wrap", "unix", tls_files), stdin=b"error: no error\n")
    assert (done.code, done.out) == (0, b"error: no error\r\n")


@pytest.mark.parametrize(
    ("script", "code", "said"),
    [
        pytest.param([hears_end, says(b"other\x1b words\r\n")], 4, "'other", id="other words"),
        pytest.param([hears_end, says(b"Sockets are\r\n")], 4, "other words", id="a part"),
        pytest.param([hears_end], 4, "other words", id="nothing"),
        pytest.param([hears_end, says(b"x" * 100_000)], 4, "more than", id="far too much"),
        pytest.param([stays], 3, "within 0.5 s", id="silence"),
        pytest.param([hears_end, resets], 1, "reset", id="a reset"),
    ],
)
def test_a_server_that_lies_has_its_exit_code(script: list[Step], code: int, said: str) -> None:
    with stream_liar(*script) as liar:
        there = ("-H", f"127.0.0.1:{liar.port}", "-W", "0.5" if code == 3 else "30")
        done = sock("wrap", *there, stdin=TEXT.encode())
    assert (done.code, done.out, said in done.err) == (code, b"", True), done.err
    assert "\x1b" not in done.err


def test_filled_is_what_has_the_same_words() -> None:
    assert is_filled(b"a bc\n", b"a\r\nb\r\nc\r\n")
    assert not is_filled(b"a bc\n", b"a\r\nb\r\n")
    assert is_filled(b"\xff odd", b"\\xff odd\r\n")
    assert not is_filled(b"\xff odd", b"")


def test_no_daemon_is_unreachable(tmp_path: Path) -> None:
    done = sock("wrap", stdin=b"text", environment={"RUNTIME_DIRECTORY": str(tmp_path)})
    assert (done.code, f"{tmp_path}/wrap.sock" in done.err) == (1, True)
