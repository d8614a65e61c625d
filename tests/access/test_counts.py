"""What is counted of an instance: by transport, door and reason, by nothing that a peer picks."""

from __future__ import annotations

from pathlib import Path

import pytest
import pytest_twisted
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.threads import deferToThread

from sockd.access.counts import DURATIONS, Counts, Histogram
from sockd.access.entrance import Entrance
from sockd.access.peer import Peer
from sockd.access.reasons import because
from sockd.testing import Connection, address_of, connect, make_context, open_port, serve, until
from tests.access.knocking import let_in, peers
from tests.helpers import ENTRANCE
from tests.net.tls_clients import TLSClient

TCP = Entrance("tcp", "192.0.2.1", 7)


@given(st.lists(st.floats(0, 10_000)))
def test_a_value_is_in_the_first_bin_whose_bound_it_does_not_exceed(values: list[float]) -> None:
    histogram = Histogram(DURATIONS)
    for value in values:
        histogram.add(value)
    upto = 0
    for bound, count in zip(DURATIONS, histogram.bins, strict=False):
        upto += count
        assert upto == sum(value <= bound for value in values)
    assert sum(histogram.bins) == len(values)
    assert histogram.sum == sum(values)


def test_addresses_are_not_told_apart_and_doors_and_transports_are() -> None:
    counts = Counts()
    same = counts.traffic(TCP)
    assert counts.traffic(Entrance("tcp", "198.51.100.1", 9)) is same
    others = [Entrance("tls", "192.0.2.1", 7), Entrance("tcp", "192.0.2.1", 7, role="other")]
    assert same not in [counts.traffic(other) for other in others]
    assert [(transport, door) for transport, door, _ in counts] == [
        ("tcp", ""),
        ("tls", ""),
        ("tcp", "other"),
    ]


def test_a_connection_is_counted_when_it_begins_and_when_it_has_ended() -> None:
    context = make_context("echo")
    traffic = context.guard.counts.traffic(ENTRANCE)
    client = connect("echo", context)
    client.send(b"hello")
    assert (traffic.connections, traffic.bytes_in, traffic.closed) == (1, 0, {})
    client.loop.advance(5)
    client.end()
    assert (traffic.bytes_in, traffic.bytes_out) == (5, 5)
    assert traffic.closed == {"done": 1}
    assert dict(zip(DURATIONS, traffic.durations.bins, strict=False))[10.0] == 1
    assert traffic.durations.sum == 5


def test_ends_are_counted_by_their_reason_where_the_log_tells_of_none() -> None:
    context = make_context("echo", log_connections=False, idle_timeout="3s")
    first, second = connect("echo", context), connect("echo", context)
    first.vanish()
    second.loop.advance(10)
    closed = context.guard.counts.traffic(ENTRANCE).closed
    assert closed == {"connection_lost": 1, "idle_timeout": 1}


def test_refusals_are_counted_by_their_reason_also_those_that_no_line_tells_of() -> None:
    context = make_context("echo", max_connections_per_source=1)
    assert len(let_in(context, peers("198.51.100.1", 101))) == 1
    counts = context.guard.counts
    assert counts.traffic(ENTRANCE).refused == {"max_connections_per_source": 100}
    assert counts["refused"] == 100
    assert counts.suppressed == 90
    context.guard.refuse(Peer("198.51.100.1", 7), because("deny", prefix="198.51.100.0/24"))
    assert counts.traffic(None).refused == {"deny": 1}
    assert counts["refused"] == 101


def test_datagrams_are_counted_both_ways_and_those_that_are_refused() -> None:
    port = open_port("echo", make_context("echo"))
    port.ask(b"hello")
    port.ask(b"you")
    port.ask(b"", sender=("192.0.2.7", 53))
    traffic = port.counted.traffic(ENTRANCE)
    assert (traffic.datagrams_in, traffic.bytes_in) == (3, 8)
    assert (traffic.datagrams_out, traffic.bytes_out) == (2, 8)
    assert traffic.refused == {"service_port": 1}


def test_handshakes_are_counted_and_those_that_fail(tls_files: tuple[Path, ...]) -> None:
    client = TLSClient("echo", tls_files)
    client.shake_hands()
    [(_, _, traffic)] = client.guard.counts
    assert (traffic.handshakes, traffic.handshakes_failed) == (1, 0)
    client.vanish()
    assert (traffic.handshakes, traffic.handshakes_failed) == (1, 0)
    other = TLSClient("echo", tls_files)
    other.vanish()
    [(_, _, traffic)] = other.guard.counts
    assert (traffic.handshakes, traffic.handshakes_failed) == (0, 1)
    assert traffic.closed == {"handshake_ended": 1}


@pytest.mark.parametrize(
    ("script", "how"),
    [("exit 0", "success"), ("exit 3", "exit"), ("kill -9 $$", "signal")],
)
@pytest_twisted.ensureDeferred
async def test_children_are_counted_and_how_they_have_ended(script: str, how: str) -> None:
    listen = "tcp:0:interface=127.0.0.1"
    async with serve("exec", listen, command=["sh", "-c", script]) as instance:
        with Connection(address_of(instance.listeners[0])) as wire:
            assert await deferToThread(wire.receive) == b""
        counts = instance.guard.counts
        await until(lambda: counts.children_ended.total() == 1)
        assert (counts.children, counts.children_ended) == (1, {how: 1})
