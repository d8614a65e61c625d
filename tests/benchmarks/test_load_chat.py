"""The load generator among users of a chat: everybody hears everything once, or it fails."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from benchmarks import run as runner
from benchmarks.machine import pick_cores
from benchmarks.roster import BUILT, PERL_CHAT, SOCKD, C, Peer
from benchmarks.run import Bench, Plan
from benchmarks.works import Work
from sockd.formats.chat.events import Code, pack, unpack
from tests.processes import PATIENCE, run

# the first of them has the tools built
pytestmark = [pytest.mark.usefixtures("tools"), pytest.mark.timeout(400)]

LOAD = str(BUILT / "load")
FEW = ("--members", "3", "--window", "2")
SHORT = ("--seconds", "0.1", "--warmup", "0")
LONG = ("--seconds", "20", "--warmup", "0")
"""For what ends before."""

Address = tuple[str, int]
FanOut = Callable[[socket.socket, bytes, list[Address]], None]


def to_all(sock: socket.socket, event: bytes, members: list[Address]) -> None:
    """As it is to be."""
    for member in members:
        sock.sendto(event, member)


class Server:
    """A chat as an old server has it, with one channel."""

    def __init__(self, fan_out: FanOut, refusals: int = 1) -> None:
        self._fan_out = fan_out
        self._refusals = refusals
        self._names: dict[Address, bytes] = {}
        self._members: list[Address] = []

    def answer(self, sock: socket.socket) -> None:
        """One event."""
        data, sender = sock.recvfrom(2048)
        event = unpack(data)
        assert event is not None
        if event.code == Code.NOTHING:
            for _ in range(self._refusals):
                sock.sendto(pack(Code.ERROR, b"please log in"), sender)
        elif event.code == Code.LOGIN_REQ:
            self._names[sender] = event.text
            sock.sendto(pack(Code.LOGIN_ACK, event.text), sender)
        elif event.code == Code.JOIN_REQ:
            self._members.append(sender)
            sock.sendto(pack(Code.JOIN_ACK, b"Weather 1 Rain"), sender)
        elif event.code == Code.SEND_PUBLIC:
            said = pack(Code.PUBLIC_MSG, b"Weather %s %s" % (self._names[sender], event.text))
            self._fan_out(sock, said, self._members)
        elif event.code == Code.LOGOFF and sender in self._members:
            self._members.remove(sender)


@contextmanager
def serving(fan_out: FanOut, refusals: int = 1) -> Iterator[str]:
    """Such a server, on a port of loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        server, is_over = Server(fan_out, refusals), threading.Event()

        def serve() -> None:
            while not is_over.is_set():
                with suppress(AssertionError):
                    server.answer(sock)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield str(sock.getsockname()[1])
        finally:
            is_over.set()
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
                last.sendto(b"", sock.getsockname())
            thread.join(PATIENCE)


@pytest.mark.parametrize("refusals", [1, 2])  # of a hello, which may come twice
def test_a_message_that_is_heard_counts_for_each_member(refusals: int) -> None:
    with serving(to_all, refusals) as port:
        for seconds in ("0.1", "1", "10"):  # until there was time enough for an answer
            done = run(LOAD, "chat", *FEW, "--port", port, "--warmup", "0", "--seconds", seconds)
            found = json.loads(done.stdout)
            if found["count"]:
                break
    assert done.returncode == 0
    assert found["total"] >= found["count"] > 0
    assert found["total"] % 3 == 0
    assert found["loss"] == 0


def altered(sock: socket.socket, event: bytes, members: list[Address]) -> None:
    """The end of what was said is another."""
    to_all(sock, event[:-1] + b"y", members)


def cut(sock: socket.socket, event: bytes, members: list[Address]) -> None:
    """A byte is missing."""
    to_all(sock, event[:-1], members)


def forgetful(sock: socket.socket, event: bytes, members: list[Address]) -> None:
    """Who came last is not told."""
    to_all(sock, event, members[:-1])


def stammering(sock: socket.socket, event: bytes, members: list[Address]) -> None:
    """Who came last is told twice."""
    to_all(sock, event, [*members, members[-1]])


@pytest.mark.parametrize(
    ("fan_out", "why"),
    [
        (altered, "wrong answer"),
        (cut, "wrong answer"),
        (forgetful, "1 of 3 members hear nothing"),
        (stammering, "somebody hears twice"),
    ],
)
def test_it_fails_unless_each_member_hears_what_was_said_once(fan_out: FanOut, why: str) -> None:
    with serving(fan_out) as port:
        done = run(LOAD, "chat", *FEW, "--port", port, *LONG)
    assert done.returncode == 1
    assert why in done.stderr


def test_where_nobody_answers_it_fails() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port = str(sock.getsockname()[1])
        assert run(LOAD, "chat", *FEW, "--port", port, *SHORT).returncode == 1


def measured(peer: Peer, *load: str) -> runner.Row:
    """A peer's figures as the benchmark has them."""
    work = Work("chat", "chat", "chat", load, "datagrams/s", {peer: None}, is_watched=True)
    for seconds in (0.1, 1.0, 10.0):
        found = Bench(pick_cores(), Plan(1, 1, seconds, 0.0), {}).measure(work, lambda _: None)
        if not any(row.trouble.startswith("no answer within") for row in found.rows):
            break
    return found.rows[1]


@pytest.mark.parametrize("peer", [SOCKD, C, PERL_CHAT], ids=lambda peer: peer.name)
def test_all_that_are_compared_have_each_member_hear_what_is_said(peer: Peer) -> None:
    row = measured(Peer(f"again {peer.name}", peer.argv), "chat", "--members", "20")
    assert row.trouble == ""
    assert row.samples[0].rate > 0
    assert row.samples[0].cost > 0


def test_users_who_talk_hear_each_other_and_cost_memory() -> None:
    load = ("chat-load", "--users", "300", "--members", "20", "--rate", "50")
    work = Work("users", "users", "chat", load, "datagrams/s", {}, "users")
    found = Bench(pick_cores(), Plan(1, 1, 0.1, 0.0), {}).measure(work, lambda _: None)
    [row] = found.rows
    assert row.trouble == ""
    [sample] = row.samples
    assert sample.rate > 0
    assert sample.memory > 0
    assert sample.p99 > 0
