"""Old clients of the travesty with our service: they stay in step whatever was interrupted."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.daemons import Daemon
from tests.processes import wait_until
from tests.real.old_travesty import Old

CONFIG = """
[service.travesty]
listen = ["tcp:0:interface=localhost"]
"""
WORDS = 1000
TEXT = "".join(f"word{number} comes, and\n  goes.\n\n" for number in range(WORDS - 3))
KNOWN = set(TEXT.split())
FOREVER = 10**9


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with Daemon(tmp_path_factory.mktemp("travesty"), CONFIG) as made:
        yield made


@pytest.fixture
def text(tmp_path: Path) -> Path:
    """A file of a text."""
    path = tmp_path / "text"
    path.write_text(TEXT, "utf-8")
    return path


@contextmanager
def typed(path: Path) -> Iterator[int]:
    """A text that is read to where it has been written: somebody still writes it."""
    os.mkfifo(path)
    pen = os.open(path, os.O_RDWR)
    try:
        yield pen
    finally:
        os.close(pen)


def old(daemon: Daemon, *, aloud: bool = False) -> Old:
    return Old(daemon.address("travesty", "tcp")[1], aloud=aloud)


def is_of_the_text(travesty: str, count: int) -> bool:
    words = travesty.split()
    return len(words) == count and set(words) <= KNOWN


def in_step(client: Old) -> None:
    """Each command gets its own answer."""
    client.says("reset").hears("forgotten", "ready")
    client.says("generate 5")
    assert client.line().startswith("refused: 500 ")
    client.hears("ready")


def test_all_that_an_old_client_can_do_is_done(daemon: Daemon, text: Path) -> None:
    with old(daemon) as client:
        in_step(client)
        assert client.analyzes(text) == WORDS
        assert is_of_the_text(client.generates(1), 1)
        travesty = client.generates(2000)
        assert is_of_the_text(travesty, 2000)
        assert max(len(line) for line in travesty.splitlines()) <= 80
        client.says("generate 0")
        assert client.line().startswith("refused: 500 ")
        client.hears("ready")
        assert client.analyzes("/dev/null") == 0  # a new text is all that counts
        in_step(client)
        client.says("bye").ends()
    daemon.wait_for("closed", service="travesty", reason="done")


def test_a_text_that_has_an_end_in_it_ends_there_and_what_follows_is_commands(
    daemon: Daemon, tmp_path: Path
) -> None:
    path = tmp_path / "dotted"
    path.write_text("one two three\n.\nRESET\n", "utf-8")
    with old(daemon) as client:
        assert client.analyzes(path) == 3


def test_an_upload_that_is_interrupted_keeps_what_was_learnt_and_drops_the_rest(
    daemon: Daemon, tmp_path: Path, text: Path
) -> None:
    with typed(tmp_path / "typed") as pen, old(daemon, aloud=True) as client:
        client.says(f"analyze {tmp_path / 'typed'}").hears("uploading")
        os.kill(daemon.pid, signal.SIGSTOP)
        try:
            wait_until(lambda: is_stopped(daemon.pid), "the daemon stands still")
            for number in range(20):
                os.write(pen, f"word{number} comes too late\n".encode())
                client.hears(f"sent word{number} comes too late")
            client.interrupts().hears("interrupted", "sent the urgent byte")
        finally:
            os.kill(daemon.pid, signal.SIGCONT)
        assert client.words() == 0
        in_step(client)
        client.says(f"analyze {text}").skips_to(f"analyzed: {WORDS} words").hears("ready")
        assert is_of_the_text(client.generates(10), 10)
        client.says("bye").ends()


def is_stopped(pid: int) -> bool:
    """Whether every thread of a process stands still."""
    states = [
        (task / "stat").read_text().rpartition(")")[2].split()[0]
        for task in Path(f"/proc/{pid}/task").iterdir()
    ]
    return set(states) == {"T"}


def test_interrupted_where_nothing_is_left_to_drop_an_upload_is_answered_too(
    daemon: Daemon, tmp_path: Path
) -> None:
    with typed(tmp_path / "typed") as pen, old(daemon, aloud=True) as client:
        for count in range(1, 6):
            client.says(f"analyze {tmp_path / 'typed'}").hears("uploading")
            os.write(pen, b"here is a text\n" * count)
            client.hears(*["sent here is a text"] * count)
            client.interrupts().hears("interrupted", "sent the urgent byte")
            assert client.words() in (0, 4)
            in_step(client)
        client.says("bye").ends()


@pytest.mark.parametrize("count", [5000, FOREVER], ids=["short", "endless"])
def test_a_text_that_is_interrupted_ends_at_the_mark_and_the_next_command_is_in_step(
    daemon: Daemon, text: Path, count: int
) -> None:
    with old(daemon) as client:
        assert client.analyzes(text) == WORDS
        for _ in range(3):
            client.says(f"generate {count}").line()
            client.interrupts().skips_to("interrupted").hears("sent the urgent byte")
            client.skips_to_mark()
            assert is_of_the_text(client.generates(100), 100)
        in_step(client)
        client.says("bye").ends()


def test_a_text_that_nobody_reads_can_be_interrupted_when_there_is_no_room_for_more_of_it(
    daemon: Daemon, text: Path
) -> None:
    with old(daemon) as client:
        assert client.analyzes(text) == WORDS
        client.says(f"generate {FOREVER}").line()
        wait_until(StandsStill(client.port), "no more is sent")
        client.interrupts().skips_to("interrupted").hears("sent the urgent byte")
        client.skips_to_mark()
        assert is_of_the_text(client.generates(100), 100)
        client.says("bye").ends()


class StandsStill:
    """Whether a socket of a port waits to send, and nothing has gone for a while."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._seen = [0]

    def __call__(self) -> bool:
        sockets = Path("/proc/net/tcp").read_text("ascii").splitlines()[1:]
        fields = [line.split() for line in sockets]
        waiting = [
            int(queues.partition(":")[0], 16)
            for _, local, _, _, queues, *_ in fields
            if local.endswith(f":{self._port:04X}")
        ]
        self._seen.append(sum(waiting))
        last = self._seen[-25:]
        return len(last) == 25 and last[0] > 0 and len(set(last)) == 1


def test_transfers_of_all_kinds_can_be_interrupted_one_after_the_other(
    daemon: Daemon, tmp_path: Path, text: Path
) -> None:
    with typed(tmp_path / "typed") as pen, old(daemon, aloud=True) as client:
        for _ in range(5):
            client.says(f"analyze {tmp_path / 'typed'}").hears("uploading")
            os.write(pen, b"some words\n")
            client.hears("sent some words")
            client.interrupts().hears("interrupted", "sent the urgent byte")
            assert client.words() in (0, 2)
            client.says(f"analyze {text}").skips_to(f"analyzed: {WORDS} words").hears("ready")
            client.says(f"generate {FOREVER}").line()
            client.interrupts().skips_to("interrupted").hears("sent the urgent byte")
            client.skips_to_mark()
        assert is_of_the_text(client.generates(100), 100)
        client.says("bye").ends()
