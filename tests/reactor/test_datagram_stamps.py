"""Stamps of a whole batch at once, and datagrams to one address."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockd.reactor import ancillary, mmsg, sockaddr
from sockd.reactor.ancillary import Told, Wanted
from sockd.reactor.clocks import ClockReading, read_clocks
from sockd.reactor.datagram import DatagramPort
from sockd.reactor.mmsg import BATCH, CONTROL
from sockd.reactor.wire import Datagram
from tests.daemons import namespace, run, socket_on
from tests.memory import Loop
from tests.reactor.ports import (
    BOTH_WAYS,
    PLAIN,
    WILDCARD,
    Listens,
    bound,
    delivered,
    hear,
    listening,
)

_STAMP, _OVERFLOW = 35, 40


def stamp(seconds: int, nanoseconds: int) -> bytes:
    data = struct.pack("@ll", seconds, nanoseconds)
    return sockaddr.write_ancillary(socket.SOL_SOCKET, _STAMP, data)


OVERFLOW = sockaddr.write_ancillary(socket.SOL_SOCKET, _OVERFLOW, struct.pack("=I", 7))
stamped = st.builds(
    lambda seconds, nanoseconds, more: stamp(seconds, nanoseconds) + more,
    st.integers(0, 2**33),
    st.integers(0, 999_999_999),
    st.sampled_from([b"", OVERFLOW]),
)


def laid_out(controls: list[bytes]) -> memoryview:
    return memoryview(b"".join(control.ljust(CONTROL, b"\xff") for control in controls))


@given(st.lists(stamped, min_size=1, max_size=BATCH))
def test_stamps_that_are_read_at_once_are_those_that_are_read_one_by_one(
    controls: list[bytes],
) -> None:
    found = ancillary.stamps(laid_out(controls), len(controls), CONTROL, [*map(len, controls)])
    told = [ancillary.tell(sockaddr.read_ancillary(one), Wanted.TIME) for one in controls]
    assert found == [one.time_ns for one in told]


@given(st.lists(stamped, max_size=BATCH - 1), st.sampled_from([b"", OVERFLOW]), st.data())
def test_where_one_has_no_stamp_none_are_read_at_once(
    controls: list[bytes], other: bytes, data: st.DataObject
) -> None:
    controls = [*controls]
    controls.insert(data.draw(st.integers(0, len(controls))), other)
    lengths = [*map(len, controls)]
    assert ancillary.stamps(laid_out(controls), len(controls), CONTROL, lengths) is None


def test_a_stamp_of_the_batch_before_is_no_stamp() -> None:
    controls = laid_out([stamp(1, 1)] * 2)
    assert ancillary.stamps(controls, 2, CONTROL, [len(stamp(1, 1)), 0]) is None


class Timed(Listens):
    """Wants the time, and batches."""

    wants_told = Wanted.TIME

    def __init__(self) -> None:
        super().__init__()
        self.told: list[Told | None] = []
        self.data: list[bytes] = []
        self.read_at: list[ClockReading] = []

    def datagramsReceived(self, batch: Sequence[Datagram]) -> None:
        port: DatagramPort = self.transport  # type: ignore[assignment]
        self.data += [one[0] for one in batch]
        self.told += [one[5] for one in batch]
        self.read_at += [port.read_at] * len(batch)


@pytest.mark.parametrize("place", [PLAIN, WILDCARD])
@pytest.mark.parametrize("in_batches", BOTH_WAYS)
def test_both_clocks_are_read_after_the_stamps(in_batches: bool, place: str) -> None:
    protocol = Timed()
    before = time.monotonic_ns()
    with (
        listening(bound((place, 0)), protocol, in_batches) as port,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker,
    ):
        for number in range(BATCH):
            asker.sendto(b"%d" % number, (PLAIN, port.socket.getsockname()[1]))
        while len(protocol.data) < BATCH:
            port.doRead()
        after = time.monotonic_ns()
    assert protocol.data == [b"%d" % number for number in range(BATCH)]
    for told, clocks in zip(protocol.told, protocol.read_at, strict=True):
        assert told is not None
        assert told.time_ns is not None
        assert told.time_ns <= clocks.wall_ns
        assert before <= clocks.monotonic_ns <= after


def test_a_full_buffer_is_counted_where_the_time_is_wanted() -> None:
    protocol = Timed()
    sock = bound((PLAIN, 0))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    with (
        listening(sock, protocol) as port,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker,
    ):
        for _ in range(200):
            asker.sendto(bytes(1000), sock.getsockname())
        delivered()
        port.doRead()
        kept = len(protocol.data)
        assert kept < BATCH
        asker.sendto(b"one more", sock.getsockname())  # which tells of the loss
        while len(protocol.data) == kept:
            port.doRead()
        assert port.counts == {"overflow": 200 - kept}
        assert all(told is not None and told.time_ns for told in protocol.told)


def test_both_clocks_are_of_one_moment() -> None:
    first, second = read_clocks(), read_clocks()
    assert first.monotonic_ns <= second.monotonic_ns


# to one address


@pytest.mark.parametrize("in_batches", BOTH_WAYS)
@pytest.mark.parametrize("count", [0, 1, BATCH, BATCH + 1])
def test_datagrams_to_one_address_come_in_order(in_batches: bool, count: int) -> None:
    protocol = Listens()
    parts = [b"a" * number for number in range(count)]
    port = DatagramPort(bound((PLAIN, 0)), Listens(), Loop(), in_batches=in_batches)
    port.startListening()
    with listening(bound((PLAIN, 0)), protocol) as other:
        assert port.write_to(parts, other.socket.getsockname()) == []
        hear(other, protocol, count)
        assert [one.data for one in protocol.heard] == parts
        port.socket.connect(other.socket.getsockname())
        assert port.write_to(parts, None) == []
        hear(other, protocol, 2 * count)
        assert [one.data for one in protocol.heard] == parts * 2
    port.stopListening()


@pytest.mark.parametrize("size", [1, 64, 1_400, 2_047, 2_048])
@pytest.mark.parametrize("count", [2, BATCH, BATCH + 1])
def test_datagrams_of_one_size_come_each_by_itself(count: int, size: int) -> None:
    protocol = Listens()
    parts = [bytes([number]) * size for number in range(count)]
    port = DatagramPort(bound((PLAIN, 0)), Listens(), Loop())
    port.startListening()
    with listening(bound((PLAIN, 0)), protocol) as other:
        port.socket.connect(other.socket.getsockname())
        assert port.write_to(parts, None) == []
        hear(other, protocol, count)
        assert [one.data for one in protocol.heard] == parts
    port.stopListening()


def test_what_does_not_fit_the_network_in_one_piece_is_sent_in_several() -> None:
    """The kernel takes nothing apart that would have to be fragmented as well."""
    with namespace() as host:
        run("ip", "-n", host, "link", "set", "lo", "mtu", "1500")
        ours, theirs = (socket_on(host, socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        with theirs:
            theirs.bind((PLAIN, 0))
            ours.connect(theirs.getsockname())
            port = DatagramPort(ours, Listens(), Loop())
            port.startListening()
            for size in (1_600, 100):
                parts = [bytes([number]) * size for number in range(BATCH)]
                assert port.write_to(parts, None) == []
                assert [theirs.recv(4_096) for _ in parts] == parts
            assert not port.counts
            port.stopListening()


@pytest.mark.parametrize("in_batches", BOTH_WAYS)
def test_those_that_the_kernel_does_not_take_are_told_by_number(in_batches: bool) -> None:
    parts = [b"a"] * (BATCH + 3)
    parts[1] = parts[BATCH + 1] = bytes(65_508)
    with listening(bound((PLAIN, 0)), Listens(), in_batches) as port:
        assert port.write_to(parts, (PLAIN, 9)) == [1, BATCH + 1]
        assert port.last_errno
        assert port.write_to(parts[:1], ("localhost", 9)) == [0]


def test_the_buffers_for_control_messages_are_as_far_apart_as_said() -> None:
    assert len(mmsg.incoming().control_bytes) == BATCH * CONTROL
