"""A port that wants to know hears whom the network does not reach, and goes on as before."""

from __future__ import annotations

import select
import socket
from typing import Any

import pytest
from pytest_twisted import ensureDeferred

from sockd.reactor.datagram import ERRORS_EVERY, DatagramPort
from sockd.reactor.unreached import MOST_AT_ONCE, ask, read
from sockd.testing.running import running_reactor
from tests.helpers import until
from tests.reactor.ports import (
    BOTH_WAYS,
    PLAIN,
    Listens,
    bound,
    listening,
    nobody,
    read_when_ready,
    send,
)


class Wants(Listens):
    """Hears errors too."""

    def __init__(self) -> None:
        super().__init__()
        self.errors: list[Any] = []

    def unreached(self, address: Any) -> None:
        self.errors.append(address)


def is_ready(sock: socket.socket) -> bool:
    """Whether a reactor would have it read."""
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))


@pytest.mark.parametrize("in_batches", BOTH_WAYS)
@pytest.mark.parametrize(
    ("family", "host"), [(socket.AF_INET, PLAIN), (socket.AF_INET6, "::1")], ids=["4", "6"]
)
def test_who_is_not_there_is_told_and_the_port_rests(
    in_batches: bool, family: socket.AddressFamily, host: str
) -> None:
    protocol = Wants()
    with bound((host, 0), family) as gone, bound((host, 0), family) as here:
        gone.connect(gone.getsockname()[:2])  # it hears itself alone
        with listening(bound((host, 0), family), protocol, in_batches) as port:
            address = gone.getsockname()[:2]
            assert port.write(b"x", address)
            read_when_ready(port)
            while is_ready(port.socket):
                port.doRead()
            assert protocol.errors == [address]
            assert port.write(b"y", here.getsockname()[:2])
            assert here.recv(10) == b"y"


@pytest.mark.parametrize("in_batches", BOTH_WAYS)
def test_errors_cost_no_datagram_that_is_sent_or_comes(in_batches: bool) -> None:
    protocol = Wants()
    with (
        nobody() as gone,
        bound((PLAIN, 0)) as here,
        listening(bound((PLAIN, 0)), protocol, in_batches) as port,
    ):
        for number in range(50):
            assert port.write(b"lost", gone)
            assert port.write(b"%d" % number, here.getsockname())
            send(port, b"in %d" % number)
        assert [here.recv(10) for _ in range(50)] == [b"%d" % number for number in range(50)]
        while is_ready(port.socket):
            port.doRead()
        assert [heard.data for heard in protocol.heard] == [b"in %d" % one for one in range(50)]
        assert set(protocol.errors) == {gone}


def test_errors_are_read_though_datagrams_come_all_the_time() -> None:
    protocol = Wants()
    with nobody() as gone, listening(bound((PLAIN, 0)), protocol) as port:
        assert port.write(b"lost", gone)
        send(port, b"x")
        for _ in range(ERRORS_EVERY + 1):
            send(port, b"x")
            port.doRead()
        assert protocol.errors == [gone]


def test_a_flood_of_errors_is_read_in_parts() -> None:
    with nobody() as gone, bound((PLAIN, 0)) as sock:
        sock.setblocking(False)
        assert ask(sock)
        sent = 0
        while sent < MOST_AT_ONCE + 5:
            try:
                sock.sendto(b"x", gone)
            except ConnectionRefusedError:
                continue  # that of an earlier one
            sent += 1
        assert read(sock) == [gone] * MOST_AT_ONCE
        assert read(sock) == [gone] * 5
        assert read(sock) == []


def test_a_port_that_does_not_want_to_know_is_told_nothing_nor_is_a_unix_socket() -> None:
    with nobody() as gone, listening(bound((PLAIN, 0)), Listens()) as port:
        assert port.write(b"x", gone)
        assert read(port.socket) == []
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with one, other:
        assert not ask(one)


@ensureDeferred
async def test_no_reactor_takes_an_error_for_the_end_of_the_port() -> None:
    """Errors come alone first, without a datagram that would have it read."""
    protocol = Wants()
    port = DatagramPort(bound((PLAIN, 0)), protocol, running_reactor())
    port.startListening()
    with nobody() as gone:
        for _ in range(3):
            protocol.errors.clear()
            protocol.heard.clear()
            assert port.write(b"lost", gone)
            await until(lambda: protocol.errors)
            send(port, b"x")
            await until(lambda: protocol.heard)
    port.stopListening()
    assert protocol.stops == 1


def test_a_fault_of_who_is_told_costs_the_port_nothing(log: Any) -> None:
    class Fails(Wants):
        def unreached(self, address: Any) -> None:
            super().unreached(address)
            raise ValueError("no")

    protocol = Fails()
    with nobody() as gone, listening(bound((PLAIN, 0)), protocol) as port:
        assert port.write(b"x", gone)
        read_when_ready(port)
        while is_ready(port.socket):
            port.doRead()
        assert protocol.errors == [gone]
        send(port, b"y")
        port.doRead()
        assert protocol.heard[-1].data == b"y"
    assert len(log.flush_faults()) == 1
