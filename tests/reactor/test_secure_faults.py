"""TLS on the socket: who is refused, what fails, and whom that ends."""

from __future__ import annotations

from typing import Any

import pytest
import pytest_twisted
from OpenSSL import SSL
from service_identity import VerificationError
from twisted.internet.error import ConnectionAborted
from twisted.internet.interfaces import (
    IOpenSSLClientConnectionCreator,
    IOpenSSLServerConnectionCreator,
)
from twisted.internet.ssl import (
    Certificate,
    CertificateOptions,
    optionsForClientTLS,
    trustRootFromCertificates,
)
from twisted.internet.threads import deferToThread
from twisted.python.failure import Failure
from zope.interface import implementer

from tests.helpers import LogRecorder, until
from tests.reactor.secure_streams import (
    Noting,
    Shaken,
    calling,
    dialled,
    secure_port,
    talking,
    tcp_end,
    try_hands,
)
from tests.reactor.twins import authority, server_context
from tests.security.tls_records import TLSPeer

pytestmark = pytest.mark.uvloop

# verifying


class Refusing(CertificateOptions):
    """Whose peer is never who it should be."""

    def clientConnectionForTLS(self, protocol: Any) -> SSL.Connection:
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        context.set_verify(SSL.VERIFY_PEER, self._refuse)
        connection = SSL.Connection(context, None)
        connection.set_app_data(protocol)
        connection.set_connect_state()
        return connection

    def _refuse(self, connection: SSL.Connection, *_: Any) -> bool:
        connection.get_app_data().failVerification(Failure(ValueError("a stranger")))
        return True


@pytest_twisted.ensureDeferred
async def test_a_peer_whose_verification_fails_is_ended_for_that_reason() -> None:
    refusing = implementer(IOpenSSLClientConnectionCreator)(Refusing)()
    async with calling(Shaken, refusing) as (sock, protocol, _):
        shaking = deferToThread(try_hands, sock)
        await until(lambda: protocol.lost)
        await shaking
        assert protocol.lost.check(ValueError)
        assert not protocol.is_shaken


@pytest_twisted.ensureDeferred
async def test_a_name_that_is_another_ends_it_for_that_reason() -> None:
    trust = trustRootFromCertificates([Certificate.loadPEM(authority().cert_pem.bytes())])
    async with calling(Shaken, optionsForClientTLS("other", trust)) as (sock, protocol, _):
        shaking = deferToThread(try_hands, sock)
        await until(lambda: protocol.lost)
        await shaking
        assert protocol.lost.check(VerificationError)
        assert not protocol.is_shaken


# factories and faults


@pytest_twisted.ensureDeferred
async def test_a_factory_that_makes_no_connection_costs_that_one_alone(log: LogRecorder) -> None:
    """TLS has no context for it: it never speaks in the clear, and others are served."""
    is_broken = True

    @implementer(IOpenSSLServerConnectionCreator)
    class Contexts:
        def serverConnectionForTLS(self, protocol: Any) -> SSL.Connection:
            if is_broken:
                raise ValueError("no certificate today")
            made: SSL.Connection = SSL.Connection(server_context().getContext(), None)
            made.set_accept_state()
            return made

    async with secure_port(Shaken, Contexts()) as port:
        with dialled(port.address) as sock:
            assert await deferToThread(tcp_end, sock) in ("end", "reset")
        is_broken = False
        with dialled(port.address) as sock:
            await deferToThread(TLSPeer, sock)
        port.protocols[:] = [one for one in port.protocols if one.transport]
        assert ["no certificate" in text for text in log.fault_texts()] == [True]
        log.flush_faults()


@pytest_twisted.ensureDeferred
async def test_a_factory_that_wants_nobody_has_the_connection_closed() -> None:
    async with secure_port(lambda: None) as port:
        with dialled(port.address) as sock:
            assert await deferToThread(tcp_end, sock) == "end"


class Boom(Exception):
    """A fault of a protocol."""


@pytest.mark.parametrize("where", ["connectionMade", "handshakeCompleted", "dataReceived"])
@pytest_twisted.ensureDeferred
async def test_a_fault_of_a_protocol_is_logged_once_and_ends_no_other(
    where: str, log: LogRecorder
) -> None:
    def fails(*_: Any) -> None:
        raise Boom

    class Faulty(Shaken):
        pass

    setattr(Faulty, where, fails)
    async with secure_port(lambda: Faulty() if len(port.protocols) else Shaken()) as port:
        with dialled(port.address) as other, dialled(port.address) as sock:
            served = await deferToThread(TLSPeer, other)
            peer = await deferToThread(TLSPeer, sock)
            peer.send(peer.writer.data(b"x"))
            if where == "connectionMade":  # as without TLS
                await until(lambda: port.protocols[1].received)
            else:
                await until(lambda: port.protocols[1].lost)
                assert port.protocols[1].lost.check(Boom)
            served.send(served.writer.data(b"hello"))
            await until(lambda: port.protocols[0].received == b"hello")
    assert ["Boom" in text for text in log.fault_texts()] == [True]
    log.flush_faults()


# aborts


@pytest.mark.parametrize("is_shaken", [True, False])
@pytest_twisted.ensureDeferred
async def test_an_abort_is_a_reset_at_any_time(is_shaken: bool) -> None:
    async with secure_port(Shaken) as port:
        with dialled(port.address) as sock:
            protocol = await port.first()
            if is_shaken:
                await deferToThread(TLSPeer, sock)
                await until(lambda: protocol.is_shaken)
            protocol.wire.write(b"never said" * 100_000)
            protocol.wire.abortConnection()
            protocol.wire.write(b"nor this")
            assert await deferToThread(tcp_end, sock) == "reset"
            await until(lambda: protocol.lost)
            assert protocol.lost.check(ConnectionAborted)


@pytest_twisted.ensureDeferred
async def test_an_abort_within_a_read_is_the_last_that_is_told() -> None:
    class Leaving(Noting):
        def dataReceived(self, data: bytes) -> None:
            super().dataReceived(data)
            self.wire.abortConnection()

    async with talking(Leaving) as (peer, protocol):
        peer.send(peer.writer.data(b"1"), peer.writer.data(b"2"), peer.writer.alert(0))
        await until(lambda: protocol.lost)
        assert len(protocol.reads) == 1
        assert protocol.lost.check(ConnectionAborted)
