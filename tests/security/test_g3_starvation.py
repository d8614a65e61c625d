"""G3: no flood of one service makes the others wait."""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from twisted.internet.protocol import DatagramProtocol
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock, StringTransport

from sockd.access.guard import Guard
from sockd.access.limits import Limits
from sockd.access.peer import Peer
from sockd.access.state import DaemonState
from sockd.net.context import Context, World
from sockd.net.names import Names
from sockd.net.requests import REQUESTS_PER_TURN, Requests
from sockd.reactor.datagram import DatagramPort
from sockd.reactor.mmsg import BATCH
from tests.helpers import ENTRANCE
from tests.processes import PATIENCE, wait_until
from tests.security.hosts import Watched, program

FLOOD_SECONDS = 0.7
TRIES = 5
SLACK = 3
"""A shared, busy machine is slower than the one that the figures were promised for."""
P99_SECONDS = 0.020 * SLACK
MAX_SECONDS = 0.100 * SLACK
LETTER_WITH_MARKS = "a" + "\u0301" * 32_000

CONFIG = """
[service.meter]
kind = "echo"
listen = ["udp:0:interface=127.0.0.1"]
[service.echo]
listen = ["tcp:0:interface=127.0.0.1", "udp:0:interface=127.0.0.1"]
[service.discard]
listen = ["tcp:0:interface=127.0.0.1"]
[service.reverse]
listen = ["tcp:0:interface=127.0.0.1", "udp:0:interface=127.0.0.1"]
[service.factor]
listen = ["tcp:0:interface=127.0.0.1", "udp:0:interface=127.0.0.1"]
[service.ack]
listen = ["tcp:0:interface=127.0.0.1"]
"""

# a flood comes from elsewhere: what it costs to make must not be taken from the daemon
DATAGRAMS = """
import os, socket, sys, time
os.nice(19)
data = eval(sys.argv[3])
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.connect((sys.argv[1], int(sys.argv[2])))
sock.setblocking(False)
end = time.monotonic() + 10
while time.monotonic() < end:
    try:
        sock.send(data)
    except OSError:
        pass
"""
LINES = """
import os, socket, sys, threading, time
os.nice(19)
data = eval(sys.argv[3])
end = time.monotonic() + 10
def read(sock):
    while sock.recv(65536):
        pass
def flood():
    with socket.create_connection((sys.argv[1], int(sys.argv[2]))) as sock:
        threading.Thread(target=read, args=(sock,), daemon=True).start()
        while time.monotonic() < end:
            sock.sendall(data)
for _ in range(4):
    threading.Thread(target=flood).start()
"""
CROWD = """
import os, selectors, socket, sys, time
os.nice(19)
data = eval(sys.argv[3])
end = time.monotonic() + 20
selector = selectors.DefaultSelector()
for _ in range(int(sys.argv[4])):
    sock = socket.create_connection((sys.argv[1], int(sys.argv[2])))
    sock.setblocking(False)
    selector.register(sock, selectors.EVENT_READ | selectors.EVENT_WRITE, [0])
while time.monotonic() < end:
    for key, events in selector.select():
        try:
            if events & selectors.EVENT_READ:
                key.fileobj.recv(1 << 20)
            if events & selectors.EVENT_WRITE:
                key.data[0] += key.fileobj.send(data[key.data[0] % len(data):])
        except BlockingIOError:
            pass
"""
FLOODS = {
    "empty datagrams": (DATAGRAMS, "echo", "udp", "b''"),
    "datagrams of a byte": (DATAGRAMS, "echo", "udp", "b'x'"),
    "whole datagrams": (DATAGRAMS, "echo", "udp", "b'x' * 1400"),
    "longest datagrams": (DATAGRAMS, "echo", "udp", "b'x' * 65507"),
    "long datagrams that are not ASCII": (
        DATAGRAMS,
        "reverse",
        "udp",
        "b'x' * 65000 + 'é'.encode()",
    ),
    "a letter with 32,000 marks": (
        DATAGRAMS,
        "reverse",
        "udp",
        "('a' + chr(0x301) * 32000).encode()",
    ),
    "hard numbers as datagrams": (DATAGRAMS, "factor", "udp", "b'18446743979220271189'"),
    "short lines to reverse": (LINES, "reverse", "tcp", "b'ab\\n' * 20000"),
    "long lines to reverse": (LINES, "reverse", "tcp", "('é' * 8000 + '\\n').encode() * 4"),
    "marks in lines to reverse": (
        LINES,
        "reverse",
        "tcp",
        "(chr(769) * 8000 + '\\n').encode() * 4",
    ),
    "empty lines to ack": (LINES, "ack", "tcp", "b'\\n' * 60000"),
    "hard numbers as lines": (LINES, "factor", "tcp", "b'18446743979220271189\\n' * 1000"),
    "what is no number": (LINES, "factor", "tcp", "b'x\\n' * 20000"),
    "a stream to echo": (LINES, "echo", "tcp", "bytes(1 << 20)"),
    "a stream to discard": (LINES, "discard", "tcp", "bytes(1 << 20)"),
}
CROWDS = {
    "hard numbers": (200, "factor", "b'18446743979220271189\\n' * 1000"),
    "short lines": (200, "reverse", "b'ab\\n' * 20000"),
    "lines that are no text": (200, "reverse", "b'\\xff\\n' * 20000"),
    "streams to echo": (20, "echo", "bytes(1 << 20)"),
    "streams to discard": (20, "discard", "bytes(1 << 20)"),
}


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """A daemon with services to flood, and one to measure by."""
    with Watched(tmp_path_factory.mktemp("floods"), CONFIG) as daemon:
        yield daemon


def round_trips(daemon: Watched, seconds: float) -> list[float]:
    """What each of many echoes took, one after the other, in order of length.

    A datagram is answered in the turn of the loop that reads it, so this is the lag of the loop;
    in seconds that the daemon worked, because a busy machine has other things to do in between.
    """
    found = []
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.connect(daemon.address("meter", "udp"))
    sock.settimeout(PATIENCE)
    until = time.monotonic() + seconds
    with sock:
        while time.monotonic() < until:
            start = daemon.worked_seconds()
            sock.send(b"?")
            assert sock.recv(1) == b"?"
            found.append(daemon.worked_seconds() - start)
            time.sleep(0.001)
    return sorted(found)


@pytest.mark.parametrize("flood", FLOODS)
def test_a_flood_of_one_service_delays_no_other(daemon: Watched, flood: str) -> None:
    """While one service is flooded, the round trips of another stay short."""
    script, service, transport, data = FLOODS[flood]
    host, port = daemon.address(service, transport)
    with program(sys.executable, "-c", script, host, str(port), data):
        round_trips(daemon, 0.2)
        assert_short(flood, daemon)


@pytest.mark.parametrize("crowd", CROWDS)
def test_a_crowd_of_one_service_delays_no_other(daemon: Watched, crowd: str) -> None:
    """Clients that each have work for many turns do not add up."""
    members, service, data = CROWDS[crowd]
    host, port = daemon.address(service, "tcp")
    before = len(daemon.events("opened"))
    with program(sys.executable, "-c", CROWD, host, str(port), data, str(members)):
        wait_until(lambda: len(daemon.events("opened")) == before + members, "all there")
        round_trips(daemon, 0.2)
        assert_short(crowd, daemon)


def assert_short(what: str, daemon: Watched) -> None:
    """The round trips, the longest last, are as short as is promised.

    The daemon works on while the test stands still within one of them: that is measured again.
    """
    for _ in range(TRIES):
        times = round_trips(daemon, FLOOD_SECONDS)
        p99, longest = times[len(times) * 99 // 100], times[-1]
        figures = f"{what}: {len(times)} round trips, p99 {p99:.4f} s, longest {longest:.4f} s"
        print(figures)  # noqa: T201 - the figures are what a reader of a failure wants
        if p99 <= P99_SECONDS and longest <= MAX_SECONDS:
            return
    raise AssertionError(figures)


class Counting(DatagramProtocol):
    """Counts datagrams."""

    count = 0

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        self.count += 1


@pytest.mark.parametrize(("size", "turn"), [(0, 32), (1, 32), (1400, 32), (16_384, 4), (65_507, 2)])
def test_a_turn_reads_at_most_32_datagrams_and_64_kilobytes(size: int, turn: int) -> None:
    """Empty datagrams count as others do; the last one of a turn may go beyond the bytes."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * 1024 * 1024)
        sock.bind(("127.0.0.1", 0))
        protocol = Counting()
        port = DatagramPort(sock, protocol, MemoryReactorClock())
        port.startListening()
        for _ in range(2 * turn + 1):
            sender.sendto(bytes(size), sock.getsockname())
        turns = []
        for _ in range(4):
            before = protocol.count
            port.doRead()
            turns.append(protocol.count - before)
        port.stopListening()
    assert turns == [turn, turn, 1, 0]
    assert turn <= BATCH


class Repeat(Requests):
    """Answers each line with itself."""

    def answer(self, request: bytes) -> bytes:
        return request + b"\n"


def test_a_service_that_works_a_line_at_a_time_does_at_most_100_a_turn() -> None:
    """However many lines come at once, the others have their turn after each hundred of them."""
    clock: Any = Clock()
    guard = Guard("repeat", Limits(), clock, DaemonState())
    names = Names(clock, clock, lambda address: address)
    host = World(reactor=clock, wall=lambda: 0.0, random=Random(3), names=names, hostname="host")
    context: Context[None, None] = Context("repeat", None, guard, host)
    stream = Repeat(context, Peer("192.0.2.7", 50_000), ENTRANCE)
    transport = StringTransport()
    stream.makeConnection(transport)
    stream.dataReceived(b"x\n" * (3 * REQUESTS_PER_TURN + 1))
    turns = []
    while transport.value():
        turns.append(transport.value().count(b"\n"))
        transport.clear()
        # not `advance`: it also does what falls due while it is at it
        for call in [call for call in clock.calls if call.getTime() <= clock.seconds()]:
            clock.calls.remove(call)
            call.called = 1
            call.func(*call.args, **call.kw)
    assert turns == [100, 100, 100, 1]
