"""TLS on the socket, and bytes that nobody should send: an end with a reason, and no fault."""

from __future__ import annotations

from typing import Any

import pytest
import pytest_twisted
from hypothesis import given, settings
from hypothesis import strategies as st
from OpenSSL import SSL
from twisted.internet.error import ConnectionLost
from twisted.internet.threads import deferToThread

from sockd.reactor.records import TooManyRecords
from tests.helpers import until
from tests.reactor.secure_streams import Halves, dialled, secure_port
from tests.security.tls_records import (
    ALERT,
    DATA,
    HANDSHAKE,
    TLS_1_2,
    TLS_1_3,
    TLSPeer,
    client_hello,
)

pytestmark = pytest.mark.uvloop

EXAMPLES = 40
JUNK = st.binary(min_size=1, max_size=600)
RECORDS = st.lists(st.tuples(st.integers(0, 255), st.integers(0, 0xFFFF), JUNK), max_size=4).map(
    lambda found: b"".join(
        bytes([kind]) + version.to_bytes(2, "big") + len(data).to_bytes(2, "big") + data
        for kind, version, data in found
    )
)
CHANGES = st.lists(st.tuples(st.integers(0, 2000), st.integers(1, 255)), min_size=1, max_size=4)


async def play(send: Any) -> None:
    """Have the peer do it: the protocol is told of an end, and why."""
    async with secure_port(Halves) as port:
        with dialled(port.address) as sock:
            await deferToThread(send, sock)
        protocol = await port.first()
        await until(lambda: protocol.lost or protocol.ended == ["read"])
        if protocol.lost:
            assert protocol.lost.check(SSL.Error, ConnectionLost, TooManyRecords)


@settings(max_examples=EXAMPLES)
@given(st.one_of(JUNK, RECORDS))
@pytest_twisted.ensureDeferred
async def test_junk_before_the_handshake(data: bytes) -> None:
    await play(lambda sock: sock.sendall(data))


@settings(max_examples=EXAMPLES)
@given(st.sampled_from([TLS_1_2, TLS_1_3]), CHANGES, st.one_of(st.just(b""), JUNK, RECORDS))
@pytest_twisted.ensureDeferred
async def test_a_changed_hello_and_junk_behind_it(
    version: int, changes: list[tuple[int, int]], behind: bytes
) -> None:
    hello = bytearray(client_hello(version))
    for at, by in changes:
        hello[at % len(hello)] ^= by
    await play(lambda sock: sock.sendall(bytes(hello) + behind))


@settings(max_examples=EXAMPLES)
@given(
    st.sampled_from([TLS_1_2, TLS_1_3]),
    st.lists(st.tuples(st.sampled_from([20, ALERT, HANDSHAKE, DATA, 24]), JUNK), max_size=4),
    st.one_of(st.just(b""), JUNK, RECORDS),
)
@pytest_twisted.ensureDeferred
async def test_records_that_are_sealed_and_make_no_sense(
    version: int, records: list[tuple[int, bytes]], behind: bytes
) -> None:
    def send(sock: Any) -> None:
        peer = TLSPeer(sock, version)
        made = [peer.writer.record(kind, data) for kind, data in records]
        try:
            peer.send(*made, behind)
        except OSError:
            return  # it was told before

    await play(send)
