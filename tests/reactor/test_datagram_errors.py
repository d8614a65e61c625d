"""Whatever the kernel says to a datagram port is counted, and costs what it is about."""

from __future__ import annotations

import errno
import os
import socket
import struct
from typing import Any

import pytest

from sockd.reactor.wire import Answer
from tests.daemons import join, namespace, run, socket_on
from tests.helpers import LogRecorder
from tests.memory import ASKER
from tests.reactor.ports import (
    BOTH_WAYS,
    LONGEST_UDP,
    PLAIN,
    WILDCARD,
    Listens,
    ScriptedSocket,
    bound,
    delivered,
    listening,
    names,
    nobody,
    read_when_ready,
    send,
    turns,
)

WAITING = {number for number in errno.errorcode if isinstance(OSError(number, ""), BlockingIOError)}
"""What says that there is nothing yet, and is no error."""
ERRORS = sorted(set(errno.errorcode) - WAITING)
OVERFLOW = 40
"""SO_RXQ_OVFL (asm-generic/socket.h)."""


def test_any_errno_of_receive_is_counted_by_name_and_the_port_lives() -> None:
    sock, protocol = ScriptedSocket(), Listens()
    with listening(sock, protocol, False) as port:
        for number in ERRORS:
            sock.arriving.extend([OSError(number, "scripted"), f"after {number}".encode()])
            port.doRead()
            assert port.counts[f"receive {errno.errorcode[number]}"] == 1
            assert protocol.heard[-1].data == f"after {number}".encode()
        sock.arriving.extend([OSError(9999, "scripted"), b"after a number without a name"])
        port.doRead()
    assert port.counts.total() == len(ERRORS) + 1
    assert port.counts["receive 9999"] == 1
    assert len(protocol.heard) == len(ERRORS) + 1


@pytest.mark.parametrize("source", [None, (0, 8, b"")], ids=["plain", "from a source"])
def test_any_errno_of_send_is_counted_by_name_and_the_port_lives(source: Any) -> None:
    sock, protocol = ScriptedSocket(), Listens()
    with listening(sock, protocol, False) as port:
        for number in ERRORS:
            sock.failing.extend([OSError(number, os.strerror(number))] * 2)
            assert port.write(b"lost", ASKER, source) is False
            assert port.last_error == os.strerror(number)
            assert port.counts[f"send {errno.errorcode[number]}"] == 1
            assert port.write(b"sent", ASKER, source) is True
        sock.failing.append(BlockingIOError(errno.EAGAIN, "full"))
        assert port.write(b"lost", ASKER, source) is False
        assert port.last_error == "the send buffer is full"
    assert port.counts.pop("dropped") == 1
    assert port.counts.total() == len(ERRORS)
    assert sock.sent == [b"sent"] * len(ERRORS)


def test_an_error_that_comes_once_is_tried_again_and_not_counted() -> None:
    sock = ScriptedSocket()
    with listening(sock, Listens(), False) as port:
        sock.failing.append(OSError(errno.ECONNREFUSED, "of an earlier datagram"))
        assert port.write(b"sent", ASKER)
    assert (sock.sent, port.counts) == ([b"sent"], {})


@pytest.mark.parametrize("in_batches", BOTH_WAYS)
def test_a_pending_error_costs_no_datagram(in_batches: bool) -> None:
    """A connected socket is told that nobody listens where an earlier datagram went."""
    protocol = Listens()
    with nobody() as nowhere, bound((PLAIN, 0)) as here, bound((PLAIN, 0)) as sock:
        sock.connect(nowhere)
        with listening(sock.dup(), protocol, in_batches) as port:
            assert port.write_many(b"a", [nowhere, here.getsockname(), here.getsockname()]) == 3
            assert [here.recv(100) for _ in "12"] == [b"a"] * 2
            assert not port.counts
            delivered()  # what is said of the first, which would else be a second error
            assert port.write(b"b", nowhere)
            read_when_ready(port)
            assert port.counts == {"receive ECONNREFUSED": 1}
            assert port.connected


REFUSED = {
    "EINVAL": (b"", ("127.0.0.1", 0)),
    "EACCES": (b"", ("255.255.255.255", 9)),
    "EMSGSIZE": (b"a" * (LONGEST_UDP + 1), ("127.0.0.1", 9)),
}
"""What the kernel says to a datagram, and where it goes."""


@pytest.mark.parametrize("in_batches", BOTH_WAYS)
def test_what_the_kernel_refuses_to_send_is_counted(in_batches: bool) -> None:
    with listening(bound(("127.0.0.1", 0)), Listens(), in_batches) as port:
        for name, (data, address) in REFUSED.items():
            assert not port.write(data, address)
            assert port.last_error == os.strerror(getattr(errno, name))
        assert port.counts == {f"send {name}": 1 for name in REFUSED}
    assert not port.write(b"the port is closed", ("127.0.0.1", 9))
    assert port.write_many(b"the port is closed", [("127.0.0.1", 9)] * 3) == 0
    assert port.counts["send EBADF"] == 4


@pytest.mark.parametrize("in_batches", BOTH_WAYS)
@pytest.mark.parametrize("where", [[0], [1], [2], [0, 1], [1, 3], [2, 3], [0, 1, 2, 3], [31], [34]])
def test_a_datagram_in_a_batch_that_is_refused_costs_itself_only(
    where: list[int], in_batches: bool
) -> None:
    with bound((PLAIN, 0)) as here, listening(bound((PLAIN, 0)), Listens(), in_batches) as port:
        answers: list[Answer] = [(data, here.getsockname(), None) for data in names(40)]
        refused: list[Answer] = []
        for number, (data, address) in zip(where, REFUSED.values(), strict=False):
            refused.append((data, address, None))
            answers.insert(number, refused[-1])
        assert sorted(port.write_batch(answers)) == sorted(refused)
        assert [here.recv(100) for _ in range(40)] == names(40)
    assert port.counts.total() == len(refused)


@pytest.mark.parametrize("in_batches", BOTH_WAYS)
def test_a_full_send_buffer_drops_and_is_counted(in_batches: bool) -> None:
    """What is sent to a host that is looked for, and never answers, fills the buffer."""
    with namespace() as host, namespace() as other:
        cable, _ = join(host, other)
        # else what waits is given up after three seconds
        patient = ("name", "arp_cache", "dev", cable, "mcast_probes", "120")
        run("ip", "-n", host, "ntable", "change", *patient)
        sock = socket_on(host, socket.AF_INET, socket.SOCK_DGRAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)  # the kernel's least
        with listening(sock, Listens(), in_batches) as port:
            answers: list[Answer] = [(data, ("10.77.0.9", 9), None) for data in names(40)]
            refused = port.write_batch(answers)
            taken = len(answers) - len(refused)
            assert 0 < taken < 40
            assert refused == answers[taken:]
            assert not port.write(b"one more", ("10.77.0.9", 9))
            assert port.last_error == "the send buffer is full"
            assert port.write_many(b"to many", [("10.77.0.9", 9)] * 40) == 0
    assert port.counts == {"dropped": len(refused) + 41}


@pytest.mark.parametrize("in_batches", BOTH_WAYS)
@pytest.mark.parametrize("host", [PLAIN, WILDCARD])
def test_what_found_the_receive_buffer_full_is_counted(host: str, in_batches: bool) -> None:
    sock = bound((host, 0))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 10_000)
    protocol = Listens()
    with listening(sock, protocol, in_batches) as port:
        for _ in range(2):
            before = len(protocol.heard), port.counts["overflow"]
            send(port, *names(500))
            while turns(port, protocol, 1) != [0]:
                pass
            send(port, b"that tells")
            port.doRead()
            heard = len(protocol.heard) - before[0] - 1
            assert 0 < heard < 500
            assert port.counts["overflow"] - before[1] == 500 - heard
    assert set(port.counts) == {"overflow"}


def test_the_count_of_what_found_the_buffer_full_wraps() -> None:
    sock = ScriptedSocket()
    with listening(sock, Listens(), False) as port:
        for lost in (2**32 - 2, 2**32 - 1, 3, 3, 5):
            sock.beside = [(socket.SOL_SOCKET, OVERFLOW, struct.pack("=I", lost))]
            sock.arriving.append(b"a")
            port.doRead()
    assert port.counts == {"overflow": 2**32 + 5}


@pytest.mark.parametrize("in_batches", BOTH_WAYS)
@pytest.mark.parametrize("host", [PLAIN, WILDCARD])
def test_an_exception_in_the_protocol_costs_only_its_datagram(
    host: str, in_batches: bool, log: LogRecorder
) -> None:
    def work(data: bytes, _: Any) -> None:
        if data == b"bad":
            raise ValueError("a fault of the protocol")

    protocol = Listens(work)
    with listening(bound((host, 0)), protocol, in_batches) as port:
        send(port, b"good", b"bad", b"good", b"bad", b"good")
        assert turns(port, protocol, 1) == [5]
        assert port.asked is None
    faults = log.flush_faults()
    assert [fault["log_failure"].type for fault in faults] == [ValueError] * 2
    assert not port.counts
