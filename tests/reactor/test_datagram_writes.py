"""What a datagram port sends: in a turn, outside of one, and to many addresses at once."""

from __future__ import annotations

import select
from collections.abc import Sequence
from typing import Any

import pytest
from twisted.internet.protocol import DatagramProtocol

from sockd.reactor.wire import Answer, Datagram
from tests.helpers import LogRecorder
from tests.reactor.ports import (
    BOTH_WAYS,
    PLAIN,
    WILDCARD,
    Listens,
    bound,
    delivered,
    listening,
    names,
    read_when_ready,
    send,
)


@pytest.mark.parametrize("in_batches", BOTH_WAYS)
def test_what_is_written_in_a_turn_leaves_in_order_and_at_its_end(in_batches: bool) -> None:
    def answer(data: bytes, addr: Any) -> None:
        assert select.select([asker], [], [], 0)[0] == []
        for number in range(3):
            assert port.write(b"%s %d" % (data, number), addr)

    protocol = Listens(answer)
    with (
        listening(bound((PLAIN, 0)), protocol, in_batches) as port,
        bound(("127.0.0.1", 0)) as asker,
    ):
        for data in names(10):
            asker.sendto(data, port.socket.getsockname())
        delivered()
        port.doRead()
        written = [b"%s %d" % (data, number) for data in names(10) for number in range(3)]
        assert [asker.recv(100) for _ in written] == written
        assert port.write(b"at once", asker.getsockname())
        assert asker.recv(100) == b"at once"


@pytest.mark.parametrize("in_batches", BOTH_WAYS)
def test_more_than_32_that_are_written_in_a_turn_leave_in_order(in_batches: bool) -> None:
    protocol = Listens(lambda _, addr: [port.write(data, addr) for data in names(100)])
    with (
        listening(bound((PLAIN, 0)), protocol, in_batches) as port,
        bound(("127.0.0.1", 0)) as asker,
    ):
        asker.sendto(b"?", port.socket.getsockname())
        read_when_ready(port)
        assert [asker.recv(100) for _ in range(100)] == names(100)


@pytest.mark.parametrize("in_batches", BOTH_WAYS)
def test_what_is_written_before_the_port_is_closed_leaves(in_batches: bool) -> None:
    def answer(data: bytes, addr: Any) -> None:
        port.write(data, addr)
        port.stopListening()

    with (
        listening(bound((PLAIN, 0)), Listens(answer), in_batches) as port,
        bound(("127.0.0.1", 0)) as asker,
    ):
        asker.sendto(b"farewell", port.socket.getsockname())
        read_when_ready(port)
        assert asker.recv(100) == b"farewell"


@pytest.mark.parametrize("in_batches", BOTH_WAYS)
def test_a_protocol_that_turns_the_reactor_itself_loses_nothing(in_batches: bool) -> None:
    def answer(data: bytes, addr: Any) -> None:
        port.write(data, addr)
        if data == b"5":
            send(port, b"inner")
            port.doRead()
        port.write(data, addr)

    protocol = Listens(answer)
    with (
        listening(bound((PLAIN, 0)), protocol, in_batches) as port,
        bound(("127.0.0.1", 0)) as asker,
    ):
        for data in names(10):
            asker.sendto(data, port.socket.getsockname())
        delivered()
        port.doRead()
        assert [asker.recv(100) for _ in range(20)] == [one for one in names(10) for _ in "12"]
    assert sorted(one.data for one in protocol.heard) == sorted([*names(10), b"inner"])


class Batches(DatagramProtocol):
    """Wants what a turn brings all at once; answers what is none of its faults."""

    noisy = False

    def __init__(self) -> None:
        self.heard: list[Sequence[Datagram]] = []
        self.refused: list[Sequence[Answer]] = []

    def datagramsReceived(self, batch: Sequence[Datagram]) -> None:
        port: Any = self.transport
        self.heard.append(batch)
        answers = [(data, addr, asked) for data, addr, asked, *_ in batch]
        self.refused.append(port.write_batch(answers))
        if b"bad" in [data for data, *_ in batch]:
            raise ValueError("a fault of the protocol")


@pytest.mark.parametrize("in_batches", BOTH_WAYS)
@pytest.mark.parametrize("host", [PLAIN, WILDCARD])
def test_a_protocol_can_have_what_a_turn_brings_all_at_once(
    host: str, in_batches: bool, log: LogRecorder
) -> None:
    protocol = Batches()
    with (
        listening(bound((host, 0)), protocol, in_batches) as port,
        bound(("127.0.0.1", 0)) as asker,
    ):
        for data in (*names(40), b"bad"):
            asker.sendto(data, ("127.0.0.2" if host == WILDCARD else host, port.getHost().port))  # type: ignore[attr-defined]
        delivered()
        port.doRead()
        port.doRead()
        assert [asker.recv(100) for _ in range(41)] == [*names(40), b"bad"]
    assert [[one[0] for one in batch] for batch in protocol.heard] == [
        names(32),
        [*names(40)[32:], b"bad"],
    ]
    first = protocol.heard[0][0]
    assert first[1] == asker_name(protocol)
    assert (first[2] is not None) == (host == WILDCARD)
    assert first[3:] == (None, None, None)
    assert protocol.refused == [[], []]
    [fault] = log.flush_faults()
    assert fault["log_failure"].type is ValueError


def asker_name(protocol: Batches) -> Any:
    """The one who sent all of it."""
    [name] = {one[1] for batch in protocol.heard for one in batch}
    return name


# to many


@pytest.mark.parametrize("in_batches", BOTH_WAYS)
@pytest.mark.parametrize("count", [0, 1, 2, 31, 32, 33, 100])
def test_a_datagram_goes_to_many_addresses_once_each(count: int, in_batches: bool) -> None:
    listeners = [bound(("127.0.0.1", 0)) for _ in range(count)]
    addresses = [one.getsockname() for one in listeners]
    with listening(bound((PLAIN, 0)), Listens(), in_batches) as port:
        for data in (b"", b"to all of you"):
            assert port.write_many(data, addresses) == count
            assert [one.recv(100) for one in listeners] == [data] * count
    assert select.select(listeners, [], [], 0)[0] == []
    for one in listeners:
        one.close()
    assert not port.counts


@pytest.mark.parametrize("in_batches", BOTH_WAYS)
@pytest.mark.parametrize("at", [0, 1, 31, 32, 40, 99])
@pytest.mark.parametrize(
    "bad", [("127.0.0.1", 0), ("nowhere", 9), ("::1", 9), ("127.0.0.1", 70_000)]
)
def test_an_address_of_many_that_is_none_costs_itself_only(
    bad: Any, at: int, in_batches: bool
) -> None:
    with bound((PLAIN, 0)) as listener, listening(bound((PLAIN, 0)), Listens(), in_batches) as port:
        addresses = [listener.getsockname()] * 99
        addresses.insert(at, bad)
        assert port.write_many(b"hello", addresses) == 99
        assert [listener.recv(100) for _ in range(99)] == [b"hello"] * 99
    assert port.counts.total() == 1
