"""TLS on the socket, and OpenSSL's own client: what it may ask for beside a conversation."""

from __future__ import annotations

import fcntl
import sys
import termios
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
import trustme
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509 import load_pem_x509_certificate
from OpenSSL import SSL
from OpenSSL._util import lib
from twisted.internet.ssl import Certificate, CertificateOptions, trustRootFromCertificates
from twisted.internet.threads import deferToThread

from tests.helpers import until
from tests.reactor.secure_streams import Secured, Shaken, secure_port
from tests.reactor.twins import authority, server_context
from tests.real.programs import Session, feed

pytestmark = pytest.mark.uvloop

VERSIONS = pytest.mark.parametrize("version", ["tls1_2", "tls1_3"])


class Answering(Shaken):
    """Welcomes, and answers each line."""

    def handshakeCompleted(self) -> None:
        super().handshakeCompleted()
        self.is_resumed = bool(lib.SSL_session_reused(self.wire.getHandle()._ssl))
        self.certificate = self.wire.getPeerCertificate()
        self.wire.write(b"welcome\n")

    def dataReceived(self, data: bytes) -> None:
        super().dataReceived(data)
        self.wire.write(b"answer to " + data)


def s_client(port: Secured, *options: str) -> list[str]:
    """The client, which takes commands at the beginning of a line."""
    return ["openssl", "s_client", "-connect", "{}:{}".format(*port.address), *options]


async def read_until(session: Session, text: bytes) -> None:
    """Have the client say it."""
    await deferToThread(session.read_until, text)


async def talk(port: Secured, options: list[str], *steps: tuple[bytes, bytes]) -> None:
    """What is typed, and what the client says then."""
    with Session(*s_client(port, *options)) as session:
        await read_until(session, b"welcome")
        for typed, said in steps:
            session.output = b""
            session.type(typed)
            await until(lambda: not untaken(session))  # or a command would take what follows, too
            await read_until(session, said)


def untaken(session: Session) -> int:
    """Bytes that were typed and are not read yet."""
    return int.from_bytes(fcntl.ioctl(session._keyboard, termios.FIONREAD, bytes(4)), sys.byteorder)


@pytest_twisted.ensureDeferred
async def test_a_renegotiation_is_refused_and_ends_nothing_else() -> None:
    async with secure_port(Answering) as port:
        with Session(*s_client(port, "-tls1_2")) as session:
            await read_until(session, b"welcome")
            session.type(b"R\n")
            protocol = await port.first()
            await until(lambda: protocol.lost)
        with Session(*s_client(port, "-tls1_2")) as session:
            await read_until(session, b"welcome")


@pytest_twisted.ensureDeferred
async def test_new_keys_that_the_client_makes_and_asks_for_are_taken() -> None:
    async with secure_port(Answering) as port:
        await talk(
            port,
            ["-tls1_3"],
            (b"k\n", b""),
            (b"one\n", b"answer to one"),
            (b"K\n", b""),
            (b"two\n", b"answer to two"),
            (b"K\n", b""),
            (b"three\n", b"answer to three"),
        )


@VERSIONS
@pytest_twisted.ensureDeferred
async def test_the_end_of_the_client_s_input_is_an_orderly_end(version: str) -> None:
    async with secure_port(Answering) as port:
        await deferToThread(feed, *s_client(port, f"-{version}", "-quiet", "-no_ign_eof"))
        protocol = await port.first()
        await until(lambda: protocol.lost)


def credentials(signer: trustme.CA) -> bytes:
    """A client's key and certificate, as a file has them."""
    return bytes(signer.issue_cert("client").private_key_and_cert_chain_pem.bytes())


def demanding() -> CertificateOptions:
    """A server's side that knows its clients."""
    issued = authority().issue_cert("localhost")
    key: Any = load_pem_private_key(issued.private_key_pem.bytes(), None)
    certificate: Any = load_pem_x509_certificate(issued.cert_chain_pems[0].bytes())
    trust = trustRootFromCertificates([Certificate.loadPEM(authority().cert_pem.bytes())])
    return CertificateOptions(privateKey=key, certificate=certificate, trustRoot=trust)


@VERSIONS
@pytest_twisted.ensureDeferred
async def test_a_client_is_known_by_its_certificate(version: str, tmp_path: Path) -> None:
    (tmp_path / "client.pem").write_bytes(credentials(authority()))
    async with secure_port(Answering, demanding()) as port:
        await talk(port, [f"-{version}", "-cert", f"{tmp_path}/client.pem"])
        assert port.protocols[0].certificate is not None


@pytest.mark.parametrize("has_one", [False, True], ids=["none", "a stranger's"])
@VERSIONS
@pytest_twisted.ensureDeferred
async def test_a_client_without_a_known_certificate_is_refused_for_that_reason(
    version: str, has_one: bool, tmp_path: Path
) -> None:
    (tmp_path / "client.pem").write_bytes(credentials(trustme.CA()))
    options = ["-cert", f"{tmp_path}/client.pem"] if has_one else []
    async with secure_port(Answering, demanding()) as port:
        found = await deferToThread(feed, *s_client(port, f"-{version}", *options))
        assert b"welcome" not in found
        protocol = await port.first()
        await until(lambda: protocol.lost)
        assert protocol.lost.check(SSL.Error)
        assert not protocol.is_shaken


@VERSIONS
@pytest_twisted.ensureDeferred
async def test_alpn_is_agreed_on(version: str) -> None:
    ours = server_context()
    contexts = CertificateOptions(
        privateKey=ours.privateKey, certificate=ours.certificate, acceptableProtocols=[b"mail"]
    )
    async with secure_port(Answering, contexts) as port:
        with Session(*s_client(port, f"-{version}", "-alpn", "chat,mail")) as session:
            await read_until(session, b"welcome")
            assert port.protocols[0].wire.negotiatedProtocol == b"mail"


@VERSIONS
@pytest_twisted.ensureDeferred
async def test_a_session_is_resumed_where_the_context_allows_it(
    version: str, tmp_path: Path
) -> None:
    ours, file = server_context(), tmp_path / "session"
    contexts = CertificateOptions(
        privateKey=ours.privateKey,
        certificate=ours.certificate,
        enableSessions=True,
        enableSessionTickets=True,
    )
    async with secure_port(Answering, contexts) as port:
        with Session(*s_client(port, f"-{version}", "-sess_out", str(file))) as session:
            await read_until(session, b"welcome")
            session.type(b"hello\n")
            await read_until(session, b"answer to hello")
            session.type(b"Q\n")
            await until(lambda: port.protocols[0].lost and file.exists() and file.stat().st_size)
        await talk(port, [f"-{version}", "-sess_in", str(file)], (b"again\n", b"answer to again"))
        assert [one.is_resumed for one in port.protocols] == [False, True]
