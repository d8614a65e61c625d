"""What a protocol can have told beside each datagram: when and where it came in."""

from __future__ import annotations

import socket
import time
from pathlib import Path
from typing import Any

import pytest

from sockd.reactor.ancillary import Told, Wanted
from sockd.reactor.udp import UDPPort
from tests.memory import Loop
from tests.processes import PATIENCE
from tests.reactor.ports import (
    BOTH_WAYS,
    PLAIN,
    Listens,
    bound,
    delivered,
    hear,
    listening,
    read_when_ready,
)

LOOPBACK = socket.if_nametoindex("lo")
GROUP = "239.255.7.7"


class Asks(Listens):
    """Wants to be told, and answers with what it is asked."""

    def __init__(self, wants: Wanted) -> None:
        super().__init__(lambda data, addr: self.transport.write(data, addr))  # type: ignore[union-attr]
        self.wants_told = wants

    @property
    def told(self) -> list[Told | None]:
        """What it was told."""
        return [one.told for one in self.heard]


@pytest.mark.parametrize("in_batches", BOTH_WAYS)
@pytest.mark.parametrize("family", ["udp", "udp6", "unixgram"])
def test_the_time_is_that_of_coming_and_not_of_reading(
    family: str, in_batches: bool, tmp_path: Path
) -> None:
    kind, place = {
        "udp": (socket.AF_INET, (PLAIN, 0)),
        "udp6": (socket.AF_INET6, ("::1", 0)),
        "unixgram": (socket.AF_UNIX, str(tmp_path / "port")),
    }[family]
    protocol = Asks(Wanted.TIME)
    with (
        listening(bound(place, kind), protocol, in_batches) as port,
        socket.socket(kind, socket.SOCK_DGRAM) as asker,
    ):
        end = time.monotonic() + PATIENCE
        stamp = came = 0
        while not came or stamp > came:  # the kernel takes a moment to begin with stamps
            assert time.monotonic() < end, f"never the time of coming within {PATIENCE} s"
            before = time.time_ns()
            asker.sendto(b"", port.socket.getsockname())
            delivered()
            came = time.time_ns()
            hear(port, protocol, len(protocol.heard) + 1)
            told = protocol.told[-1]
            assert told is not None
            assert told.time_ns is not None
            stamp = told.time_ns
            assert before <= stamp <= time.time_ns()
            assert told[1:] == (None, None)
        assert port.told is None


@pytest.mark.parametrize("in_batches", BOTH_WAYS)
@pytest.mark.parametrize(
    ("family", "place", "asked"),
    [
        (socket.AF_INET, "127.0.0.2", "127.0.0.2"),
        (socket.AF_INET, "0.0.0.0", "127.0.0.3"),
        (socket.AF_INET6, "::1", "::1"),
        (socket.AF_INET6, "::", "::1"),
    ],
    ids=["udp on one address", "udp on all", "udp6 on one address", "udp6 on all"],
)
def test_the_interface_and_the_address_that_was_asked_are_told_on_every_binding(
    family: socket.AddressFamily, place: str, asked: str, in_batches: bool
) -> None:
    protocol = Asks(Wanted.INTERFACE)
    with (
        listening(bound((place, 0), family), protocol, in_batches) as port,
        bound(("::1" if family == socket.AF_INET6 else PLAIN, 0), family) as asker,
    ):
        number = port.socket.getsockname()[1]
        for question in (b"first", b"second"):
            asker.sendto(question, (asked, number))
        hear(port, protocol, 2)
        assert protocol.told == [Told(None, LOOPBACK, asked)] * 2
        assert all(one.asked for one in protocol.heard)
        for question in (b"first", b"second"):
            data, where = asker.recvfrom(100)
            assert (data, where[:2]) == (question, (asked, number))
    assert not port.counts


@pytest.mark.parametrize("in_batches", BOTH_WAYS)
def test_what_a_group_was_asked_says_which_and_is_answered_from_our_own_address(
    in_batches: bool,
) -> None:
    protocol = Asks(Wanted.INTERFACE | Wanted.TIME)
    sock, asker = bound(("0.0.0.0", 0)), bound((PLAIN, 0))
    loopback = socket.inet_aton(PLAIN)
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(GROUP) + loopback)
    asker.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, loopback)
    with listening(sock, protocol, in_batches) as port, asker:
        number = sock.getsockname()[1]
        for where in (GROUP, "127.0.0.9", GROUP):
            asker.sendto(b"question", (where, number))
        hear(port, protocol, 3)
        destinations = [told.destination for told in protocol.told if told and told.time_ns]
        assert destinations == [GROUP, "127.0.0.9", GROUP]
        assert {told.interface for told in protocol.told if told} == {LOOPBACK}
        answered_from = [asker.recvfrom(100)[1][0] for _ in "123"]
        assert answered_from == [PLAIN, "127.0.0.9", PLAIN]
    assert not port.counts


@pytest.mark.parametrize("in_batches", BOTH_WAYS)
@pytest.mark.parametrize("place", [PLAIN, "0.0.0.0"])
def test_who_does_not_ask_is_told_nothing(place: str, in_batches: bool) -> None:
    protocol = Listens()
    with (
        listening(bound((place, 0)), protocol, in_batches) as port,
        bound((PLAIN, 0)) as asker,
    ):
        asker.sendto(b"", (PLAIN, port.socket.getsockname()[1]))
        hear(port, protocol, 1)
    assert protocol.heard[0].told is None


class InBatches(Asks):
    """Takes a turn's datagrams at once."""

    def __init__(self, wants: Wanted) -> None:
        super().__init__(wants)
        self.batches: list[Any] = []

    def datagramsReceived(self, batch: Any) -> None:
        self.batches += batch


@pytest.mark.parametrize("in_batches", BOTH_WAYS)
def test_in_a_batch_it_is_the_sixth_of_each_datagram(in_batches: bool) -> None:
    protocol = InBatches(Wanted.INTERFACE)
    with (
        listening(bound((PLAIN, 0)), protocol, in_batches) as port,
        bound((PLAIN, 0)) as asker,
    ):
        asker.sendto(b"question", port.socket.getsockname())
        read_when_ready(port)
        [(data, sender, asked, pid, uid, told)] = protocol.batches
        assert (data, sender, pid, uid) == (b"question", asker.getsockname(), None, None)
        assert asked is not None
        assert told == Told(None, LOOPBACK, PLAIN)


def test_a_port_of_the_reactor_tells_too() -> None:
    protocol = Asks(Wanted.INTERFACE | Wanted.TIME)
    loop: Any = Loop()
    port = UDPPort(0, protocol, PLAIN, 8192, loop)
    port.startListening()
    with bound((PLAIN, 0)) as asker:
        asker.sendto(b"question", (PLAIN, port.getHost().port))
        read_when_ready(port)
    port.connectionLost(None)
    [told] = protocol.told
    assert told is not None
    assert (told.interface, told.destination) == (LOOPBACK, PLAIN)
    assert told.time_ns
