"""The real fortune, run for each client: its text with CRLF, reaped, and ended with its client."""

from __future__ import annotations

import re
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.daemons import Daemon, ask, children, descriptors, receive_all
from tests.processes import wait_until
from tests.real.programs import ctimes

COOKIES = Path("/usr/share/games/fortunes")
CLIENTS = 30
CONFIG = """
[service.fortune]
listen = ["tcp:0:interface=localhost"]
[service.few]
kind = "exec"
command = ["/bin/cat"]
max_children = 2
listen = ["tcp:0:interface=127.0.0.1"]
[service.endless]
kind = "exec"
command = ["/usr/bin/yes"]
listen = ["tcp:0:interface=127.0.0.1"]
[service.stubborn]
kind = "exec"
command = ["/bin/sh", "-c", "sleep 1000 & echo $!; sleep 1000 & echo $!; wait"]
listen = ["tcp:0:interface=127.0.0.1"]
[service.brief]
kind = "exec"
command = ["/bin/sh", "-c", "sleep 1000 & echo $!; sleep 1000 & echo $!; wait"]
max_time = "2s"
listen = ["tcp:0:interface=127.0.0.1"]
"""


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with Daemon(tmp_path_factory.mktemp("fortune"), CONFIG) as running:
        ask(
            running.connect("fortune"), b""
        )  # it opens something with its first client, and keeps it
        yield running


@pytest.fixture(autouse=True)
def no_child_left(daemon: Daemon) -> Iterator[None]:
    """After each test every program is reaped and every descriptor closed."""
    wait_until(lambda: not children(daemon.pid), "no program is left")
    before = descriptors(daemon.pid)
    yield
    wait_until(lambda: not children(daemon.pid), "no program is left")
    wait_until(lambda: descriptors(daemon.pid) <= before, "every descriptor is closed")


def cookies() -> set[bytes]:
    """Every text that fortune can print."""
    texts = set()
    for file in COOKIES.iterdir():
        if not file.suffix:
            texts |= set(re.split(rb"^%\n", file.read_bytes(), flags=re.MULTILINE))
    return texts


def reaped(daemon: Daemon, service: str, peer: int) -> None:
    daemon.wait_for("child-reaped", service=service, peer_port=peer)


def port_of(sock: socket.socket) -> int:
    """The client's port, by which the log knows it."""
    port: int = sock.getsockname()[1]
    return port


def reset(sock: socket.socket) -> None:
    """Leave without a word: the peer's kernel is told that the connection is no more."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def test_the_greeting_then_a_fortune_with_crlf(daemon: Daemon) -> None:
    begin = time.time()
    answer = ask(daemon.connect("fortune"), b"")
    greeting, _, text = answer.partition(b"\r\n")
    told = re.fullmatch(rb"Hello there, (\S+), it's now (.*)", greeting)
    assert told
    assert told[2] in ctimes(begin, time.time())
    assert text.endswith(b"\r\n")
    assert text.count(b"\n") == text.count(b"\r\n")
    assert text.replace(b"\r\n", b"\n") in cookies()


def test_many_clients_at_once_each_get_a_fortune(daemon: Daemon) -> None:
    known = cookies()
    with ExitStack() as stack:
        socks = [stack.enter_context(daemon.connect("fortune")) for _ in range(CLIENTS)]
        peers = [port_of(sock) for sock in socks]
        texts = [receive_all(sock).partition(b"\r\n")[2] for sock in socks]
    assert all(text.replace(b"\r\n", b"\n") in known for text in texts)
    assert len(set(texts)) > 1
    for peer in peers:
        reaped(daemon, "fortune", peer)
        assert daemon.wait_for("child-reaped", peer_port=peer)["status"] == "exit 0"
        daemon.wait_for("closed", service="fortune", peer_port=peer)


def test_clients_that_leave_at_once_leave_no_program_behind(daemon: Daemon) -> None:
    for number in range(CLIENTS):
        sock = daemon.connect("fortune")
        if number % 2:
            reset(sock)
        else:
            sock.close()
    assert b"it's now" in ask(daemon.connect("fortune"), b"")


@pytest.mark.parametrize("service", ["stubborn", "brief"])
def test_a_client_that_leaves_ends_its_program_and_all_that_it_started(
    daemon: Daemon, service: str
) -> None:
    """One that only closes has perhaps just finished sending: its program has until `max_time`."""
    with daemon.connect(service) as sock:
        with sock.makefile() as lines:
            started = [int(lines.readline()) for _ in range(2)]
        peer = port_of(sock)
        pid = daemon.wait_for("child-started", service=service, peer_port=peer)["pid"]
        if service == "stubborn":
            reset(sock)
    reaped(daemon, service, peer)
    wait_until(lambda: not any(is_running(one) for one in [pid, *started]), "nothing of it runs")


def is_running(pid: int) -> bool:
    """Whether a process is there, and not only waits to be reaped by this host's init."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):  # it may go between opening and reading
        return False


def test_a_program_without_an_end_is_held_back_and_ended_with_its_client(daemon: Daemon) -> None:
    with daemon.connect("endless") as sock:
        peer = port_of(sock)
        assert sock.recv(2) == b"y\n"
        pid = daemon.wait_for("child-started", service="endless", peer_port=peer)["pid"]
        wait_until(lambda: is_quiet(pid), "the program waits")
        reset(sock)
    reaped(daemon, "endless", peer)


def is_quiet(pid: int) -> bool:
    """Whether a process uses no time of the processor: it waits to be read from."""
    before = Path(f"/proc/{pid}/stat").read_text().split()[13:15]
    time.sleep(0.1)
    return Path(f"/proc/{pid}/stat").read_text().split()[13:15] == before


def test_one_program_too_many_is_refused_until_another_has_ended(daemon: Daemon) -> None:
    with daemon.connect("few") as one, daemon.connect("few") as other:
        for sock in (one, other):
            sock.sendall(b"hello\n")
            assert sock.recv(100) == b"hello\n"
        with daemon.connect("few") as third:
            assert receive_all(third).startswith(b"error: busy")
        one.shutdown(socket.SHUT_WR)
        assert receive_all(one) == b""
        reaped(daemon, "few", port_of(one))
        with daemon.connect("few") as fourth:
            fourth.sendall(b"hello\n")
            assert fourth.recv(100) == b"hello\n"
