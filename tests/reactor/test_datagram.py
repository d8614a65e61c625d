"""The datagram port: what a turn may cost, errors, its end. Most of it on a scripted socket."""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections import deque
from collections.abc import Sequence
from typing import Any

import pytest
import pytest_twisted

from sockd.reactor.datagram import BATCH, BATCH_BYTES, DatagramPort
from tests.helpers import LogRecorder, until
from tests.memory import ASKER, REACTOR
from tests.reactor.ports import LONGEST_UDP, Listens, bound, hear, listening

PLAIN, WILDCARD = "127.0.0.1", "0.0.0.0"
"""A port on the second address also asks the kernel where each datagram was sent to."""
WAITING = {number for number in errno.errorcode if isinstance(OSError(number, ""), BlockingIOError)}
"""What says that there is nothing yet, and is no error."""
ERRORS = sorted(set(errno.errorcode) - WAITING)


class ScriptedSocket:
    """A socket that gives and takes datagrams, and fails when its script says so."""

    def __init__(self, host: str = PLAIN) -> None:
        self.host = host
        self.family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.arriving: deque[bytes | OSError] = deque()
        self.failing: deque[OSError] = deque()
        self.sent: list[bytes] = []
        self.beside: list[Any] = []
        self.sent_beside: list[Any] = []

    def recvfrom(self, size: int) -> tuple[bytes, Any]:
        if not self.arriving:
            raise BlockingIOError(errno.EAGAIN, "nothing there")
        found = self.arriving.popleft()
        if isinstance(found, OSError):
            raise found
        return found[:size], ASKER

    def recvmsg(self, size: int, room: int) -> tuple[bytes, list[Any], int, Any]:
        data, sender = self.recvfrom(size)
        return data, self.beside, 0, sender

    def sendto(self, data: bytes, to: Any) -> int:
        if self.failing:
            raise self.failing.popleft()
        self.sent.append(data)
        return len(data)

    def sendmsg(self, data: Sequence[bytes], ancillary: Any, flags: int, to: Any) -> int:
        self.sent_beside = ancillary
        return self.sendto(b"".join(data), to)

    def getsockname(self) -> tuple[str, int]:
        return (self.host, 2007)

    def setsockopt(self, level: int, name: int, value: Any) -> None:
        """Options change nothing here."""

    def setblocking(self, flag: bool) -> None:
        assert not flag

    def fileno(self) -> int:
        return -1

    def close(self) -> None:
        self.arriving.clear()


def passes(port: DatagramPort, protocol: Listens) -> list[int]:
    """How many datagrams each pass hands on, until there are none."""
    found = []
    while port.socket.arriving:  # type: ignore[attr-defined]  # a ScriptedSocket
        before = len(protocol.heard)
        port.doRead()
        found.append(len(protocol.heard) - before)
    return found


# what one turn of the reactor may cost


@pytest.mark.parametrize("host", [PLAIN, WILDCARD])
@pytest.mark.parametrize("data", [b"", b"a"])
def test_a_turn_hands_on_at_most_32_datagrams_and_empty_ones_count(host: str, data: bytes) -> None:
    sock, protocol = ScriptedSocket(host), Listens()
    with listening(sock, protocol) as port:
        sock.arriving.extend([data] * 100)
        assert passes(port, protocol) == [32, 32, 32, 4]
    assert BATCH == 32


def test_a_turn_ends_with_the_datagram_that_makes_it_64_KiB() -> None:
    sock, protocol = ScriptedSocket(), Listens()
    with listening(sock, protocol) as port:
        sock.arriving.extend([b"a" * 30_000] * 7)
        assert passes(port, protocol) == [3, 3, 1]
        sock.arriving.extend([b"a" * 32_768, b"a" * 32_768, b"", b"a"])
        assert passes(port, protocol) == [2, 2]
    assert BATCH_BYTES == 65_536


def test_a_turn_ends_after_32_errors_too() -> None:
    sock, protocol = ScriptedSocket(), Listens()
    with listening(sock, protocol) as port:
        sock.arriving.extend([*(OSError(errno.ENETDOWN, "") for _ in range(40)), b"after"])
        assert passes(port, protocol) == [0, 1]
    assert port.counts == {"receive ENETDOWN": 40}


@pytest_twisted.ensureDeferred
async def test_a_datagram_that_answers_itself_for_ever_does_not_hold_the_reactor() -> None:
    sock = bound(("127.0.0.1", 0))
    here = sock.getsockname()
    protocol = Listens(lambda data, addr: port.write(data, here))
    port = DatagramPort(sock, protocol, REACTOR)
    port.startListening()
    for _ in range(BATCH):
        port.write(b"", here)
    await until(lambda: len(protocol.heard) > 10 * BATCH)
    assert port.stopListening() is None
    assert {one.sender for one in protocol.heard} == {here}


# errors


@pytest.mark.parametrize("host", [PLAIN, WILDCARD])
def test_any_errno_of_receive_is_counted_by_name_and_the_port_lives(host: str) -> None:
    sock, protocol = ScriptedSocket(host), Listens()
    with listening(sock, protocol) as port:
        for number in ERRORS:
            sock.arriving.extend([OSError(number, "scripted"), f"after {number}".encode()])
            passes(port, protocol)
            assert port.counts[f"receive {errno.errorcode[number]}"] == 1
            assert protocol.heard[-1].data == f"after {number}".encode()
        sock.arriving.extend([OSError(9999, "scripted"), b"after a number without a name"])
        passes(port, protocol)
    assert port.counts.total() == len(ERRORS) + 1
    assert port.counts["receive 9999"] == 1
    assert len(protocol.heard) == len(ERRORS) + 1


@pytest.mark.parametrize("source", [None, (0, 8, b"")], ids=["plain", "from a source"])
def test_any_errno_of_send_is_counted_by_name_and_the_port_lives(source: Any) -> None:
    sock, protocol = ScriptedSocket(), Listens()
    with listening(sock, protocol) as port:
        for number in ERRORS:
            sock.failing.append(OSError(number, os.strerror(number)))
            assert port.write(b"lost", ASKER, source) is False
            assert port.last_error == os.strerror(number)
            assert port.counts[f"send {errno.errorcode[number]}"] == 1
            assert port.write(b"sent", ASKER, source) is True
        sock.failing.append(BlockingIOError(errno.EAGAIN, "full"))
        assert port.write(b"lost", ASKER, source) is False
    assert port.counts.pop("dropped") == 1
    assert port.counts.total() == len(ERRORS)
    assert sock.sent == [b"sent"] * len(ERRORS)


def test_what_the_kernel_refuses_to_send_is_counted() -> None:
    with listening(bound(("127.0.0.1", 0)), Listens()) as port:
        assert not port.write(b"", ("127.0.0.1", 0))
        assert not port.write(b"", ("255.255.255.255", 9))
        assert not port.write(b"a" * (LONGEST_UDP + 1), ("127.0.0.1", 9))
        assert set(port.counts) == {"send EINVAL", "send EACCES", "send EMSGSIZE"}
    assert not port.write(b"the port is closed", ("127.0.0.1", 9))
    assert port.counts["send EBADF"] == 1


@pytest.mark.parametrize("host", [PLAIN, WILDCARD])
def test_an_exception_in_the_protocol_costs_only_its_datagram(host: str, log: LogRecorder) -> None:
    def work(data: bytes, _: Any) -> None:
        if data == b"bad":
            raise ValueError("a fault of the protocol")

    sock, protocol = ScriptedSocket(host), Listens(work)
    with listening(sock, protocol) as port:
        sock.arriving.extend([b"good", b"bad", b"good", b"bad", b"good"])
        assert passes(port, protocol) == [5]
        assert port.asked is None
    faults = log.flush_faults()
    assert [fault["log_failure"].type for fault in faults] == [ValueError] * 2
    assert not port.counts


# the end


@pytest.mark.parametrize("host", [PLAIN, WILDCARD])
@pytest.mark.parametrize("raises", [False, True])
def test_a_port_can_be_stopped_while_it_hands_on(host: str, raises: bool, log: LogRecorder) -> None:
    def stop(*_: object) -> None:
        port.stopListening()
        if raises:
            raise ValueError("a fault of the protocol")

    protocol = Listens(stop)
    with listening(bound((host, 0)), protocol) as port, bound(("127.0.0.1", 0)) as asker:
        target = ("127.0.0.1", port.getHost().port)  # type: ignore[attr-defined]
        for data in (b"stop", b"after", b"after"):
            asker.sendto(data, target)
        hear(port, protocol, 1)
        assert [one.data for one in protocol.heard] == [b"stop"]
        assert port.fileno() == -1
        port.doRead()  # a reactor may have this turn in hand
        assert not port.counts
    assert len(log.flush_faults()) == raises


def test_a_port_that_loses_its_connection_closes_once() -> None:
    protocol = Listens()
    with listening(bound(("127.0.0.1", 0)), protocol) as port:
        port.loseConnection()
        port.loseConnection()
        assert port.stopListening() is None
        assert protocol.stops == 1
        assert port.getHandle().fileno() == -1


def test_what_an_ipv6_group_was_asked_is_answered_from_the_interface_of_the_question() -> None:
    sock, protocol = ScriptedSocket("::"), Listens(lambda data, addr: port.write(data, addr))
    with listening(sock, protocol) as port:
        for asked, answered_from in (("ff02::1", "::"), ("2001:db8::7", "2001:db8::7")):
            sock.beside = [pktinfo(asked)]
            sock.arriving.append(b"question")
            port.doRead()
            assert sock.sent_beside == [pktinfo(answered_from)]


def pktinfo(address: str) -> tuple[int, int, bytes]:
    """What the kernel tells of a datagram to this address, over the third interface."""
    kind = 50  # IPV6_PKTINFO (linux/in6.h)
    data = socket.inet_pton(socket.AF_INET6, address) + struct.pack("=I", 3)
    return (socket.IPPROTO_IPV6, kind, data)
