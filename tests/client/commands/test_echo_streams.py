"""`sock echo` over connections: how probes are sent, found again, and measured."""

from __future__ import annotations

import ctypes
import json
import os
import random
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.client.commands.site import Site, served
from tests.client.liars import Told, datagram_liar, echoes, stream_liar
from tests.client.running import SOCK, Done, sock
from tests.processes import running

PIDFD_GETFD = 438  # asm-generic/unistd.h
COUNT = 20


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with served(tmp_path_factory.mktemp("echo"), ["echo"]) as daemon:
        yield daemon


def host(done: Done) -> dict[str, Any]:
    """The summary of a run's only host."""
    assert done.code == 0, done.err
    [found] = json.loads(done.out.splitlines()[-1])["hosts"]
    return dict(found)


def connection_of(pid: int, port: int) -> socket.socket:
    """Another process's connection to a port, as a socket of this one."""
    watched = os.pidfd_open(pid)
    try:
        for file in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                if not str(file.readlink()).startswith("socket:"):
                    continue
                number = ctypes.CDLL(None).syscall(PIDFD_GETFD, watched, int(file.name), 0)
                taken = socket.socket(fileno=number)
                if _peer(taken) == port:
                    return taken
                taken.close()
    finally:
        os.close(watched)
    raise AssertionError(f"no connection to port {port}")


def _peer(sock: socket.socket) -> int | None:
    with suppress(OSError):
        if sock.family == socket.AF_INET:
            return int(sock.getpeername()[1])
    return None


def test_no_probe_waits_to_be_sent_with_more() -> None:
    """TCP_NODELAY is on while it measures."""
    with stream_liar(echoes) as server:
        asked = f"127.0.0.1:{server.port}"
        with running([SOCK, "echo", "--tcp", "-J", "-i0.01", asked]) as child:
            child.wait_for('"answered"')
            with connection_of(child.pid, server.port) as connection:
                assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1


@pytest.mark.parametrize("transport", ["tcp", "tls", "unix"])
def test_every_connection_is_measured(site: Site, transport: str) -> None:
    options = ["-J", f"-c{COUNT}", "-i0.005", "-s200"]
    found = host(sock("echo", *options, *site.to("echo", transport)))
    counts = found["counts"]
    assert (counts["received"], counts["lost"], counts["failed"]) == (COUNT, 0, 0)
    assert (counts["bytes_sent"], counts["bytes_received"]) == (COUNT * 200, COUNT * 200)
    assert found["rtt"]["count"] == found["lateness"]["count"] == COUNT
    assert found["stamps"] == "user"
    timing = found["timing"]
    assert timing["connect_ns"] > 0
    assert (timing["tls_ns"] is not None) == (transport == "tls")
    if transport == "unix":
        assert found["values"] == {}
    else:
        assert found["values"]["kernel_rtt_ns"] > 0
        assert found["values"]["kernel_rtt_var_ns"] > 0
        # few or none: the kernel sends again where its own acknowledgement was late
        assert 0 <= found["values"]["retransmits"] < COUNT


def test_the_kernel_s_round_trip_is_shown_to_people(site: Site) -> None:
    done = sock("echo", "-W", "60s", "-c3", "-i0.01", *site.to("echo", "tcp"))
    assert done.code == 0
    assert "retransmits" in done.err


def test_probes_are_found_however_the_stream_is_cut() -> None:
    def cuts(told: Told) -> None:
        drawn, held = random.Random(9), bytearray()
        while data := told.sock.recv(65_536):
            held += data
            told.heard += data
            # never what has come, but pieces that begin and end within probes
            while len(held) > 100 or (held and len(told.heard) == COUNT * 100):
                size = drawn.choice([1, 7, 99, 101, 150, 333])
                told.sock.sendall(held[:size])
                del held[:size]

    with stream_liar(cuts) as server:
        asked = f"127.0.0.1:{server.port}"
        found = host(
            sock("echo", "-W", "60s", "--tcp", "-J", f"-c{COUNT}", "-i0.01", "-s100", asked)
        )
    assert found["counts"]["received"] == COUNT
    assert found["counts"]["foreign"] == found["counts"]["corrupt"] == 0


def test_a_window_over_a_connection(site: Site) -> None:
    found = host(sock("echo", "-W", "60s", "-J", "-c2000", "--window=32", *site.to("echo", "tcp")))
    assert (found["counts"]["received"], found["window"]) == (2000, 32)


# sizes


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_the_longest_probe_is_as_long_as_a_datagram_can_be(site: Site, transport: str) -> None:
    options = ["-J", "-c3", "-i0.01", "-s65507"]
    with datagram_liar(lambda data: [data]) as liar:
        to = [f"127.0.0.1:{liar.port}"] if transport == "udp" else site.to("echo", "tcp")
        found = host(sock("echo", *options, *to))
    assert found["counts"]["received"] == 3
    assert found["counts"]["bytes_received"] == 3 * 65_507
