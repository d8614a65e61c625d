"""G4: nobody holds more of the daemon than a little memory, and that not for long."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.daemons import namespace, run
from tests.security.hosts import (
    Watched,
    connect,
    on,
    send_unread,
    small_client,
    wait_until,
)

CLIENTS = 200
MOST_PER_CLIENT = 256 * 1024
SLACK = 15.0
"""Seconds beyond a timeout that a busy machine may need."""

UNREAD = {
    "echo": bytes(4 * 1024 * 1024),
    "chargen": b"",
    "reverse": b"ab\n" * (1024 * 1024),
    "ack": b"\n" * (1024 * 1024),
    "factor": (b"9223372036854775808\n" * 1000 + b"12\n" * 15_000),
    "wrap": b"ab " * 40_000,
}
"""What the clients send that never read: of what costs most to hold, as much as is taken."""


def config(*tables: str, **defaults: str) -> str:
    """Instances on free ports, and what holds for all of them."""
    return (
        "[defaults]\n"
        + "".join(f"{name} = {value}\n" for name, value in defaults.items())
        + "".join(f"[service.{t}]\nlisten = ['tcp:0:interface=127.0.0.1']\n" for t in tables)
    )


@pytest.fixture(scope="module")
def host() -> Iterator[str]:
    """A host whose kernel buffers little: what a client does not read stays with the daemon."""
    with namespace() as name:
        for buffer in ("tcp_wmem", "tcp_rmem"):
            run("ip", "netns", "exec", name, "sysctl", "-w", f"net.ipv4.{buffer}=4096 16384 32768")
        yield name


@pytest.mark.parametrize("service", UNREAD)
def test_two_hundred_clients_that_never_read_cost_little(
    tmp_path: Path, host: str, service: str
) -> None:
    """Each costs the daemon at most 256 kB, whatever it asked for."""
    with Watched(tmp_path, config(service), namespace=host) as daemon, ExitStack() as stack:
        address = daemon.address(service, "tcp")
        with connect(host, address) as first:
            assert service == "chargen" or first.send(b"12\n")  # what it needs is loaded
            first.shutdown(socket.SHUT_WR)
            first.recv(100)
        before = daemon.memory()
        socks = on(host, lambda: [small_client(address) for _ in range(CLIENTS)])
        for sock in socks:
            stack.enter_context(sock)
        send_unread(socks, UNREAD[service])
        if service == "wrap":
            for sock in socks[::2]:
                sock.shutdown(socket.SHUT_WR)
        cost = (most_memory(daemon, 1.0) - before) // CLIENTS
        print(f"{service}: {cost} bytes a client")  # noqa: T201 - what a reader of a failure wants
        assert cost <= MOST_PER_CLIENT
        assert len(daemon.events("opened")) - len(daemon.events("closed")) == CLIENTS
        stack.close()


@pytest.mark.parametrize("service", UNREAD)
def test_a_client_that_never_reads_is_gone_after_write_timeout(
    tmp_path: Path, host: str, service: str
) -> None:
    """A client that takes nothing of what it was sent, and is owed more, is cut off."""
    text = config(service, write_timeout='"2s"')
    data = UNREAD[service]
    with Watched(tmp_path, text, namespace=host) as daemon, ExitStack() as stack:
        address = daemon.address(service, "tcp")
        socks = on(host, lambda: [small_client(address) for _ in range(10)])
        for sock in socks:
            stack.enter_context(sock)
        send_unread(socks, data)
        for sock in socks:
            if service == "wrap":
                sock.shutdown(socket.SHUT_WR)
        wait_until(lambda: len(daemon.events("closed")) == 10, "all gone", 2 + SLACK)
        for one in daemon.events("closed"):
            assert one["why"] == "write timeout"
            assert one["duration"] >= 2


def most_memory(daemon: Watched, seconds: float) -> int:
    """The most that the daemon holds at once within the time."""
    until = time.monotonic() + seconds
    most = 0
    while time.monotonic() < until:
        most = max(most, daemon.memory())
        time.sleep(0.02)
    return most
