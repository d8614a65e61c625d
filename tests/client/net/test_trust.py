"""Whom the client trusts over TLS, and what it says of those it does not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtensionOID
from OpenSSL import SSL
from twisted.internet.defer import CancelledError, Deferred

from sockd.client.errors import BadCertificate, ClientError, TimedOut, UsageFault
from sockd.client.net.trust import MOST_FILE, MOST_NAME, MOST_NAMES
from sockd.testing.certificate import make_certificate
from sockd.testing.running import until
from tests.client.issuers import VERSIONS, Issuer, one
from tests.client.peers import Server, call, close, echo, known, server_context, serving

Files = tuple[Path, Path, Path]


@pytest.fixture
def issuer(tmp_path: Path) -> Issuer:
    """One of them."""
    return Issuer(tmp_path, trustme.CA())


async def talk(server: Server, host: str = "127.0.0.1", **options: Any) -> None:
    """A word and its echo."""
    stream = await call(server.port, host, tls=True, **options)
    try:
        stream.write(b"hello")
        assert await stream.read_exactly(5) == b"hello"
    finally:
        stream.close()


async def refused(
    context: SSL.Context | None,
    host: str = "127.0.0.1",
    kind: type[ClientError] = BadCertificate,
    server: Server | None = None,
    **options: Any,
) -> str:
    """What is said of a server that is not talked to, without its port."""
    async with serving(server or Server(received=echo), context=context) as served:
        with pytest.raises(kind) as caught:
            await talk(served, host, **options)
        return str(caught.value).replace(f":{served.port}", "")


@pytest_twisted.ensureDeferred
async def test_a_server_whose_certificate_holds_is_talked_to(tls_files: Files) -> None:
    certificate, key, ca = tls_files
    async with serving(Server(received=echo), context=server_context(certificate, key)) as server:
        for host in ("127.0.0.1", "localhost"):
            await talk(server, host, ca=str(ca))
        await talk(server, "localhost.", ca=str(ca), lookups=known("127.0.0.1"))
        await talk(
            server, "any.test", ca=str(ca), lookups=known("127.0.0.1"), server_name="localhost"
        )


@pytest_twisted.ensureDeferred
async def test_the_server_is_told_which_name_is_wanted(tls_files: Files) -> None:
    certificate, key, ca = tls_files
    context = server_context(certificate, key)
    names: list[bytes | None] = []
    context.set_tlsext_servername_callback(lambda asked: names.append(asked.get_servername()))
    async with serving(Server(received=echo), context=context) as server:
        await talk(server, "localhost", ca=str(ca))
        await talk(server, "127.0.0.1", ca=str(ca))
        stream = await call(server.port, "localhost", tls=True, ca=str(ca))
        assert (stream.timing.tls_ns or 0) > 0
        stream.close()
    assert names == [b"localhost", None, b"localhost"]


@pytest_twisted.ensureDeferred
async def test_an_address_of_ipv6_can_be_named_by_a_certificate(issuer: Issuer) -> None:
    server = Server(received=echo)
    async with serving(server, interface="::1", context=one(issuer.issue("::1"))):
        await talk(server, "::1", ca=issuer.ca)


@pytest_twisted.ensureDeferred
async def test_a_certificate_for_others_is_said_to_be_theirs(issuer: Issuer) -> None:
    context = one(issuer.issue("example.org", "192.0.2.1"))
    said = await refused(context, ca=issuer.ca)
    assert said == (
        "the certificate of 127.0.0.1 is for example.org and 192.0.2.1, not for 127.0.0.1"
    )
    assert "not for localhost" in await refused(context, "localhost", ca=issuer.ca)
    said = await refused(context, "127.0.0.1", ca=issuer.ca, server_name="example.net")
    assert said.endswith("not for example.net")


@pytest_twisted.ensureDeferred
async def test_the_names_of_a_certificate_are_told_up_to_a_bound(issuer: Issuer) -> None:
    names = [f"{'x' * 60}.{'y' * 60}.host{at}.test" for at in range(100)]
    said = await refused(one(issuer.issue(*names)), ca=issuer.ca)
    assert said.count("xxx.yyy") == MOST_NAMES
    assert f"and {100 - MOST_NAMES} more, not for" in said
    assert len(said) < (MOST_NAMES + 2) * MOST_NAME


def odd_certificate(folder: Path, names: bytes | None) -> Path:
    """A self-signed one, whose names are these bytes, which may be none of ASN.1's; its key too."""
    private = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(private.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
    )
    if names is not None:
        kind = ExtensionOID.SUBJECT_ALTERNATIVE_NAME
        builder = builder.add_extension(x509.UnrecognizedExtension(kind, names), critical=False)
    pem = serialization.Encoding.PEM
    path = folder / "odd.pem"
    path.write_bytes(
        builder.sign(private, hashes.SHA256()).public_bytes(pem)
        + private.private_bytes(
            pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return path


@pytest.mark.parametrize(
    "names", [None, b"\x30\x03\x82\x01\xff", b"\x30\x00", b"\x30\x03\x87\x01x"]
)
@pytest_twisted.ensureDeferred
async def test_a_certificate_that_names_no_host_is_nobodys(
    tmp_path: Path, names: bytes | None
) -> None:
    path = odd_certificate(tmp_path, names)
    for host in ("localhost", "127.0.0.1"):
        said = await refused(one(path), host, ca=str(path))
        assert said == f"the certificate of {host} names no host"


@pytest_twisted.ensureDeferred
async def test_a_certificate_that_has_expired_is_said_so(issuer: Issuer) -> None:
    now = datetime.now(UTC)
    before = {"not_before": now - timedelta(days=9), "not_after": now - timedelta(days=1)}
    said = await refused(one(issuer.issue("127.0.0.1", **before)), ca=issuer.ca)
    assert said == "the certificate of 127.0.0.1 has expired"
    after = {"not_before": now + timedelta(days=1), "not_after": now + timedelta(days=9)}
    said = await refused(one(issuer.issue("127.0.0.1", **after)), ca=issuer.ca)
    assert said == "the certificate of 127.0.0.1 is not valid yet"


@pytest_twisted.ensureDeferred
async def test_an_authority_that_nobody_knows_is_said_so(issuer: Issuer, tmp_path: Path) -> None:
    context = one(issuer.issue("127.0.0.1"))
    unknown = "the certificate of 127.0.0.1 is signed by an authority that is not known"
    assert await refused(context) == unknown
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    assert await refused(context, ca=str(other)) == unknown


@pytest_twisted.ensureDeferred
async def test_a_self_signed_certificate_is_trusted_only_by_name(tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path)
    context = server_context(certificate, key)
    said = await refused(context, "localhost")
    assert said == "the certificate of localhost is self-signed, and not trusted"
    async with serving(Server(received=echo), context=context) as server:
        await talk(server, "localhost", ca=str(certificate))


@pytest_twisted.ensureDeferred
async def test_a_servers_own_certificate_can_be_trusted_without_its_authority(
    issuer: Issuer,
) -> None:
    path = issuer.issue("127.0.0.1")
    async with serving(Server(received=echo), context=one(path)) as server:
        await talk(server, ca=str(path))


@pytest_twisted.ensureDeferred
async def test_who_insists_takes_any_certificate(issuer: Issuer) -> None:
    past = datetime.now(UTC) - timedelta(days=1)
    context = one(issuer.issue("x.test", not_before=past - timedelta(days=1), not_after=past))
    async with serving(Server(received=echo), context=context) as server:
        await talk(server, is_insecure=True)


# certificates of clients


def wanting(issuer: Issuer, version: int) -> SSL.Context:
    """A server's TLS that wants certificates of clients."""
    return one(issuer.issue("127.0.0.1"), client_ca=Path(issuer.ca), versions=version)


@VERSIONS
@pytest_twisted.ensureDeferred
async def test_a_server_that_wants_a_certificate_is_said_to(issuer: Issuer, version: int) -> None:
    said = await refused(wanting(issuer, version), ca=issuer.ca)
    assert said == "127.0.0.1 wants a certificate of the client (--cert)"


@VERSIONS
@pytest_twisted.ensureDeferred
async def test_a_server_that_wants_a_certificate_gets_it(issuer: Issuer, version: int) -> None:
    own = issuer.issue("client.test")
    async with serving(Server(received=echo), context=wanting(issuer, version)) as server:
        await talk(server, ca=issuer.ca, certificate=str(own))


@VERSIONS
@pytest_twisted.ensureDeferred
async def test_a_server_that_does_not_know_our_authority_is_said_to(
    issuer: Issuer, version: int, tmp_path: Path
) -> None:
    (tmp_path / "own").mkdir()
    own = Issuer(tmp_path / "own", trustme.CA()).issue("client.test")
    said = await refused(wanting(issuer, version), ca=issuer.ca, certificate=str(own))
    assert said == "127.0.0.1 does not know who has signed our certificate"


# files


@pytest_twisted.ensureDeferred
async def test_files_that_will_not_do_are_faults_of_usage(issuer: Issuer, tmp_path: Path) -> None:
    own, other = issuer.issue("a.test"), issuer.issue("b.test")
    empty, keyless, mixed, large = (tmp_path / name for name in "ekml")
    empty.touch()
    keyless.write_text(Path(issuer.ca).read_text())
    key = other.read_text().partition("-----BEGIN CERTIFICATE-----")[0]
    mixed.write_text(own.read_text().replace(own.read_text().partition("-----BEGIN C")[0], key))
    large.write_bytes(b"x" * (MOST_FILE + 1))
    cases: list[tuple[dict[str, Any], str]] = [
        ({"ca": str(tmp_path / "none")}, "none: no such file or directory"),
        ({"ca": str(tmp_path)}, "a directory, not a file"),
        ({"ca": str(empty)}, "e: there is no certificate in it that can be read"),
        ({"ca": str(large)}, "l: larger than"),
        ({"certificate": str(empty)}, "e: there is no certificate in it that can be read"),
        ({"certificate": str(keyless)}, "k: there is no private key in it that can be read"),
        ({"certificate": str(mixed)}, "m: its key is not that of its first certificate"),
    ]
    context = one(issuer.issue("127.0.0.1"))
    for options, said in cases:
        assert said in await refused(context, kind=UsageFault, **options)


# no TLS


@pytest.mark.parametrize(
    ("server", "said"),
    [
        (lambda: Server(connected=lambda peer: peer.wire.write(b"220 hello\r\n")), "speaks no TLS"),
        (lambda: Server(connected=lambda peer: peer.wire.write(b"x" * 99_999)), "speaks no TLS"),
        (lambda: Server(received=lambda peer, _: peer.wire.write(b"\0" * 99)), "speaks no TLS"),
        (lambda: Server(connected=close), "ended the connection instead of agreeing on TLS"),
        (lambda: Server(received=echo), "TLS with 127.0.0.1 failed: unexpected message"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_port_without_tls_is_said_to_have_none(server: Any, said: str) -> None:
    assert said in await refused(None, server=server())


@pytest_twisted.ensureDeferred
async def test_a_server_that_says_nothing_is_waited_for_as_long_as_was_said() -> None:
    server = Server()
    said = await refused(None, server=server, kind=TimedOut, wait=0.3)
    assert said in (
        "127.0.0.1 has not agreed on TLS within 0.3 s",
        "nobody answers at 127.0.0.1 within 0.3 s",  # the machine stood still
    )


@pytest_twisted.ensureDeferred
async def test_old_versions_of_tls_are_not_spoken(issuer: Issuer) -> None:
    context = one(issuer.issue("127.0.0.1"), versions=SSL.TLS1_1_VERSION)
    context.set_cipher_list(b"ALL:@SECLEVEL=0")
    said = await refused(context, ca=issuer.ca)
    assert said == "127.0.0.1 speaks no TLS of version 1.2 or later"


@pytest_twisted.ensureDeferred
async def test_who_gives_up_in_a_handshake_leaves_nothing_behind() -> None:
    async with serving(Server()) as server:
        dialling = Deferred.fromCoroutine(call(server.port, tls=True))
        await until(lambda: server.peers and server.peer.got)
        dialling.cancel()
        with pytest.raises(CancelledError):
            await dialling
