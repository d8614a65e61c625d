"""The load generator: it counts right answers, and takes no wrong one."""

from __future__ import annotations

import json
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial

import psutil
import pytest

from benchmarks.roster import BUILT
from tests.processes import PATIENCE, Running, run, running, wait_until

# the first of them has the tools built
pytestmark = [pytest.mark.usefixtures("tools"), pytest.mark.timeout(400)]

LOAD = str(BUILT / "load")
SHORT = ("--seconds", "0.1", "--warmup", "0")
LONG = ("--seconds", "20", "--warmup", "0")
"""For what ends before: at the first wrong answer."""


@contextmanager
def serving(
    answer: Callable[[socket.socket], None], kind: int = socket.SOCK_STREAM
) -> Iterator[str]:
    """A server for one client at a time, on a port of loopback."""
    with socket.socket(socket.AF_INET, kind) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.settimeout(PATIENCE)

        def serve() -> None:
            if kind == socket.SOCK_DGRAM:
                answer(listener)
                return
            listener.listen()
            with suppress(OSError):
                while True:
                    with listener.accept()[0] as client:
                        client.settimeout(PATIENCE)
                        with suppress(OSError):
                            answer(client)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield str(listener.getsockname()[1])
        finally:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            thread.join(PATIENCE)


def echo(client: socket.socket) -> None:
    """Bytes back."""
    while data := client.recv(65536):
        client.sendall(data)


def test_right_answers_are_counted_and_timed() -> None:
    with serving(echo) as port:
        for seconds in ("0.1", "1", "10"):  # until there was time enough for an answer
            argv = ("pingpong", "--port", port, "--connections", "1", "--warmup", "0")
            done = run(LOAD, *argv, "--seconds", seconds)
            found = json.loads(done.stdout)
            assert done.returncode == 0
            if found["count"]:
                break
    assert found["total"] >= found["count"] > 0
    assert 0 < found["p50_us"] <= found["p99_us"]
    assert found["unit"] == "messages/s"


def is_in(process: psutil.Process, state: str) -> bool:
    """Whether a process is in a state, or at its end."""
    return process.status() in (state, psutil.STATUS_ZOMBIE)


def test_who_is_stopped_for_a_moment_goes_on() -> None:
    load: list[Running] = []
    has_started, is_answered = threading.Event(), threading.Event()

    def interrupt(client: socket.socket) -> None:
        asked = client.recv(65536)
        assert has_started.wait(PATIENCE)
        process = psutil.Process(load[0].pid)
        for number, state in ((signal.SIGSTOP, "stopped"), (signal.SIGCONT, "sleeping")):
            process.send_signal(number)
            wait_until(partial(is_in, process, state), state)
        client.sendall(asked)
        is_answered.set()
        echo(client)

    argv = (LOAD, "pingpong", "--connections", "1", *SHORT)
    with serving(interrupt) as port, running([*argv, "--port", port]) as started:
        load.append(started)
        has_started.set()
        assert is_answered.wait(PATIENCE)
        assert started.wait() == 0


def test_what_is_counted_are_lines_or_bytes_where_the_mode_says_so() -> None:
    for mode, unit in (("pipelined", 32), ("bulk", 65536)):
        with serving(echo) as port:
            done = run(LOAD, mode, "--port", port, "--connections", "1", *SHORT)
        total = json.loads(done.stdout)["total"]
        assert total >= unit
        assert total % unit == 0


def wrong(client: socket.socket) -> None:
    """As many bytes back, one of them another."""
    while data := client.recv(65536):
        client.sendall(data[:-1] + bytes([data[-1] ^ 1]))


def stale(client: socket.socket) -> None:
    """The first answer, for ever."""
    first = client.recv(65536)
    client.sendall(first)
    while client.recv(65536):
        client.sendall(first)


def silent(client: socket.socket) -> None:
    """The end, instead of an answer."""
    client.recv(65536)


@pytest.mark.parametrize("answer", [wrong, stale, silent])
@pytest.mark.parametrize("mode", ["pingpong", "pipelined", "bulk"])
def test_a_wrong_answer_fails_it(answer: Callable[[socket.socket], None], mode: str) -> None:
    with serving(answer) as port:
        done = run(LOAD, mode, "--port", port, "--connections", "1", *LONG)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("load: ")


def test_lines_that_are_not_reversed_are_wrong_where_they_should_be() -> None:
    with serving(echo) as port:
        done = run(LOAD, "pingpong", "--reverse", "--port", port, "--connections", "1", *LONG)
    assert done.returncode == 1


def test_an_answer_of_another_length_is_wrong_where_a_length_is_told() -> None:
    def speak(client: socket.socket) -> None:
        client.sendall(b"12:00\r\n")

    connect = ("connect", "--connections", "1", "--expect-bytes")
    with serving(speak) as port:
        assert run(LOAD, *connect, "7", *SHORT, "--port", port).returncode == 0
        assert run(LOAD, *connect, "26", *LONG, "--port", port).returncode == 1


def test_a_wrong_datagram_fails_it() -> None:
    def answer(sock: socket.socket) -> None:
        data, peer = sock.recvfrom(65536)
        sock.sendto(data[:-1] + bytes([data[-1] ^ 1]), peer)

    with serving(answer, socket.SOCK_DGRAM) as port:
        done = run(LOAD, "udp", "--port", port, "--sources", "1", "--window", "1", *LONG)
    assert done.returncode == 1


def test_where_nobody_listens_it_fails() -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))  # it is nobody else's then
        port = str(sock.getsockname()[1])
        assert run(LOAD, "pingpong", "--port", port, *SHORT).returncode == 1
