"""The other end of the control socket, at what is no daemon, and at one that says nothing."""

from __future__ import annotations

import os
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from sockd.ops.control.client import ControlClient, KeptOutError, NoDaemonError, SilentError
from sockd.ops.control.frames import ControlError, answer_line, read_request
from tests.processes import NOBODY, PATIENCE

SOON = 0.1


@contextmanager
def listening(path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        server.settimeout(PATIENCE)
        yield server


@contextmanager
def meanwhile(work: Callable[[], None]) -> Iterator[None]:
    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        thread.join(PATIENCE)


def answer(wire: socket.socket, name: str) -> str:
    """Answer one request; which it was."""
    with wire.makefile("rb") as lines:
        command = read_request(lines.readline()).command
    wire.sendall(answer_line({"by": name}))
    return command


@pytest.mark.parametrize("make", [Path.touch, os.mkfifo, Path.mkdir])
def test_what_is_no_socket_is_called_none(make: Callable[[Path], None], tmp_path: Path) -> None:
    make(tmp_path / "x")
    with pytest.raises(NoDaemonError, match=re.escape(f"{tmp_path}/x: it is no socket")):
        ControlClient(str(tmp_path / "x"))


def test_a_socket_that_nobody_listens_at_is_one(tmp_path: Path) -> None:
    with listening(tmp_path / "x"):
        pass
    with pytest.raises(NoDaemonError, match="/x: Connection refused"):
        ControlClient(str(tmp_path / "x"))


def test_who_listens_is_known_though_nothing_is_said(tmp_path: Path) -> None:
    with listening(tmp_path / "x"), ControlClient(str(tmp_path / "x"), SOON) as client:
        assert client.pid == os.getpid()
        with pytest.raises(SilentError, match=r"/x: the daemon has not answered within 0\.1 s"):
            client.ask("status")


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
def test_who_may_not_connect_is_kept_out(tmp_path: Path) -> None:
    with pytest.raises(KeptOutError, match="Permission denied"):
        _as_nobody(lambda: ControlClient(f"{tmp_path}/no/control.sock"))


def _as_nobody(work: Callable[[], object]) -> None:
    os.seteuid(NOBODY)
    try:
        work()
    finally:
        os.seteuid(0)


def test_one_that_answers_nothing_is_not_asked_for_what_takes_long(tmp_path: Path) -> None:
    with listening(tmp_path / "x") as server:
        with ControlClient(str(tmp_path / "x"), SOON) as client, pytest.raises(SilentError):
            client.ask_for_long("reload")
        wire, _ = server.accept()
        with wire, wire.makefile("rb") as lines:
            assert [read_request(line).command for line in lines] == ["status"]


def test_who_falls_silent_while_it_is_waited_for_is_given_up(tmp_path: Path) -> None:
    asked: list[str] = []

    def work() -> None:
        wire, _ = server.accept()
        with wire, suppress(OSError, ControlError):  # it may be given up at once
            asked.append(answer(wire, "at first"))
            asked.append(read_request(wire.recv(65536)).command)
            given_up.wait(PATIENCE)

    given_up = threading.Event()
    with (
        listening(tmp_path / "x") as server,
        meanwhile(work),
        ControlClient(str(tmp_path / "x"), 1.0) as client,
    ):
        with pytest.raises(SilentError, match="the daemon has not answered within 1 s"):
            client.ask_for_long("reload", SOON)
        given_up.set()
    assert asked == ["status", "reload"][: len(asked)]


def test_what_takes_long_is_waited_for_while_others_are_answered(tmp_path: Path) -> None:
    asked: list[str] = []

    def work() -> None:
        wire, _ = server.accept()
        with wire:
            asked.append(answer(wire, "at first"))
            for _ in range(3):
                other, _ = server.accept()
                with other:
                    asked.append(answer(other, "at the side"))
            server.close()  # who asks at the side once more is turned away
            asked.append(answer(wire, "at last"))

    with (
        listening(tmp_path / "x") as server,
        meanwhile(work),
        ControlClient(str(tmp_path / "x"), PATIENCE) as client,
    ):
        assert client.ask_for_long("reload", SOON) == {"by": "at last"}
    assert asked == ["status"] * 4 + ["reload"]
