"""G4: how many connections there may be, of everybody and of one source."""

from __future__ import annotations

import selectors
import socket
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.daemons import two_hosts
from tests.processes import wait_until
from tests.security.hosts import Watched, add_addresses, connect

SLACK = 30.0
"""Seconds that a busy machine may need."""


def test_exactly_max_connections_and_never_one_more(tmp_path: Path) -> None:
    """A thousand connect at once, fifty are served; the others are closed, not left waiting."""
    text = '[service.echo]\nlisten = ["tcp:0:interface=127.0.0.1"]\nmax_connections = 50\n'
    with Watched(tmp_path, text) as daemon, ExitStack() as stack:
        address = daemon.address("echo", "tcp")
        socks = []
        for _ in range(1000):
            sock = stack.enter_context(socket.socket())
            sock.setblocking(False)
            sock.connect_ex(address)
            socks.append(sock)
        served, most, closed = serve_all(socks)
        assert (len(served), most, len(closed)) == (50, 50, 950)
        wait_until(lambda: len(daemon.events("opened")) >= 50, "all are in the log")
        assert len(daemon.events("opened")) == 50
        for sock in list(served)[:7]:
            sock.close()
        wait_until(lambda: len(daemon.events("closed")) == 7, "seven have left")
        again = [stack.enter_context(daemon.connect("echo")) for _ in range(9)]
        assert [serves(sock) for sock in again] == [True] * 7 + [False] * 2
        stack.close()


def serve_all(socks: list[socket.socket]) -> tuple[set[socket.socket], int, set[socket.socket]]:
    """Ask on each; who was served, how many at once, and whose connection was closed."""
    most = 0
    served: set[socket.socket] = set()
    closed: set[socket.socket] = set()
    asked: set[socket.socket] = set()
    until = time.monotonic() + SLACK
    with selectors.DefaultSelector() as selector:
        for sock in socks:
            selector.register(sock, selectors.EVENT_READ | selectors.EVENT_WRITE)
        while len(served) + len(closed) < len(socks) and time.monotonic() < until:
            for key, events in selector.select(0.2):
                one: Any = key.fileobj
                try:
                    if events & selectors.EVENT_READ:
                        (served if one.recv(1) else closed).add(one)
                        selector.unregister(one)
                    elif one not in asked:
                        one.send(b"?")
                        asked.add(one)
                        selector.modify(one, selectors.EVENT_READ)
                except (BrokenPipeError, ConnectionResetError):
                    closed.add(one)
                    selector.unregister(one)
            most = max(most, len(served - closed))
    return served, most, closed


def serves(sock: socket.socket) -> bool:
    """Whether an echo service lets this connection in."""
    try:
        sock.sendall(b"?")
        return sock.recv(1) == b"?"
    except (BrokenPipeError, ConnectionResetError):
        return False


def test_one_noisy_source_never_hurts_another(tmp_path: Path) -> None:
    """One source has 20 connections and 50 new ones a second; the next source is served."""
    text = '[service.echo]\nlisten = ["tcp:7001:interface=10.77.0.1"]\n'
    text += '[service.daytime]\nlisten = ["tcp:7002:interface=10.77.0.1"]\n'
    address = ("10.77.0.1", 7001)
    with (
        two_hosts() as (first, second),
        Watched(tmp_path, text, namespace=first) as daemon,
        ExitStack() as stack,
    ):
        add_addresses(second, ["10.77.0.3"])
        noisy = [stack.enter_context(connect(second, address, "10.77.0.2")) for _ in range(30)]
        assert [serves(sock) for sock in noisy] == [True] * 20 + [False] * 10
        assert serves(stack.enter_context(connect(second, address, "10.77.0.3")))
        daemon.wait_for("refused")
        reasons = {(one["reason"], one["limit"]) for one in daemon.events("refused")}
        assert reasons == {("max_connections_per_source", 20)}
        answered = 0
        start = time.monotonic()
        for _ in range(150):
            with connect(second, ("10.77.0.1", 7002), "10.77.0.2") as sock:
                answered += bool(serves_time(sock))
        seconds = time.monotonic() - start
        assert 50 <= answered <= 50 + 50 * seconds + 1
        with connect(second, ("10.77.0.1", 7002), "10.77.0.3") as sock:
            assert serves_time(sock)
        stack.close()


def serves_time(sock: socket.socket) -> bytes:
    """What a service that speaks first says, nothing where it does not."""
    try:
        return sock.recv(100)
    except ConnectionResetError:
        return b""


def test_many_sources_together_are_no_flood_where_there_is_a_rate_in_all(tmp_path: Path) -> None:
    """Each of thirty addresses stays below its own limits; who is too many is told apart."""
    text = '[service.daytime]\nlisten = ["tcp:7001:interface=10.77.0.1"]\n'
    text += '[service.echo]\nlisten = ["tcp:7002:interface=10.77.0.1"]\n'
    text += '[defaults]\ntotal_connect_rate = "40/h"\n'
    sources = [f"10.77.0.{number}" for number in range(100, 130)]
    with (
        two_hosts() as (first, second),
        Watched(tmp_path, text, namespace=first) as daemon,
    ):
        add_addresses(second, sources)
        answered = 0
        for source in sources * 4:
            with connect(second, ("10.77.0.1", 7001), source) as sock:
                answered += bool(serves_time(sock))
        assert answered in (40, 41)  # one more comes in 90 s
        refused = daemon.wait_for("refused")
        assert (refused["reason"], refused["limit"]) == ("total_connect_rate", "40/h")
        with connect(second, ("10.77.0.1", 7002), sources[0]) as sock:  # another instance
            assert serves(sock)
