"""The datagram port: what a turn may cost, and the end; in batches and one by one."""

from __future__ import annotations

import errno
from typing import Any

import pytest
import pytest_twisted

from sockd.reactor.datagram import DatagramPort
from sockd.reactor.mmsg import BATCH
from sockd.reactor.wire import BATCH_BYTES, BatchWire
from tests.helpers import LogRecorder, until
from tests.memory import REACTOR
from tests.reactor.ports import (
    BOTH_WAYS,
    PLAIN,
    WILDCARD,
    Listens,
    ScriptedSocket,
    bound,
    hear,
    listening,
    send,
    turns,
)

# what one turn of the reactor may cost


@pytest.mark.parametrize("in_batches", BOTH_WAYS)
@pytest.mark.parametrize("host", [PLAIN, WILDCARD])
@pytest.mark.parametrize("data", [b"", b"a"])
def test_a_turn_hands_on_at_most_32_datagrams_and_empty_ones_count(
    host: str, data: bytes, in_batches: bool
) -> None:
    protocol = Listens()
    with listening(bound((host, 0)), protocol, in_batches) as port:
        assert isinstance(port._wire, BatchWire) == in_batches
        send(port, *[data] * 100)
        assert turns(port, protocol, 5) == [32, 32, 32, 4, 0]
    assert BATCH == 32


@pytest.mark.parametrize("in_batches", BOTH_WAYS)
def test_a_turn_ends_with_the_datagram_that_makes_it_64_KiB(in_batches: bool) -> None:
    protocol = Listens()
    with listening(bound((PLAIN, 0)), protocol, in_batches) as port:
        send(port, *[b"a" * 30_000] * 7)
        assert turns(port, protocol, 4) == [3, 3, 1, 0]
        send(port, b"a" * 32_768, b"a" * 32_768, b"", b"a")
        assert turns(port, protocol, 3) == [2, 2, 0]
        send(port, b"a" * 32_768, b"a" * 32_767, b"a", b"a")
        assert turns(port, protocol, 3) == [3, 1, 0]
        send(port, b"a" * 32_768, b"a" * 32_767, b"")
        assert turns(port, protocol, 2) == [3, 0]
        send(port, b"a" * 32_768, b"a" * 32_768, b"")
        assert turns(port, protocol, 3) == [2, 1, 0]
    assert BATCH_BYTES == 65_536


def test_what_a_turn_has_read_too_much_is_handed_on_in_the_next_ones_and_before_anything_else() -> (
    None
):
    protocol = Listens()
    with listening(bound((PLAIN, 0)), protocol) as port:
        loop: Any = port.reactor
        sent = [bytes([number]) * 30_000 for number in range(7)]
        send(port, *sent)
        assert port in loop._readers
        port.doRead()
        heard = [3]
        while loop.getDelayedCalls():
            assert port not in loop._readers  # it has enough: nothing more is read for now
            send(port, later := b"later %d" % len(heard))
            sent.append(later)
            [call] = loop.getDelayedCalls()
            loop.calls.remove(call)
            call.func()
            heard.append(len(protocol.heard))
        assert heard == [3, 6, 7]
        assert port in loop._readers
        port.doRead()
        assert [one.data for one in protocol.heard] == sent


@pytest.mark.parametrize("in_batches", BOTH_WAYS)
@pytest_twisted.ensureDeferred
async def test_all_of_it_comes_on_a_reactor_that_hears_nothing_more(in_batches: bool) -> None:
    protocol = Listens()
    port = DatagramPort(bound((PLAIN, 0)), protocol, REACTOR, in_batches=in_batches)
    send(port, *[b"a" * 30_000] * 10)
    port.startListening()
    await until(lambda: len(protocol.heard) == 10)
    port.stopListening()


def test_what_a_turn_has_read_too_much_is_dropped_by_a_port_that_is_closed() -> None:
    protocol = Listens()
    with listening(bound((PLAIN, 0)), protocol) as port:
        send(port, *[b"a" * 65_000] * 4)
        port.doRead()
    port.doRead()
    assert len(protocol.heard) == 2


def test_a_turn_ends_after_32_errors_too() -> None:
    sock, protocol = ScriptedSocket(), Listens()
    with listening(sock, protocol, False) as port:
        sock.arriving.extend([*(OSError(errno.ENETDOWN, "") for _ in range(40)), b"after"])
        assert turns(port, protocol, 2) == [0, 1]
    assert port.counts == {"receive ENETDOWN": 40}


@pytest.mark.parametrize("in_batches", BOTH_WAYS)
@pytest_twisted.ensureDeferred
async def test_a_datagram_that_answers_itself_for_ever_does_not_hold_the_reactor(
    in_batches: bool,
) -> None:
    sock = bound(("127.0.0.1", 0))
    here = sock.getsockname()
    protocol = Listens(lambda data, addr: port.write(data, here))
    port = DatagramPort(sock, protocol, REACTOR, in_batches=in_batches)
    port.startListening()
    for _ in range(BATCH):
        port.write(b"", here)
    await until(lambda: len(protocol.heard) > 10 * BATCH)
    assert port.stopListening() is None
    assert {one.sender for one in protocol.heard} == {here}


# the end


@pytest.mark.parametrize("in_batches", BOTH_WAYS)
@pytest.mark.parametrize("host", [PLAIN, WILDCARD])
@pytest.mark.parametrize("raises", [False, True])
def test_a_port_can_be_stopped_while_it_hands_on(
    host: str, raises: bool, in_batches: bool, log: LogRecorder
) -> None:
    def stop(*_: object) -> None:
        port.stopListening()
        if raises:
            raise ValueError("a fault of the protocol")

    protocol = Listens(stop)
    with (
        listening(bound((host, 0)), protocol, in_batches) as port,
        bound(("127.0.0.1", 0)) as asker,
    ):
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
        assert (protocol.starts, protocol.stops) == (1, 1)
        assert port.getHandle().fileno() == -1
    assert protocol.stops == 1
