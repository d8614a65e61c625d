"""R4: whatever the kernel says to a send or a receive is counted, and the port lives on."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.protocol import DatagramProtocol
from twisted.internet.testing import MemoryReactorClock

from sockd.reactor.datagram import DatagramPort
from sockd.reactor.sockaddr import Address
from tests.daemons import namespace, run
from tests.reactor.ports import BOTH_WAYS
from tests.security.hosts import Watched, forged, raw_sender, udp

PORT = 7001
HERE = ("127.0.0.1", PORT)
TIMES = 50
SOURCES = {
    "ENETUNREACH": "10.1.0.1",
    "EHOSTUNREACH": "10.2.0.1",
    "EACCES": "10.3.0.1",
    "EINVAL": "10.4.0.1",
}
"""Where an answer cannot be sent, and what the kernel says to one who tries."""
CONFIG = (
    f'[service.echo]\nlisten = ["udp:{PORT}:interface=127.0.0.1", "udp:7002:interface=0.0.0.0"]\n'
)


@pytest.fixture
def host() -> Iterator[str]:
    """A host with its loopback alone, and routes that say no, each in its way."""
    with namespace() as name:
        for kind, network in (
            ("unreachable", "10.2.0.0/16"),
            ("prohibit", "10.3.0.0/16"),
            ("blackhole", "10.4.0.0/16"),
        ):
            run("ip", "-n", name, "route", "add", kind, network)
        yield name


class Echo(DatagramProtocol):
    """Sends back."""

    def datagramReceived(self, datagram: bytes, addr: Address) -> None:
        self.transport.write(datagram, addr)  # type: ignore[union-attr]  # there is one by now


def is_answered(host: str, port: int) -> bool:
    """Whether a client is answered on this port."""
    with udp(host) as sock:
        sock.connect(("127.0.0.1", port))
        sock.send(b"still there?")
        return sock.recv(100) == b"still there?"


@pytest.mark.parametrize("in_batches", BOTH_WAYS)
def test_each_errno_of_a_send_is_counted(host: str, in_batches: bool) -> None:
    """A datagram whose answer cannot be sent costs its answer; the count has the errno's name."""
    sock = udp(host, HERE)
    port = DatagramPort(sock, Echo(), MemoryReactorClock(), in_batches=in_batches)
    port.startListening()
    with raw_sender(host) as raw, udp(host) as client:
        for source in SOURCES.values():
            for _ in range(3):
                raw.sendto(forged((source, 50_000), HERE, b"?"), (HERE[0], 0))
        client.sendto(b"?", HERE)
        port.doRead()
        assert client.recv(10) == b"?"
    assert port.counts == {f"send {name}": 3 for name in SOURCES}
    port.stopListening()


def test_a_daemon_lives_on_when_answers_cannot_be_sent(tmp_path: Path, host: str) -> None:
    """Unroutable, prohibited or black-holed sources: nobody else notices, the log has no fault."""
    with Watched(tmp_path, CONFIG, namespace=host) as daemon, raw_sender(host) as raw:
        for port in (PORT, 7002):
            for source in SOURCES.values():
                for _ in range(TIMES):
                    raw.sendto(forged((source, 50_000), (HERE[0], port), b"?"), (HERE[0], 0))
            assert is_answered(host, port)
        assert [one for one in daemon.events() if one["level"] not in ("info", "warn")] == []


def test_a_daemon_lives_on_when_nobody_waits_for_an_answer(tmp_path: Path, host: str) -> None:
    """The client is gone: the host says "port unreachable" to the answer, and that is all."""
    with Watched(tmp_path, CONFIG, namespace=host) as daemon:
        for port in (PORT, 7002):
            for _ in range(TIMES):
                with udp(host) as sock:
                    sock.sendto(b"never mind", ("127.0.0.1", port))
            assert is_answered(host, port)
        assert len(daemon.events("listening")) == 2


def test_a_daemon_lives_on_when_its_address_goes_and_comes_back(tmp_path: Path, host: str) -> None:
    """With the interface down nothing is answered; when it is up again, all is as before."""
    with Watched(tmp_path, CONFIG, namespace=host):
        assert is_answered(host, PORT)
        for _ in range(3):
            run("ip", "-n", host, "link", "set", "lo", "down")
            run("ip", "-n", host, "link", "set", "lo", "up")
            assert is_answered(host, PORT)
            assert is_answered(host, 7002)


class Broken:
    """A socket whose calls fail: with each errno that there is, one after the other."""

    family = socket.AF_INET

    def __init__(self) -> None:
        self.errors = [
            number
            for number in errno.errorcode
            if not isinstance(OSError(number, ""), BlockingIOError)  # says: nothing more
        ]

    def getsockname(self) -> tuple[str, int]:
        return HERE

    def setblocking(self, flag: bool) -> None:
        assert not flag

    def fileno(self) -> int:
        return -1

    def close(self) -> None:
        self.errors.clear()

    def setsockopt(self, level: int, name: int, value: int) -> None:
        """Options change nothing here."""

    def recvmsg(self, size: int, room: int) -> tuple[bytes, list[Any], int, Address]:
        if not self.errors:
            raise BlockingIOError(errno.EAGAIN, "nothing more")
        number = self.errors.pop()
        raise OSError(number, errno.errorcode[number])

    def sendto(self, data: bytes, address: Address) -> int:
        raise OSError(*self.sending)

    sending = (0, "")


def test_any_errno_at_all_is_counted() -> None:
    """Of a receive or a send, each errno that this system has: none closes the port."""
    sock: Any = Broken()
    expected = {f"receive {errno.errorcode[number]}": 1 for number in sock.errors}
    reactor = MemoryReactorClock()
    port = DatagramPort(sock, Echo(), reactor, in_batches=False)
    port.startListening()
    for _ in range(len(expected)):
        port.doRead()
    assert port.counts == expected
    for number in errno.errorcode:
        sock.sending = (number, errno.errorcode[number])
        assert not port.write(b"?", ("192.0.2.1", 50_000))
    assert sum(port.counts.values()) == len(expected) + len(errno.errorcode)
    assert port.connected
    assert port in reactor.readers
    port.stopListening()
