"""Each peer that is installed answers what it is asked, in every kind that it is measured in."""

from __future__ import annotations

import re
import socket
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle

import pytest
from attrs import evolve

from benchmarks import processes
from benchmarks.certificate import certificate
from benchmarks.machine import Cores, pick_cores
from benchmarks.processes import Child, started
from benchmarks.roster import INETD, SOCKD_NO_LOG, Peer
from benchmarks.run import Bench, Plan
from benchmarks.works import WORKS
from tests.processes import PATIENCE, is_gone, tcp_says, udp_says
from tests.processes import run as run_command

# the first of them has the tools built
pytestmark = [pytest.mark.usefixtures("tools"), pytest.mark.timeout(400)]

QUESTION = b"hello\r\n"
LOOKS_FOR_SERVERS = b"\0\0"
RIGHT = {
    "echo": b"hello\r\n",
    "reverse": b"olleh\r\n",
    "daytime": rb"[\w: ]{24}\r\n",
    "udp-echo": b"hello\r\n",
    "tls-echo": b"hello\r\n",
    "chat": rb"\0\n.*",
}
LOGGED = "daytime-log"
CONNECTION = re.compile(rb"\bfrom[ =]127\.0\.0\.1\b")
"""In a line that any of the peers logs when a connection comes."""


def may_mount() -> bool:
    """Whether this process may have a file system of its own, as inetd's peer wants."""
    return run_command("unshare", "--mount", "true").returncode == 0


def ask(port: int, kind: str) -> bytes:
    """A peer's answer."""
    if kind == "udp-echo":
        return udp_says(port, QUESTION)
    if kind == "chat":
        return udp_says(port, LOOKS_FOR_SERVERS)
    if kind == "daytime":
        return tcp_says(port)
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as plain:
        if kind != "tls-echo":
            return _ask(plain)
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        with context.wrap_socket(plain) as secure:
            return _ask(secure)


def _ask(sock: socket.socket) -> bytes:
    sock.sendall(QUESTION)
    answer = b""
    while len(answer) < len(QUESTION) and (more := sock.recv(65536)):
        answer += more
    return answer


def peers_there(kind: str) -> list[Peer]:
    """Who is measured in a kind and can run here."""
    peers = {one: None for work in WORKS if work.kind == kind for one in work.peers}
    mounts = may_mount()
    return [one for one in peers if not one.why_missing() and (one.argv != INETD.argv or mounts)]


def make_bench(certificate_file: str = "") -> Bench:
    """What starts peers as they are started to be measured."""
    return Bench(pick_cores(), Plan(1, 1, 0.1, 0.0), {"CERTIFICATE": certificate_file})


@pytest.mark.parametrize("kind", RIGHT)
def test_every_peer_answers_right(kind: str) -> None:
    def answer(peer: Peer, core: int) -> bytes:
        with evolve(bench, cores=Cores(core, core)).serving(kind, peer) as (_, port):
            return ask(port, kind)

    peers, cores = peers_there(kind), pick_cores()
    # side by side: most of it is waiting for them to start
    with certificate() as file, ThreadPoolExecutor() as pool:
        bench = make_bench(file)
        answers = pool.map(answer, peers, cycle((cores.server, cores.load)))
        wrong = {
            peer.name: one
            for peer, one in zip(peers, answers, strict=True)
            if not re.fullmatch(RIGHT[kind], one)
        }
    assert not wrong


def test_no_kind_goes_untested() -> None:
    assert {work.kind for work in WORKS} == {*RIGHT, LOGGED, "fanout"}


def lines_of_connections(server: Child) -> int:
    """How many connections stand in what a server has written, wherever it writes."""
    files = [file for file in server.folder.iterdir() if file.is_file()]
    return sum(len(CONNECTION.findall(file.read_bytes())) for file in files)


def wait_for_lines(server: Child, count: int) -> None:
    """Until so many connections are logged."""
    until = time.monotonic() + PATIENCE
    while lines_of_connections(server) < count:
        assert time.monotonic() < until, server.output()
        time.sleep(0.001)


def test_every_peer_that_is_to_log_logs_each_connection_and_answers_right() -> None:
    for peer in peers_there(LOGGED):
        with make_bench().serving(LOGGED, peer) as (server, port):
            # one is open already, of who waited for the port
            assert re.fullmatch(RIGHT["daytime"], ask(port, "daytime")), peer.name
            if peer is SOCKD_NO_LOG:
                assert lines_of_connections(server) == 0
            else:
                wait_for_lines(server, 2)


def test_a_peer_that_is_not_installed_says_what_it_needs() -> None:
    assert Peer("x", ("no-such-command",), package="some-package").why_missing() == (
        "needs some-package"
    )
    assert Peer("x", ("true",), "no_such_module", "that").why_missing() == "needs that"
    assert Peer("x", ("true",), "json", "that").why_missing() == ""


def test_a_process_that_is_ended_takes_what_it_started_with_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(processes, "STOP_SECONDS", 0.2)
    # both ignore the signal that asks them to end
    script = "trap '' TERM; sleep 1000 & echo $!; wait; wait"
    with started(["sh", "-c", script], pick_cores().server) as child:
        below = int(child.wait_for(re.compile(r"^(\d+)$", re.MULTILINE), PATIENCE)[1])
    assert is_gone(child.pid)
    assert is_gone(below)
