"""G4: nobody holds more of the daemon than a little memory, and that not for long."""

from __future__ import annotations

import contextlib
import selectors
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.daemons import children, namespace, run
from tests.processes import wait_until
from tests.security.hosts import (
    Watched,
    closed_at,
    connect,
    most_memory,
    on,
    send_unread,
    small_clients,
)

CLIENTS = 200
MOST_PER_CLIENT = 256 * 1024
SLACK = 30.0
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
        + "".join(
            f"[service.{t}]\nlisten = ['tcp:0:interface=127.0.0.1']\n"
            + "greeting = ''\n" * (t == "ack")
            for t in tables
        )
    )


def write_certificate(folder: Path) -> Path:
    """A certificate and its key in one file."""
    file = folder / "cert.pem"
    trustme.CA().issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(file)
    return file


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
        socks = on(host, partial(small_clients, address, CLIENTS))
        for sock in socks:
            stack.enter_context(sock)
        send_unread(daemon, socks, UNREAD[service])
        if service == "wrap":
            for sock in socks[::2]:
                sock.shutdown(socket.SHUT_WR)
        cost = (most_memory(daemon, 0.6) - before) // CLIENTS
        print(f"{service}: {cost} bytes a client")  # noqa: T201 - what a reader of a failure wants
        assert cost <= MOST_PER_CLIENT
        wait_until(
            lambda: (
                (len(daemon.events("opened")), len(daemon.events("closed"))) == (CLIENTS + 1, 1)
            ),
            "all but the first are still there",
        )
        stack.close()


def test_a_client_that_never_reads_is_gone_after_write_timeout(tmp_path: Path, host: str) -> None:
    """A client that takes nothing of what it was sent, and is owed more, is cut off."""
    text = config(*UNREAD, write_timeout='"2s"')
    with Watched(tmp_path, text, namespace=host) as daemon, ExitStack() as stack:
        for service, data in UNREAD.items():
            address = daemon.address(service, "tcp")
            socks = on(host, partial(small_clients, address, 10))
            for sock in socks:
                stack.enter_context(sock)
            send_unread(daemon, socks, data)
            for sock in socks if service == "wrap" else []:
                sock.shutdown(socket.SHUT_WR)
        everybody = 10 * len(UNREAD)
        wait_until(lambda: len(daemon.events("closed")) == everybody, "all gone", 2 + SLACK)
        for one in daemon.events("closed"):
            assert one["reason"] == "write_timeout"
            assert one["duration"] >= 2


@pytest.mark.parametrize("service", ["echo", "reverse"])
def test_clients_over_tls_that_never_read_cost_little(
    tmp_path: Path, host: str, service: str
) -> None:
    """With the buffers of TLS, too, each costs at most 256 kB."""
    certificate = write_certificate(tmp_path)
    text = f'[service.{service}]\nlisten = ["ssl:0:interface=127.0.0.1:privateKey={certificate}"]\n'
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with Watched(tmp_path, text, namespace=host) as daemon, ExitStack() as stack:
        address = daemon.address(service, "tls")

        def secured(count: int) -> list[ssl.SSLSocket]:
            socks = on(host, partial(small_clients, address, count))
            return [stack.enter_context(context.wrap_socket(sock)) for sock in socks]

        for sock in secured(10):  # what TLS needs once is there
            sock.close()
        before = daemon.memory()
        for sock in secured(CLIENTS // 2):
            sock.settimeout(0.02)
            with contextlib.suppress(TimeoutError):
                sock.sendall(UNREAD[service])
        cost = (most_memory(daemon, 0.5) - before) // (CLIENTS // 2)
        print(f"{service}: {cost} bytes a client")  # noqa: T201 - what a reader of a failure wants
        assert cost <= MOST_PER_CLIENT
        stack.close()


def test_a_program_waits_for_a_client_that_never_reads_and_ends_with_it(
    tmp_path: Path, host: str
) -> None:
    """Programs that print without end, programs that read nothing: little is held for either."""
    kinds = {"prints": ["/usr/bin/yes"], "is-deaf": ["/bin/sleep", "1000"]}
    text = "".join(
        f"[service.{name}]\nkind = 'exec'\ncommand = {command}\nwrite_timeout = '2s'\n"
        "listen = ['tcp:0:interface=127.0.0.1']\nidle_timeout = '1s'\nmax_time = '2s'\n"
        for name, command in kinds.items()
    )
    with Watched(tmp_path, text, namespace=host) as daemon, ExitStack() as stack:
        before = daemon.memory()
        for name in kinds:
            socks = on(host, partial(small_clients, daemon.address(name, "tcp"), 30))
            for sock in socks:
                stack.enter_context(sock)
            send_unread(daemon, socks, bytes(1024 * 1024))
        assert most_memory(daemon, 0.5) - before <= 60 * MOST_PER_CLIENT
        wait_until(lambda: len(daemon.events("closed")) == 60, "all gone", 2 + SLACK)
        wait_until(lambda: not children(daemon.pid), "their programs too", 5 + SLACK)


LINE_SERVICES = ("reverse", "ack", "said", "factor")


def test_a_line_that_drips_is_ended_after_line_timeout(tmp_path: Path) -> None:
    """500 clients send a byte now and then and no line end: they are told, and gone."""
    text = config(*LINE_SERVICES, line_timeout='"2s"', idle_timeout='"1h"')
    with Watched(tmp_path, text) as daemon, ExitStack() as stack:
        socks = [
            stack.enter_context(daemon.connect(service))
            for service in LINE_SERVICES
            for _ in range(500 // len(LINE_SERVICES))
        ]
        ended: dict[socket.socket, bytes] = {}
        until = time.monotonic() + 2 + SLACK
        with selectors.DefaultSelector() as selector:
            for sock in socks:
                selector.register(sock, selectors.EVENT_READ)
            while selector.get_map() and time.monotonic() < until:
                for key, _ in selector.select(0.2):
                    one: Any = key.fileobj
                    data = one.recv(100)
                    ended[one] = ended.get(one, b"") + data
                    if not data:
                        selector.unregister(one)
                for key in selector.get_map().values():
                    one = key.fileobj
                    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                        one.send(b"7")
        assert len(ended) == len(socks)
        assert set(ended.values()) == {b"error: no end of line within 2s\r\n"}


DRIPS = {
    "text_timeout": ("wrap", b"error: no end of text within 2s\r\n"),
    "min_rate": ("echo", None),
    "total_timeout": ("discard", b""),
}
"""What bounds a byte now and then, a service that is sent it, and what its client is told."""


@pytest.mark.parametrize("bound", DRIPS)
def test_a_byte_now_and_then_holds_nothing_for_ever(tmp_path: Path, bound: str) -> None:
    """A hundred clients that are never idle: gone, and for the reason that was set."""
    service, told = DRIPS[bound]
    text = config(service, **{bound: '"1k/2s"' if bound == "min_rate" else '"2s"'})
    with Watched(tmp_path, text) as daemon, ExitStack() as stack:
        left = {stack.enter_context(daemon.connect(service)): b"" for _ in range(100)}
        heard = set()
        until = time.monotonic() + 6 + SLACK
        while left and time.monotonic() < until:
            for sock in tuple(left):
                sock.settimeout(0.001)
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    sock.send(b"x")
                with contextlib.suppress(TimeoutError):
                    if data := receive_some(sock):
                        left[sock] += data
                    else:
                        heard.add(left.pop(sock))
        assert not left
        assert told is None or heard == {told}
        wait_until(lambda: len(daemon.events("closed")) == 100, "all gone")
        assert {one["reason"] for one in daemon.events("closed")} == {bound}


def receive_some(sock: socket.socket) -> bytes:
    """What is there; nothing where the other end has gone."""
    try:
        return sock.recv(1000)
    except ConnectionResetError:
        return b""


def test_a_silent_client_is_gone_after_idle_timeout(tmp_path: Path) -> None:
    """A connection without a byte in either direction is closed, and not before."""
    services = ("echo", "discard", "reverse", "ack", "said", "factor", "wrap")
    with Watched(tmp_path, config(*services, idle_timeout='"1s"')) as daemon, ExitStack() as stack:
        socks = [stack.enter_context(daemon.connect(service)) for service in services]
        for sock in socks:
            closed_at(sock, 1 + SLACK)
        wait_until(lambda: len(daemon.events("closed")) == len(services), "all gone")
        assert {one["reason"] for one in daemon.events("closed")} == {"idle_timeout"}
        assert all(one["duration"] >= 1 for one in daemon.events("closed"))


def test_a_peer_that_never_begins_tls_is_gone_after_handshake_timeout(tmp_path: Path) -> None:
    """Silent, or with half of a beginning: the handshake has its time, and no more."""
    certificate = write_certificate(tmp_path)
    text = (
        f'[service.echo]\nlisten = ["ssl:0:interface=127.0.0.1:privateKey={certificate}"]\n'
        'handshake_timeout = "2s"\nidle_timeout = "1h"\n'
    )
    with Watched(tmp_path, text) as daemon, ExitStack() as stack:
        socks = [stack.enter_context(daemon.connect("echo", "tls")) for _ in range(50)]
        for sock in socks[::2]:
            sock.sendall(b"\x16\x03\x01\x02\x00\x01")
        for sock in socks:
            closed_at(sock, 2 + SLACK)
        wait_until(lambda: len(daemon.events("closed")) == 50, "all gone")
        assert {one["reason"] for one in daemon.events("closed")} == {"handshake_timeout"}
        assert all(one["duration"] >= 2 for one in daemon.events("closed"))
