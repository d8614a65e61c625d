"""A stream over TLS: both of its ends, and much of it."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
import pytest_twisted
import trustme

from sockd.client.asking import Asking
from sockd.client.errors import BadCertificate
from sockd.client.net.dial import dial
from sockd.client.net.streams import MOST_BUFFERED
from sockd.client.targets import Target, Transport
from sockd.testing.running import running_reactor, until
from tests.client.issuers import VERSIONS, Issuer, one
from tests.client.peers import Peer, Server, call, close, echo, serving


@pytest.fixture
def issuer(tmp_path: Path) -> Issuer:
    """One of them."""
    return Issuer(tmp_path, trustme.CA())


@VERSIONS
@pytest_twisted.ensureDeferred
async def test_after_the_end_of_sending_an_answer_is_read(issuer: Issuer, version: int) -> None:
    def answer(peer: Peer) -> None:
        peer.wire.write(b"of %d bytes" % len(peer.got))
        peer.wire.loseConnection()

    context = one(issuer.issue("127.0.0.1"), versions=version)
    async with serving(Server(finished=answer), context=context, half_close=True) as server:
        stream = await call(server.port, tls=True, ca=issuer.ca)
        stream.write(b"x" * 1_000_000)
        stream.finish()
        stream.finish()
        stream.write(b"too late")
        await stream.drained()
        assert await stream.read_all(100) == b"of 1000000 bytes"
        assert not stream.is_cut
        stream.close()


@pytest_twisted.ensureDeferred
async def test_an_end_of_tcp_alone_is_told_from_an_end_of_tls(issuer: Issuer) -> None:
    def cut(peer: Peer, data: bytes) -> None:
        peer.wire.write(b"half of it")
        peer.wire.transport.loseConnection()

    for server, is_cut in ((Server(received=cut), True), (Server(received=close), False)):
        async with serving(server, context=one(issuer.issue("127.0.0.1"))):
            stream = await call(server.port, tls=True, ca=issuer.ca)
            stream.write(b"x")
            assert await stream.read_all(100) in (b"half of it", b"")
            assert stream.is_cut is is_cut
            stream.close()


@pytest_twisted.ensureDeferred
async def test_much_goes_both_ways_while_who_reads_is_slow(issuer: Issuer) -> None:
    context = one(issuer.issue("127.0.0.1"))
    async with serving(Server(received=echo), context=context, half_close=True) as server:
        stream = await call(server.port, tls=True, ca=issuer.ca)
        sent = bytes(range(256)) * 4096 * 8
        stream.write(sent)
        stream.finish()
        assert stream.waiting > 0
        await until(lambda: stream.bytes_received >= MOST_BUFFERED)
        assert stream.bytes_received < 2 * MOST_BUFFERED
        assert await stream.read_all(len(sent)) == sent
        assert not stream.is_cut
        stream.close()


@pytest_twisted.ensureDeferred
async def test_tls_works_over_a_socket_file_whose_name_is_given(issuer: Issuer) -> None:
    # the listening socket is TCP's nowhere: what TLS needs is a stream
    server = Server(received=echo)
    path = issuer.folder / "s"
    async with serving(server, context=one(issuer.issue("host.test")), path=str(path)):
        target = Target(Transport.TLS, path=str(path))
        asking = Asking(wait=30.0, ca=issuer.ca)
        with pytest.raises(BadCertificate, match="--server-name"):
            await dial(running_reactor(), target, asking)
        asking = Asking(wait=30.0, ca=issuer.ca, server_name="host.test")
        stream = await dial(running_reactor(), target, asking)
        assert stream.channel.socket.family == socket.AF_UNIX
        stream.write(b"hello")
        assert await stream.read_exactly(5) == b"hello"
        stream.abort()
