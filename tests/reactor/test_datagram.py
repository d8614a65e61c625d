"""The datagram port, on real sockets of this host and on one that fails when a script says so."""

from __future__ import annotations

import errno
import os
import select
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from attrs import frozen
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.protocol import DatagramProtocol
from twisted.internet.task import deferLater

from sockd.reactor.datagram import BATCH, BATCH_BYTES, MAX_DATAGRAM, DatagramPort
from tests.helpers import PATIENCE, LogRecorder
from tests.memory import ASKER, REACTOR, Loop

LONGEST_UDP = 65_507
"""Bytes of the longest UDP datagram over IPv4."""
PLAIN, WILDCARD = "127.0.0.1", "0.0.0.0"
"""A port on the second address also asks the kernel where each datagram was sent to."""
WAITING = {number for number in errno.errorcode if isinstance(OSError(number, ""), BlockingIOError)}
"""What says that there is nothing yet, and is no error."""
ERRORS = sorted(set(errno.errorcode) - WAITING)


@frozen
class Heard:
    """A datagram, and what the port told beside it while it was handed on."""

    data: bytes
    sender: Any
    asked: Any
    uid: int | None


class Listens(DatagramProtocol):
    """Keeps what it hears, and then does what the test wants."""

    noisy = False

    def __init__(self, then: Callable[[bytes, Any], object] | None = None) -> None:
        self.heard: list[Heard] = []
        self.starts = self.stops = 0
        self._then = then

    def startProtocol(self) -> None:
        self.starts += 1

    def stopProtocol(self) -> None:
        self.stops += 1

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        port: Any = self.transport
        self.heard.append(Heard(datagram, addr, port.asked, port.uid))
        if self._then is not None:
            self._then(datagram, addr)


class ScriptedSocket:
    """A socket that gives and takes datagrams, and fails when its script says so."""

    family = socket.AF_INET

    def __init__(self, host: str = PLAIN) -> None:
        self.host = host
        self.arriving: deque[bytes | OSError] = deque()
        self.failing: deque[OSError] = deque()
        self.sent: list[bytes] = []

    def recvfrom(self, size: int) -> tuple[bytes, Any]:
        if not self.arriving:
            raise BlockingIOError(errno.EAGAIN, "nothing there")
        found = self.arriving.popleft()
        if isinstance(found, OSError):
            raise found
        return found[:size], ASKER

    def recvmsg(self, size: int, room: int) -> tuple[bytes, list[Any], int, Any]:
        data, sender = self.recvfrom(size)
        return data, [], 0, sender

    def sendto(self, data: bytes, to: Any) -> int:
        if self.failing:
            raise self.failing.popleft()
        self.sent.append(data)
        return len(data)

    def sendmsg(self, data: Sequence[bytes], ancillary: Any, flags: int, to: Any) -> int:
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


@contextmanager
def listening(sock: Any, protocol: Listens) -> Iterator[DatagramPort]:
    """A port that is read when the test says so."""
    port = DatagramPort(sock, protocol, Loop())  # type: ignore[arg-type]  # has what it needs
    port.startListening()
    try:
        yield port
    finally:
        port.stopListening()
        assert protocol.starts == protocol.stops == 1


def bound(
    address: Any, family: socket.AddressFamily = socket.AF_INET, v6_only: bool = True
) -> socket.socket:
    """A datagram socket: on a port that the kernel chooses, or a path."""
    sock = socket.socket(family, socket.SOCK_DGRAM)
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, v6_only)
    sock.bind(address)
    sock.settimeout(PATIENCE)
    return sock


def read_until(port: DatagramPort, condition: Callable[[], bool]) -> None:
    """Have the port read, as a reactor does, until the condition holds."""
    poll = select.poll()
    poll.register(port.socket, select.POLLIN)
    end = time.monotonic() + PATIENCE
    while not condition():
        assert poll.poll((end - time.monotonic()) * 1000), f"nothing within {PATIENCE} s"
        port.doRead()


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
    await deferLater(REACTOR, 0.05)
    assert port.stopListening() is None
    assert len(protocol.heard) > BATCH
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
    assert "error in Listens" in log.lines() or not port.counts


# the end


@pytest.mark.parametrize("host", [PLAIN, WILDCARD])
@pytest.mark.parametrize("raises", [False, True])
def test_a_port_can_be_stopped_while_it_hands_on(
    host: str, raises: bool, log: LogRecorder
) -> None:
    def stop(*_: object) -> None:
        port.stopListening()
        if raises:
            raise ValueError("a fault of the protocol")

    protocol = Listens(stop)
    with listening(bound((host, 0)), protocol) as port, bound(("127.0.0.1", 0)) as asker:
        target = ("127.0.0.1", port.getHost().port)  # type: ignore[attr-defined]
        for data in (b"stop", b"after", b"after"):
            asker.sendto(data, target)
        read_until(port, lambda: bool(protocol.heard))
        assert [one.data for one in protocol.heard] == [b"stop"]
        assert port.fileno() == -1
        port.doRead()  # a reactor may have this turn in hand
        assert not port.counts
    assert len(log.flush_faults()) == raises


def test_a_port_that_loses_its_connection_closes_once() -> None:
    protocol = Listens()
    with listening(bound(("127.0.0.1", 0)), protocol) as port:
        assert port in port.reactor.getReaders() if hasattr(port.reactor, "getReaders") else True
        port.loseConnection()
        port.loseConnection()
        assert port.stopListening() is None
        assert protocol.stops == 1
        assert port.getHandle().fileno() == -1


# what comes through


FAMILIES = {"udp": socket.AF_INET, "udp6": socket.AF_INET6, "unixgram": socket.AF_UNIX}
PAYLOADS = st.lists(
    st.binary(max_size=40)
    | st.builds(
        lambda length, seed: (seed * (length // len(seed) + 1))[:length],
        st.integers(0, LONGEST_UDP) | st.just(LONGEST_UDP),
        st.binary(min_size=1, max_size=300),
    ),
    max_size=40,
)


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_any_sequence_of_datagrams_comes_through_in_order_and_whole(
    family: socket.AddressFamily, tmp_path: Path
) -> None:
    places: list[Any] = {
        socket.AF_INET: [("127.0.0.1", 0)] * 2,
        socket.AF_INET6: [("::1", 0)] * 2,
        socket.AF_UNIX: [str(tmp_path / "port"), str(tmp_path / "asker")],
    }[family]
    protocol = Listens()
    sock, asker = (bound(place, family) for place in places)
    with listening(sock, protocol) as port, asker:

        @settings(phases=[Phase.generate])
        @given(PAYLOADS)
        def check(payloads: list[bytes]) -> None:
            protocol.heard.clear()
            sent = waiting = 0
            for data in payloads:
                # a socket's buffer holds so much everywhere, and ten datagrams of a local one
                if waiting + len(data) > LONGEST_UDP or sent - len(protocol.heard) == 10:
                    read_until(port, lambda sent=sent: len(protocol.heard) == sent)  # type: ignore[misc]
                    waiting = 0
                asker.sendto(data, sock.getsockname())
                sent += 1
                waiting += len(data)
            read_until(port, lambda: len(protocol.heard) == len(payloads))
            assert [one.data for one in protocol.heard] == payloads
            name = asker.getsockname()
            here = (name, 0) if family == socket.AF_UNIX else name[:2]
            assert {one.sender for one in protocol.heard} <= {here}

        check()
    assert not port.counts


# Unix datagrams


def test_a_longer_datagram_than_udp_carries_is_dropped_and_counted(tmp_path: Path) -> None:
    protocol = Listens()
    path = str(tmp_path / "port")
    with (
        listening(bound(path, socket.AF_UNIX), protocol) as port,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as asker,
    ):
        for length in (MAX_DATAGRAM, MAX_DATAGRAM + 1, 100_000):
            asker.sendto(b"a" * length, path)
            port.doRead()
            assert (port.uid, port.asked) == (None, None)
        asker.sendto(b"after", path)
        port.doRead()
    assert [len(one.data) for one in protocol.heard] == [MAX_DATAGRAM, 5]
    assert port.counts == {"truncated": 2}


def test_a_peer_without_a_name_is_an_empty_path(tmp_path: Path) -> None:
    protocol = Listens(lambda data, addr: port.write(b"answer", addr))
    path = str(tmp_path / "port")
    with (
        listening(bound(path, socket.AF_UNIX), protocol) as port,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as asker,
    ):
        asker.sendto(b"", path)
        asker.sendto(b"again", path)
        port.doRead()
    assert [one.sender for one in protocol.heard] == [("", 0), ("", 0)]
    assert port.counts == {"send EINVAL": 2}


@pytest.mark.parametrize(
    "name", ["asker", "żółw", b"\xff\xfe", b"\0sockd %d", b"\0\xff%d\0"], ids=repr
)
def test_a_peer_is_answered_by_whatever_name_it_has(name: Any, tmp_path: Path) -> None:
    protocol = Listens(lambda data, addr: port.write(b"answer", addr))
    if isinstance(name, bytes) and b"%d" in name:
        name = name % os.getpid()  # one for the whole network namespace
    else:
        name = os.fsencode(tmp_path) + b"/" + os.fsencode(name)
    path = str(tmp_path / "port")
    with (
        listening(bound(path, socket.AF_UNIX), protocol) as port,
        bound(name, socket.AF_UNIX) as asker,
    ):
        asker.sendto(b"question", path)
        port.doRead()
        assert asker.recv(100) == b"answer"
    assert protocol.heard[0].sender == (os.fsdecode(name), 0)
    assert not port.counts


def test_a_peer_that_is_full_or_gone_costs_only_its_answers(tmp_path: Path) -> None:
    path = str(tmp_path / "asker")
    with listening(bound(str(tmp_path / "port"), socket.AF_UNIX), Listens()) as port:
        with bound(path, socket.AF_UNIX) as asker:
            sent = 0
            while port.write(b"answer", (path, 0)):
                sent += 1
            assert port.last_error == "the send buffer is full"
            assert not port.write(b"answer", (path, 0))
            assert port.counts == {"dropped": 2}
            assert [asker.recv(100) for _ in range(sent)] == [b"answer"] * sent
            assert port.write(b"room again", (path, 0))
        assert not port.write(b"answer", (path, 0))
        Path(path).unlink()
        assert not port.write(b"answer", (path, 0))
        assert not port.write(b"answer", (path * 20, 0))
    assert port.counts.pop("send ECONNREFUSED") == 1
    assert port.counts.pop("send ENOENT") == 1
    assert port.counts.total() == 3


def test_the_sender_of_a_local_datagram_is_known_while_it_is_handed_on(tmp_path: Path) -> None:
    protocol = Listens()
    path = str(tmp_path / "port")
    with (
        listening(bound(path, socket.AF_UNIX), protocol) as port,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as asker,
    ):
        asker.sendto(b"", path)
        port.doRead()
        assert port.uid is None
    assert [one.uid for one in protocol.heard] == [os.getuid()]


def test_descriptors_that_a_local_peer_sends_are_closed(tmp_path: Path) -> None:
    protocol = Listens()
    path = str(tmp_path / "port")
    with (
        listening(bound(path, socket.AF_UNIX), protocol) as port,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as asker,
    ):
        before = sorted(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names are all that matters
        for data in (b"whole", b"a" * (MAX_DATAGRAM + 1)):
            for count in (1, 5, 100):
                socket.send_fds(asker, [data], [asker.fileno()] * count, 0, path)  # type: ignore[arg-type]
                port.doRead()
        assert sorted(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
    assert [(one.data, one.uid) for one in protocol.heard] == [(b"whole", os.getuid())] * 3


# addresses


def test_a_wildcard_port_answers_from_the_address_that_was_asked() -> None:
    protocol = Listens(lambda data, addr: port.write(data, addr))
    with listening(bound(("0.0.0.0", 0)), protocol) as port:
        number = port.socket.getsockname()[1]
        for asked in ("127.0.0.1", "127.0.0.2", "127.0.0.3"):
            with bound(("127.0.0.1", 0)) as asker:
                asker.sendto(asked.encode(), (asked, number))
                before = len(protocol.heard)
                read_until(port, lambda before=before: len(protocol.heard) > before)  # type: ignore[misc]
                assert asker.recvfrom(100) == (asked.encode(), (asked, number))
                assert port.asked is None
    assert not port.counts


def test_a_later_answer_leaves_from_the_address_that_was_asked_then() -> None:
    protocol = Listens()
    with (
        listening(bound(("0.0.0.0", 0)), protocol) as port,
        bound(("127.0.0.1", 0)) as first,
        bound(("127.0.0.1", 0)) as second,
    ):
        number = port.socket.getsockname()[1]
        first.sendto(b"first", ("127.0.0.2", number))
        read_until(port, lambda: len(protocol.heard) == 1)
        second.sendto(b"second", ("127.0.0.3", number))
        read_until(port, lambda: len(protocol.heard) == 2)
        for one in protocol.heard:
            assert port.write(b"answer", one.sender, source=one.asked)
        assert first.recvfrom(100) == (b"answer", ("127.0.0.2", number))
        assert second.recvfrom(100) == (b"answer", ("127.0.0.3", number))


def test_a_port_on_one_address_is_told_of_none() -> None:
    protocol = Listens()
    with listening(bound(("127.0.0.2", 0)), protocol) as port, bound(("127.0.0.1", 0)) as asker:
        asker.sendto(b"", port.socket.getsockname())
        read_until(port, lambda: bool(protocol.heard))
        assert port.write(b"answer", protocol.heard[0].sender)
        assert asker.recvfrom(100) == (b"answer", port.socket.getsockname())
    assert [one.asked for one in protocol.heard] == [None]


@pytest.mark.parametrize("host", ["::", "::1"])
def test_ipv6_is_answered_from_the_address_that_was_asked(host: str) -> None:
    protocol = Listens(lambda data, addr: port.write(data, addr))
    with (
        listening(bound((host, 0), socket.AF_INET6), protocol) as port,
        bound(("::1", 0), socket.AF_INET6) as asker,
    ):
        number = port.socket.getsockname()[1]
        asker.sendto(b"question", ("::1", number))
        read_until(port, lambda: bool(protocol.heard))
        assert asker.recvfrom(100)[:2] == (b"question", ("::1", number, 0, 0))
        [one] = protocol.heard
        assert one.sender == asker.getsockname()[:2]
        assert (one.asked is not None) == (host == "::")
        assert port.write(b"later", one.sender, source=one.asked)
        assert asker.recvfrom(100)[:2] == (b"later", ("::1", number, 0, 0))
    assert not port.counts


def test_a_socket_of_both_families_answers_from_the_address_that_was_asked() -> None:
    protocol = Listens(lambda data, addr: port.write(data, addr))
    sock = bound(("::", 0), socket.AF_INET6, v6_only=False)
    with listening(sock, protocol) as port, bound(("127.0.0.1", 0)) as asker:
        number = sock.getsockname()[1]
        asker.sendto(b"question", ("127.0.0.2", number))
        read_until(port, lambda: bool(protocol.heard))
        assert asker.recvfrom(100) == (b"question", ("127.0.0.2", number))
    assert protocol.heard[0].sender == ("::ffff:127.0.0.1", protocol.heard[0].sender[1])
    assert not port.counts


def test_a_port_tells_where_it_listens(tmp_path: Path) -> None:
    path = str(tmp_path / "port")
    for sock, kind in (
        (bound(("127.0.0.1", 0)), IPv4Address),
        (bound(("::1", 0), socket.AF_INET6), IPv6Address),
    ):
        with listening(sock, Listens()) as port:
            assert port.getHost() == kind("UDP", *sock.getsockname()[:2])
            assert port.getHandle() is sock
            assert port.fileno() == sock.fileno()
            assert port.logPrefix() == "Listens"
    with listening(bound(path, socket.AF_UNIX), Listens()) as port:
        assert port.getHost() == UNIXAddress(path)
    with suppress(OSError):
        port.doRead()
