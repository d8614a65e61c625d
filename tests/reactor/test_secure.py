"""TLS on the socket: what a protocol may do, and what it is told (ISSLTransport)."""

from __future__ import annotations

import socket
import ssl
from functools import partial
from typing import Any

import pytest
import pytest_twisted
from OpenSSL import SSL
from OpenSSL.crypto import X509
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import (
    INegotiated,
    IPushProducer,
    ISSLTransport,
)
from twisted.internet.ssl import (
    Certificate,
    CertificateOptions,
)
from twisted.internet.threads import deferToThread
from zope.interface import implementer
from zope.interface.verify import verifyObject

from sockd.reactor.secure import SecureClient, SecureConnection
from tests.helpers import held_by, until
from tests.reactor.secure_streams import (
    Noting,
    Shaken,
    calling,
    close_notify,
    dialled,
    secure_port,
    shake_hands,
    talking,
)
from tests.reactor.streams import MEGABYTE, TEXT, turns
from tests.reactor.twins import server_context
from tests.security.tls_records import TLS_1_2, TLS_1_3, TLSPeer

pytestmark = pytest.mark.uvloop

SMALL = 8192
"""Bytes of a buffer of the kernel that is soon full."""
VERSIONS = pytest.mark.parametrize("version", [TLS_1_2, TLS_1_3], ids=["1.2", "1.3"])


def received(peer: TLSPeer, size: int) -> bytes:
    """So many bytes, in a thread."""
    data = b""
    while len(data) < size:
        part = peer.receive()
        assert part, f"the end after {len(data)} bytes"
        data += part
    return data


# what it is


@pytest_twisted.ensureDeferred
async def test_both_sides_are_what_twisted_says_a_tls_transport_is() -> None:
    async with talking(Shaken) as (_, protocol):
        assert type(protocol.wire) is SecureConnection
        verifyObject(ISSLTransport, protocol.wire)
        verifyObject(INegotiated, protocol.wire)
    async with calling(Shaken) as (_, protocol, _):
        assert type(protocol.wire) is SecureClient
        verifyObject(ISSLTransport, protocol.wire)


@pytest_twisted.ensureDeferred
async def test_the_peer_s_certificate_is_there_once_hands_are_shaken() -> None:
    async with calling(Shaken) as (sock, protocol, _):
        assert protocol.wire.getPeerCertificate() is None
        with await deferToThread(shake_hands, sock):
            await until(lambda: protocol.is_shaken)
            assert isinstance(protocol.wire.getPeerCertificate(), X509)
            found = Certificate.peerFromTransport(protocol.wire)
            assert found.digest("sha256")
            assert isinstance(protocol.wire.getHandle(), SSL.Connection)


@pytest_twisted.ensureDeferred
async def test_a_server_s_peer_without_a_certificate_has_none() -> None:
    async with talking(Shaken) as (_, protocol):
        assert protocol.wire.getPeerCertificate() is None


@pytest.mark.parametrize(("offered", "agreed"), [(["b", "a"], "a"), (["c"], None), ([], None)])
@pytest_twisted.ensureDeferred
async def test_what_alpn_has_come_to_is_told(offered: list[str], agreed: str | None) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if offered:
        context.set_alpn_protocols(offered)
    ours = server_context()
    contexts = CertificateOptions(
        privateKey=ours.privateKey, certificate=ours.certificate, acceptableProtocols=[b"a"]
    )
    async with secure_port(Shaken, contexts) as port:
        with dialled(port.address) as sock:
            protocol = await port.first()
            assert protocol.wire.negotiatedProtocol is None
            if offered == ["c"]:
                with pytest.raises(ssl.SSLError):
                    await deferToThread(context.wrap_socket, sock)
                return
            with await deferToThread(context.wrap_socket, sock) as peer:
                await until(lambda: protocol.is_shaken)
                assert peer.selected_alpn_protocol() == agreed
                assert protocol.wire.negotiatedProtocol == (agreed.encode() if agreed else None)
        await until(lambda: protocol.lost)
        assert protocol.wire.negotiatedProtocol is None


# writing


class Eager(Shaken):
    """Writes before the handshake, and in its end."""

    def connectionMade(self) -> None:
        self.wire.write(b"one ")
        self.wire.writeSequence([b"two", b" "])

    def handshakeCompleted(self) -> None:
        super().handshakeCompleted()
        self.wire.write(b"three ")
        self.wire.writeSequence([b"fo", b"ur"])


@pytest_twisted.ensureDeferred
async def test_what_a_program_writes_byte_by_byte_in_a_pass_is_one_record() -> None:
    """`receive` returns a record's text, however much has come."""
    async with talking(Shaken) as (peer, protocol):
        await until(lambda: protocol.is_shaken)
        for byte in (b"a", b"b", b"c"):
            protocol.wire.write(byte)
        assert await deferToThread(peer.receive) == b"abc"


@VERSIONS
@pytest_twisted.ensureDeferred
async def test_what_is_written_before_and_in_the_handshake_comes_in_order(version: int) -> None:
    async with talking(Eager, version) as (peer, _):
        assert await deferToThread(received, peer, 18) == b"one two three four"


@pytest_twisted.ensureDeferred
async def test_what_a_client_writes_before_and_in_the_handshake_comes_in_order() -> None:
    async with calling(Eager) as (sock, _, _):
        with await deferToThread(shake_hands, sock) as peer:
            found = b""
            while len(found) < 18:
                found += await deferToThread(peer.recv, 100)
            assert found == b"one two three four"


@VERSIONS
@pytest_twisted.ensureDeferred
async def test_a_peer_that_reads_late_gets_all_of_it_in_order(version: int) -> None:
    """OpenSSL goes on with the record of which the kernel has a part, whatever comes behind it."""
    async with talking(Shaken, version, SMALL) as (peer, protocol):
        wire = protocol.wire
        await until(lambda: protocol.is_shaken)
        at = 0
        for size in (3 * MEGABYTE, 1, 20_000, 0, MEGABYTE, 16_384, 16_385):
            wire.write(TEXT[at : at + size])
            at += size
        assert held_by(wire)
        await turns(3)
        wire.writeSequence([TEXT[at : at + 10], b"", TEXT[at + 10 : at + 99]])
        wire.loseConnection()
        found = await deferToThread(peer.receive_all)
        assert found == TEXT[: at + 99]
        await deferToThread(close_notify, peer)
        await until(lambda: protocol.lost)
        assert protocol.lost.check(ConnectionDone)


@VERSIONS
@pytest_twisted.ensureDeferred
async def test_small_pieces_to_a_peer_that_reads_late_come_in_order(version: int) -> None:
    async with talking(Shaken, version, SMALL) as (peer, protocol):
        await until(lambda: protocol.is_shaken)
        sent = 0
        while not held_by(protocol.wire):
            protocol.wire.write(TEXT[sent : sent + 100])
            sent += 100
        for _ in range(1000):
            protocol.wire.write(TEXT[sent : sent + 7])
            sent += 7
        assert await deferToThread(received, peer, sent) == TEXT[:sent]


@pytest_twisted.ensureDeferred
async def test_what_is_no_bytes_is_refused_before_and_after_the_handshake() -> None:
    async with talking(Shaken) as (_, protocol):
        await until(lambda: protocol.is_shaken)
        with pytest.raises(TypeError, match="Data must be bytes"):
            protocol.wire.write("text")
        with pytest.raises(TypeError, match="Data must be bytes"):
            protocol.wire.writeSequence(["text"])
    async with secure_port(Shaken) as port:
        with dialled(port.address):
            protocol = await port.first()
            with pytest.raises(TypeError, match="Data must be bytes"):
                protocol.wire.write("text")


# pauses


@pytest_twisted.ensureDeferred
async def test_nothing_is_decrypted_while_reading_is_paused() -> None:
    """Records stay with the kernel."""
    async with talking(Noting) as (peer, protocol):
        protocol.wire.pauseProducing()
        peer.send(peer.writer.data(b"hello"))
        sock = protocol.wire.socket
        await until(lambda: len(_peek(sock)) > 5)
        await turns(5)
        assert not protocol.received
        assert len(_peek(sock)) > 5
        protocol.wire.resumeProducing()
        await until(lambda: protocol.received == b"hello")


def _peek(sock: Any) -> bytes:
    try:
        return bytes(sock.recv(65_536, socket.MSG_PEEK))
    except BlockingIOError:
        return b""


@pytest_twisted.ensureDeferred
async def test_a_pause_within_a_read_holds_the_rest() -> None:
    class Sipping(Noting):
        def dataReceived(self, data: bytes) -> None:
            super().dataReceived(data)
            self.wire.pauseProducing()

    async with talking(Sipping) as (peer, protocol):
        pieces = [peer.writer.data(TEXT[at : at + 16_384]) for at in range(0, MEGABYTE, 16_384)]
        sending = deferToThread(peer.send, *pieces)
        reads = 0
        while len(protocol.received) < MEGABYTE:
            reads += 1
            await until(partial(lambda count: len(protocol.reads) == count, reads))
            await turns(3)
            assert len(protocol.reads) == reads
            protocol.wire.resumeProducing()
        await sending
        assert protocol.received == TEXT[:MEGABYTE]


@pytest_twisted.ensureDeferred
async def test_who_pauses_before_the_handshake_is_not_forgotten() -> None:
    class Waiting(Shaken):
        def connectionMade(self) -> None:
            self.wire.pauseProducing()

    async with secure_port(Waiting) as port:
        with dialled(port.address) as sock:
            peer = deferToThread(TLSPeer, sock)
            protocol = await port.first()
            await turns(5)
            assert not protocol.is_shaken
            protocol.wire.resumeProducing()
            await peer
            await until(lambda: protocol.is_shaken)


# producers


@implementer(IPushProducer)
class Pushing(Shaken):
    """Produces its text in pieces until it is paused, however often that is."""

    is_early = False
    streams = True

    def __init__(self) -> None:
        super().__init__()
        self.at = 0
        self.calls: list[str] = []
        self.most = 0

    def connectionMade(self) -> None:
        if self.is_early:
            self.start()

    def handshakeCompleted(self) -> None:
        super().handshakeCompleted()
        if not self.is_early:
            self.start()

    def start(self) -> None:
        self.wire.registerProducer(self, self.streams)
        if self.streams:
            self.resumeProducing()

    def resumeProducing(self) -> None:
        self.calls.append("resume")
        self.may_write, before = self.streams, self.at
        self.write()
        while self.may_write and self.at < len(TEXT):
            self.write()
        self.most = max(self.most, self.at - before)
        if self.at == len(TEXT):
            self.wire.unregisterProducer()
            self.wire.loseConnection()

    def write(self) -> None:
        self.at += 10_000
        self.wire.write(TEXT[self.at - 10_000 : self.at])
        self.at = min(self.at, len(TEXT))

    def pauseProducing(self) -> None:
        self.calls.append("pause")
        self.may_write = False

    def stopProducing(self) -> None:
        self.calls.append("stop")
        self.may_write = False


@pytest.mark.parametrize("streams", [True, False], ids=["push", "pull"])
@pytest.mark.parametrize("is_early", [True, False], ids=["before the handshake", "in its end"])
@pytest_twisted.ensureDeferred
async def test_a_producer_says_all_of_it_and_is_paused_meanwhile(
    streams: bool, is_early: bool
) -> None:
    class Producing(Pushing):
        pass

    Producing.streams, Producing.is_early = streams, is_early
    async with talking(Producing, buffer=SMALL) as (peer, protocol):
        assert bool(await deferToThread(peer.receive_all) == TEXT)
        await deferToThread(close_notify, peer)
        await until(lambda: protocol.lost)
        assert protocol.lost.check(ConnectionDone)
        assert protocol.most <= (80_000 if streams else 10_000)
        assert "stop" not in protocol.calls
        if streams:
            assert protocol.calls.count("pause") == protocol.calls.count("resume") - 1


@pytest_twisted.ensureDeferred
async def test_a_producer_whose_peer_has_gone_is_stopped() -> None:
    async with talking(Pushing, buffer=SMALL) as (peer, protocol):
        await until(lambda: protocol.calls[-1:] == ["pause"])
        peer.wire.close()
        await until(lambda: protocol.lost)
        assert protocol.calls[-1] == "stop"


@pytest_twisted.ensureDeferred
async def test_what_a_producer_says_after_lose_connection_is_sent() -> None:
    """ITransport: the connection is closed once the producer is unregistered."""

    class Late(Pushing):
        def start(self) -> None:
            self.wire.registerProducer(self, True)
            self.wire.loseConnection()

    async with talking(Late) as (peer, protocol):
        await until(lambda: protocol.is_shaken)
        await turns(3)
        protocol.wire.write(b"last words")
        await turns(3)
        protocol.wire.unregisterProducer()
        protocol.wire.write(b"too late")
        assert await deferToThread(peer.receive_all) == b"last words"
