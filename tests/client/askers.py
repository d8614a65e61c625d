"""Servers that a test answers by hand, and who asks them."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from sockd.client.net.datagrams import (
    Datagrams,
    open_host,
)
from sockd.reactor.sockaddr import Address
from tests.memory import REACTOR
from tests.processes import PATIENCE

FAMILIES = [
    pytest.param(socket.AF_INET, "127.0.0.1", id="IPv4"),
    pytest.param(socket.AF_INET6, "::1", id="IPv6"),
]
BRIEFLY = 0.05
"""Seconds for an answer that does not come."""


@contextmanager
def server(family: int = socket.AF_INET, host: str = "127.0.0.1") -> Iterator[socket.socket]:
    """A socket that the test answers with."""
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.settimeout(PATIENCE)
        sock.bind((host, 0))
        yield sock


@contextmanager
def to(sock: socket.socket, **options: Any) -> Iterator[Datagrams]:
    datagrams = open_host(REACTOR, sock.getsockname()[:2], **options)
    try:
        yield datagrams
    finally:
        datagrams.close()


def nobody(family: int = socket.AF_INET, host: str = "127.0.0.1") -> Address:
    """Where nobody listens."""
    with server(family, host) as sock:
        name: Address = sock.getsockname()[:2]
        return name


def send_in_vain(datagrams: Datagrams) -> None:
    """Send where nobody is, and wait until the kernel has said so."""
    datagrams.send(b"")
    wait_refused(datagrams)


def wait_refused(datagrams: Datagrams) -> None:
    """Until the kernel has said that nobody is there."""
    poll = select.poll()
    poll.register(datagrams.opened.sock, 0)
    assert poll.poll(PATIENCE * 1000)


def bounce(sock: socket.socket) -> Address:
    """Answer one datagram with itself; who sent it."""
    data, asker = sock.recvfrom(65_536)
    sock.sendto(data, asker)
    name: Address = asker
    return name
