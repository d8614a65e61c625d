"""Datagrams that are work are answered in turns: they are bounded for each pass of the loop."""

from __future__ import annotations

from typing import Any

import pytest

from sockd.net.datagram import ANY_SIZE, Replies
from sockd.net.turns import PASS_SECONDS
from sockd.reactor.mmsg import BATCH
from sockd.reactor.wire import Datagram
from sockd.service import Kind
from tests.helpers import LogRecorder, make_context, make_world, open_port
from tests.memory import Loop, MemoryPort
from tests.net.test_turns import Errand, measure

COST = PASS_SECONDS / 8
"""Seconds that a datagram here costs."""


class Work(Replies):
    """An answer that takes its time."""

    def answer(self, data: bytes) -> bytes:
        if data == b"raise":
            raise ZeroDivisionError("by design")
        if data == b"exit":
            raise SystemExit(1)
        self.context.world.reactor.rightNow += COST
        return data


class Quick(Replies):
    """An answer that takes none, however long the question is."""

    quick_bytes = ANY_SIZE

    def answer(self, data: bytes) -> bytes:
        return data


class Short(Work):
    """A service whose short questions are quick."""

    quick_bytes = 10


class Flooded(Work):
    """Said to be quick."""

    quick_bytes = ANY_SIZE


def opened(protocol: type[Replies], world: Any = None) -> MemoryPort:
    kind = Kind(name="work", doc="Works.", datagram=protocol)
    return open_port(kind, make_context(kind, world))


def batch(count: int, data: bytes = b"x") -> list[Datagram]:
    """Datagrams of as many networks as there are."""
    return [(data, (f"198.51.{number}.1", 4000), None, None, None, None) for number in range(count)]


def loop_of(port: MemoryPort) -> Loop:
    protocol: Any = port.protocol
    loop: Loop = protocol.context.world.reactor
    return loop


def test_a_pass_works_on_datagrams_as_long_as_on_all_else_and_the_rest_waits() -> None:
    port = opened(Work)
    answered: list[int] = []

    def ask() -> None:
        answered.append(len(port.ask_at_once(*batch(BATCH))))

    passes = measure(loop_of(port), ask)
    assert 0 < answered[0] <= PASS_SECONDS / COST
    assert max(passes) <= PASS_SECONDS + COST
    assert [sent.to[0] for sent in port.sent] == [f"198.51.{n}.1" for n in range(BATCH)]


def test_what_ends_more_than_a_datagram_leaves_the_port_open_and_the_others_their_answers() -> None:
    port = opened(Work)
    with pytest.raises(SystemExit):
        port.ask_at_once(*batch(1, b"exit"), *batch(3))
    loop_of(port).settle()
    assert [sent.data for sent in port.sent] == [b"x"] * 3
    assert not port.is_held


def test_the_ports_of_all_services_share_the_work_of_a_pass() -> None:
    world = make_world()
    ports = [opened(Work, world) for _ in range(5)]

    def ask() -> None:
        for port in ports:
            port.ask_at_once(*batch(BATCH))

    assert max(measure(world.reactor, ask)) <= PASS_SECONDS + COST
    assert [len(port.sent) for port in ports] == [BATCH] * len(ports)


def test_a_connection_that_has_work_has_its_turn_among_datagrams() -> None:
    world = make_world()
    port = opened(Work, world)
    answered: list[int] = []

    class Line(Errand):
        def turn(self, until: float) -> None:
            answered.append(len(port.sent))

    port.ask_at_once(*batch(BATCH))
    assert not world.turns.take(Line(world.reactor, world.turns, "line", 1, []))
    world.reactor.settle()
    assert answered[0] < BATCH / 2
    assert len(port.sent) == BATCH


def test_while_datagrams_wait_their_port_hands_on_no_more() -> None:
    port = opened(Work)
    port.ask_at_once(*batch(BATCH))
    held = [port.is_held]
    loop_of(port).settle()
    held.append(port.is_held)
    assert held == [True, False]
    assert port.ask(b"one more") == [b"one more"]
    assert (port.counted["datagrams_in"], port.counted["datagrams_out"]) == (BATCH + 1, BATCH + 1)


def test_what_is_quick_is_answered_at_once_however_many_wait() -> None:
    world = make_world()
    work, quick, short = opened(Work, world), opened(Quick, world), opened(Short, world)
    work.ask_at_once(*batch(BATCH))
    assert not world.turns.are_free
    assert len(quick.ask_at_once(*batch(BATCH, b"x" * 1000))) == BATCH
    assert len(short.ask_at_once(*batch(9))) == 9
    assert short.ask_at_once(*batch(10)) == []
    world.reactor.settle()
    assert len(short.sent) == 19


def test_a_flood_of_what_is_quick_counts_in_the_pass_as_well() -> None:
    world = make_world()
    flooded = opened(Flooded, world)
    flooded.ask_at_once(*batch(BATCH - 1))
    assert world.turns.are_free
    flooded.ask_at_once(*batch(BATCH))
    assert not world.turns.are_free


def test_a_fault_costs_its_datagram_and_no_turn(log: LogRecorder) -> None:
    port = opened(Work)
    port.ask_at_once(*batch(1, b"raise"), *batch(BATCH), *batch(1, b"raise"))
    loop_of(port).settle()
    assert len(port.sent) == BATCH
    assert len(log.flush_faults()) == 2


def test_what_waits_is_owed() -> None:
    """A daemon that reads its configuration again, or stops, waits for it."""
    port = opened(Work)
    port.ask_at_once(*batch(BATCH))
    protocol: Any = port.protocol
    waited = protocol.when_answered()
    ended: list[int] = []
    waited.addCallback(lambda _: ended.append(len(port.sent)))
    assert not ended
    loop_of(port).settle()
    assert ended == [BATCH]


def test_a_port_that_closes_leaves_nobody_in_the_line() -> None:
    port = opened(Work)
    loop = loop_of(port)
    port.ask_at_once(*batch(BATCH))
    before = len(port.sent)
    protocol: Any = port.protocol
    waited = protocol.when_answered()
    port.stopListening()
    assert waited.called
    loop.settle()
    assert len(port.sent) == before
    assert not loop.getDelayedCalls()
