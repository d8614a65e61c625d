"""TLS on the socket: an end before there is TLS, what is no TLS, and what lies behind the end."""

from __future__ import annotations

import socket
from typing import Any

import pytest
import pytest_twisted
from OpenSSL import SSL
from twisted.internet.error import ConnectionLost
from twisted.internet.threads import deferToThread

from tests.helpers import until
from tests.reactor.secure_streams import (
    CutHalves,
    Halves,
    Noting,
    Shaken,
    calling,
    close_notify,
    dialled,
    secure_port,
    talking,
    tcp_end,
)
from tests.reactor.streams import turns
from tests.security.tls_records import TLS_1_2, TLS_1_3, client_hello

pytestmark = pytest.mark.uvloop

VERSIONS = pytest.mark.parametrize("version", [TLS_1_2, TLS_1_3], ids=["1.2", "1.3"])


# the end before and in the handshake


@pytest.mark.parametrize("make", [Shaken, Halves, CutHalves])
@pytest.mark.parametrize("part", [0, 1, 5, 100, -1], ids=str)
@pytest_twisted.ensureDeferred
async def test_a_peer_that_ends_its_half_before_or_in_the_handshake_is_lost(
    part: int, make: Any
) -> None:
    async with secure_port(make) as port:
        with dialled(port.address) as sock:
            protocol = await port.first()
            hello = client_hello()
            sock.sendall(hello[: part % len(hello)])
            sock.shutdown(socket.SHUT_WR)
            await until(lambda: protocol.lost)
            assert protocol.lost.check(ConnectionLost)
            assert not getattr(protocol, "ended", [])
            assert await deferToThread(tcp_end, sock) in ("end", "reset")


@pytest_twisted.ensureDeferred
async def test_a_server_that_ends_its_half_before_the_handshake_is_lost() -> None:
    async with calling(Shaken) as (sock, protocol, factory):
        sock.shutdown(socket.SHUT_WR)
        await until(lambda: protocol.lost)
        assert protocol.lost.check(ConnectionLost)
        await until(lambda: factory.lost)


# what came is no TLS


@pytest.mark.parametrize("make", [Shaken, Halves])
@pytest.mark.parametrize("data", [b"GET / HTTP/1.0\r\n\r\n", b"\0" * 100, b"\x16\x03\x01\xff\xff"])
@pytest_twisted.ensureDeferred
async def test_what_is_no_tls_is_told_in_openssl_s_words(data: bytes, make: Any) -> None:
    async with secure_port(make) as port:
        with dialled(port.address) as sock:
            sock.sendall(data)
            protocol = await port.first()
            await until(lambda: protocol.lost)
            assert protocol.lost.check(SSL.Error)
            assert protocol.lost.value.args[0]
            assert await deferToThread(tcp_end, sock) in ("end", "reset")


@pytest_twisted.ensureDeferred
async def test_a_server_that_speaks_no_tls_is_told_in_openssl_s_words() -> None:
    async with calling(Shaken) as (sock, protocol, _):
        sock.sendall(b"220 mail.example ESMTP\r\n")
        await until(lambda: protocol.lost)
        assert protocol.lost.check(SSL.Error)


@VERSIONS
@pytest_twisted.ensureDeferred
async def test_a_record_that_was_changed_on_its_way_ends_it_after_those_before(
    version: int,
) -> None:
    async with talking(Noting, version) as (peer, protocol):
        good, bad = peer.writer.data(b"good"), bytearray(peer.writer.data(b"bad"))
        bad[-1] ^= 1
        peer.send(good, bytes(bad), b"junk")
        await until(lambda: protocol.lost)
        assert protocol.received == b"good"
        assert protocol.lost.check(SSL.Error)


@pytest_twisted.ensureDeferred
async def test_other_bytes_behind_the_peer_s_end_are_nobody_s() -> None:
    async with talking(Halves) as (peer, protocol):
        close_notify(peer)
        await until(lambda: protocol.ended)
        peer.send(b"junk" * 1000)
        await turns(10)
        assert protocol.lost is None
        protocol.wire.write(b"answer")
        assert await deferToThread(peer.receive) == b"answer"
