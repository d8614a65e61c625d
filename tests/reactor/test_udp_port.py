"""The port that `listenUDP` returns: Twisted's own contract, in batches, on the running reactor.

Twisted's suites are run against it too; here is what they do not ask.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.error import CannotListenError, InvalidAddressError, MessageLengthError
from twisted.internet.interfaces import IListeningPort, IMulticastTransport, IUDPTransport
from twisted.internet.protocol import DatagramProtocol
from zope.interface.verify import verifyObject

from sockd.reactor.udp import DatagramReactor, UDPPort
from tests.helpers import LogRecorder, until
from tests.memory import REACTOR
from tests.reactor.ports import LONGEST_UDP, Heard, Listens, bound, nobody, read_when_ready

FAMILIES = {"udp": "127.0.0.1", "udp6": "::1"}


class Listening(DatagramReactor):
    """The running reactor, with ports of ours whatever it is."""

    def __getattr__(self, name: str) -> Any:
        return getattr(REACTOR, name)


LISTENING = Listening()


def listen(protocol: DatagramProtocol, port: int = 0, *args: Any, **more: Any) -> UDPPort:
    """A port of the running reactor."""
    return LISTENING.listenUDP(port, protocol, *args, **more)


async def heard(protocol: Listens, count: int) -> list[Heard]:
    """The first of what comes."""
    await until(lambda: len(protocol.heard) >= count)
    return protocol.heard[:count]


@pytest.mark.parametrize("host", FAMILIES.values(), ids=FAMILIES)
@pytest_twisted.ensureDeferred
async def test_what_is_asked_is_answered(host: str) -> None:
    protocol = Listens(lambda data, addr: port.write(data * 2, addr))
    port = listen(protocol, interface=host)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with bound((host, 0), family) as asker:
        for number in range(100):
            asker.sendto(b"%d" % number, (host, port.getHost().port))
        await heard(protocol, 100)
        assert [asker.recv(100) for _ in range(100)] == [b"%d" % n * 2 for n in range(100)]
        assert {one.sender for one in protocol.heard} == {asker.getsockname()[:2]}
    assert not port.counts
    await port.stopListening()


@pytest_twisted.ensureDeferred
async def test_a_wildcard_port_answers_from_the_address_that_was_asked() -> None:
    protocol = Listens(lambda data, addr: port.write(data, addr))
    port = listen(protocol)
    number = port.getHost().port
    with bound(("127.0.0.1", 0)) as asker:
        for host in ("127.0.0.2", "127.0.0.3"):
            asker.sendto(host.encode(), (host, number))
        await heard(protocol, 2)
        for host in ("127.0.0.2", "127.0.0.3"):
            assert asker.recvfrom(100) == (host.encode(), (host, number))
    await port.stopListening()


@pytest_twisted.ensureDeferred
async def test_it_provides_what_twisteds_own_ports_do() -> None:
    port = listen(Listens(), interface="127.0.0.1")
    for interface in (IListeningPort, IUDPTransport, IMulticastTransport):
        assert verifyObject(interface, port)
    await port.stopListening()


# Twisted leaves the socket that it could not bind to the garbage collector
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest_twisted.ensureDeferred
async def test_an_address_that_is_taken_is_an_error_at_once() -> None:
    port = listen(Listens(), interface="127.0.0.1")
    with pytest.raises(CannotListenError):
        listen(Listens(), port.getHost().port, "127.0.0.1")
    await port.stopListening()


@pytest_twisted.ensureDeferred
async def test_a_datagram_is_cut_at_the_size_that_was_asked_for() -> None:
    protocol = Listens()
    port = listen(protocol, 0, "127.0.0.1", 5)
    with bound(("127.0.0.1", 0)) as asker:
        for data in (b"1234", b"12345", b"123456"):
            asker.sendto(data, ("127.0.0.1", port.getHost().port))
        assert [one.data for one in await heard(protocol, 3)] == [b"1234", b"12345", b"12345"]
    await port.stopListening()


MISTAKES = {
    "a host name": (b"?", ("localhost", 9), InvalidAddressError),
    "the other family": (b"?", ("::1", 9), InvalidAddressError),
    "too long": (b"?" * (LONGEST_UDP + 1), ("127.0.0.1", 9), MessageLengthError),
    "text": ("?", ("127.0.0.1", 9), TypeError),
    "no address": (b"?", None, AssertionError),
}


@pytest.mark.parametrize("data, address, error", MISTAKES.values(), ids=MISTAKES)  # noqa: PT006 - as a row
@pytest_twisted.ensureDeferred
async def test_what_cannot_be_meant_is_raised_in_a_turn_and_outside(
    data: Any, address: Any, error: type[Exception]
) -> None:
    raised: list[Exception] = []

    def write(*_: object) -> None:
        port.write(b"before", here.getsockname())
        with pytest.raises(error) as caught:
            port.write(data, address)
        raised.append(caught.value)
        port.write(b"after", here.getsockname())

    protocol = Listens(write)
    port = listen(protocol, interface="127.0.0.1")
    with bound(("127.0.0.1", 0)) as here:
        write()
        here.sendto(b"?", ("127.0.0.1", port.getHost().port))
        await heard(protocol, 1)
        assert [here.recv(100) for _ in range(4)] == [b"before", b"after"] * 2
    assert len(raised) == 2
    await port.stopListening()


@pytest.mark.parametrize("make", [bytearray, memoryview, bytes])
@pytest_twisted.ensureDeferred
async def test_what_is_written_is_what_it_was_then(make: Callable[[bytes], Any]) -> None:
    def write(_: bytes, addr: Any) -> None:
        data = make(b"written")
        port.write(data, addr)
        if isinstance(data, bytearray):
            data[:] = b"changed"

    port = listen(Listens(write), interface="127.0.0.1")
    with bound(("127.0.0.1", 0)) as asker:
        asker.sendto(b"?", ("127.0.0.1", port.getHost().port))
        await until(lambda: len(port.protocol.heard) == 1)
        assert asker.recv(100) == b"written"
    await port.stopListening()


@pytest_twisted.ensureDeferred
async def test_a_port_that_is_connected_in_a_turn_keeps_the_order() -> None:
    def connect(_: bytes, addr: Any) -> None:
        port.write(b"first", addr)
        port.connect(*addr)
        port.write(b"second")
        port.write(b"third", addr)

    port = listen(Listens(connect), interface="127.0.0.1")
    with bound(("127.0.0.1", 0)) as asker:
        asker.sendto(b"?", ("127.0.0.1", port.getHost().port))
        await until(lambda: len(port.protocol.heard) == 1)
        assert [asker.recv(100) for _ in range(3)] == [b"first", b"second", b"third"]
    await port.stopListening()


@pytest_twisted.ensureDeferred
async def test_who_is_connected_to_nobody_is_told() -> None:
    class Refused(Listens):
        refusals = 0

        def connectionRefused(self) -> None:
            self.refusals += 1

    protocol = Refused()
    port = listen(protocol, interface="127.0.0.1")
    with nobody() as nowhere:
        port.connect(*nowhere)
        port.write(b"?")
        read_when_ready(port)
    assert protocol.refusals == 1
    assert port.counts == {"receive ECONNREFUSED": 1}
    await port.stopListening()


@pytest_twisted.ensureDeferred
async def test_a_protocol_that_fails_costs_its_datagram(log: LogRecorder) -> None:
    def fail(data: bytes, _: Any) -> None:
        if data == b"bad":
            raise ValueError("a fault of the protocol")

    protocol = Listens(fail)
    port = listen(protocol, interface="127.0.0.1")
    with bound(("127.0.0.1", 0)) as asker:
        for data in (b"bad", b"good"):
            asker.sendto(data, ("127.0.0.1", port.getHost().port))
        await heard(protocol, 2)
    assert [fault["log_failure"].type for fault in log.flush_faults()] == [ValueError]
    await port.stopListening()


@pytest_twisted.ensureDeferred
async def test_a_port_that_is_stopped_says_so_and_starts_anew() -> None:
    protocol = Listens()
    for _ in range(2):
        port = listen(protocol, interface="127.0.0.1")
        await port.stopListening()
        assert port.stopListening() is None
    assert (protocol.starts, protocol.stops) == (2, 2)


@pytest_twisted.ensureDeferred
async def test_a_socket_that_is_bound_is_adopted() -> None:
    protocol = Listens(lambda data, addr: port.write(data, addr))
    with bound(("127.0.0.1", 0)) as sock, bound(("127.0.0.1", 0)) as asker:
        sock.setblocking(False)
        port = LISTENING.adoptDatagramPort(sock.fileno(), sock.family, protocol)
        asker.sendto(b"?", sock.getsockname())
        await heard(protocol, 1)
        assert asker.recv(100) == b"?"
        await port.stopListening()


@pytest_twisted.ensureDeferred
async def test_a_group_is_joined_heard_and_left() -> None:
    protocol = Listens()
    port = LISTENING.listenMulticast(0, protocol, listenMultiple=True)
    second = LISTENING.listenMulticast(port.getHost().port, Listens(), listenMultiple=True)
    group = "224.225.226.227"
    await port.joinGroup(group, "127.0.0.1")
    await port.setOutgoingInterface("127.0.0.1")
    port.write_many(b"to all", [(group, port.getHost().port)] * 2)
    assert [one.data for one in await heard(protocol, 2)] == [b"to all"] * 2
    await port.leaveGroup(group, "127.0.0.1")
    for one in (port, second):
        await one.stopListening()
