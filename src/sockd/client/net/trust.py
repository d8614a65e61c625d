"""Whom the client trusts over TLS, and what is wrong with a certificate, in a sentence."""

from __future__ import annotations

from functools import lru_cache

from attrs import define, field
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509 import Certificate, load_pem_x509_certificates
from OpenSSL import SSL, crypto
from service_identity import CertificateError, VerificationError
from service_identity.pyopenssl import verify_hostname, verify_ip_address
from twisted.internet.defer import Deferred

from sockd.client.asking import Asking
from sockd.client.errors import BadCertificate, ClientError, TimedOut, UsageFault
from sockd.client.net.channels import Channel
from sockd.client.net.loop import Reactor
from sockd.client.net.resolve import is_address
from sockd.client.net.system import words
from sockd.client.net.tls import TLSChannel
from sockd.client.targets import Target
from sockd.options.files import read_file

MOST_FILE = 4 * 1024 * 1024
"""Bytes of a file of certificates: a system's whole list is a quarter of a megabyte."""
MOST_NAMES = 5
"""Of a certificate, in a message: one may have a hundred."""
MOST_NAME = 80
"""Characters of each of them."""
_WRONG = {
    9: "is not valid yet",
    10: "has expired",
    18: "is self-signed, and not trusted",
    19: "is signed by an authority that is not trusted",
    20: "is signed by an authority that is not known",
    21: "is signed by an authority that is not known",
    23: "has been revoked",
    26: "is not meant for a server",
    66: "has a key that is too weak",
    67: "is signed by an authority whose key is too weak",
    68: "is signed with a digest that is too weak",
}
"""By OpenSSL's numbers (`X509_V_ERR_...`) of what is wrong with a certificate."""
_NO_TLS = (
    "wrong version number",
    "packet length too long",
    "http request",
    "record layer failure",
    "invalid alert",
)
"""What OpenSSL says of bytes that are no TLS."""
_WANTS_CERTIFICATE = ("certificate required", "handshake failure", "bad certificate")
"""Alerts of a server that has asked for a certificate, and got none that it takes."""


@define(eq=False)
class _Handshake:
    """What is noticed during one handshake, so that it can be told what went wrong."""

    target: Target
    has_certificate: bool
    number: int = field(default=0, init=False)
    """OpenSSL's, of what is wrong with the server's certificate."""
    wants_certificate: bool = field(default=False, init=False)
    is_done: bool = field(default=False, init=False)

    def explain(self, error: SSL.Error | None) -> ClientError:
        """What an error of OpenSSL's means."""
        where = str(self.target)
        if error is None:
            return BadCertificate(
                f"{where} ended the connection instead of agreeing on TLS: it may speak none"
            )
        if self.number:
            wrong = _WRONG.get(self.number, f"does not hold (OpenSSL's error {self.number})")
            return BadCertificate(f"the certificate of {where} {wrong}")
        reasons = _reasons(error)
        if "certificate required" in reasons or (
            self.wants_certificate and any(word in reasons for word in _WANTS_CERTIFICATE)
        ):
            if self.has_certificate:
                return BadCertificate(f"{where} does not take our certificate ({reasons})")
            return BadCertificate(f"{where} wants a certificate of the client (--cert)")
        if "unknown ca" in reasons and self.has_certificate:
            return BadCertificate(f"{where} does not know who has signed our certificate")
        if not self.is_done and any(word in reasons for word in _NO_TLS):
            return BadCertificate(f"{where} speaks no TLS")
        if "protocol version" in reasons or "unsupported protocol" in reasons:
            return BadCertificate(f"{where} speaks no TLS of version 1.2 or later")
        return BadCertificate(f"TLS with {where} failed: {reasons or 'OpenSSL does not say why'}")


async def secure(
    reactor: Reactor, channel: Channel, target: Target, asking: Asking, wait: float
) -> Channel:
    """TLS over a connected channel, with a server whose certificate holds.

    Raises BadCertificate, TimedOut, Unreachable, or UsageFault for the files of the options. The
    channel is left to whoever called if so.
    """
    context = load(asking.ca, asking.certificate, asking.is_insecure)
    name = (asking.server_name or target.host).removesuffix(".")
    handshake = _Handshake(target, bool(asking.certificate))
    connection = SSL.Connection(context, None)
    connection.set_app_data(handshake)
    if name and not is_address(name):
        connection.set_tlsext_host_name(_sni(name))
    connection.set_connect_state()
    tls = TLSChannel(channel, connection, handshake.explain)
    late = TimedOut(f"{target} has not agreed on TLS within {asking.wait:g} s")
    shaking = Deferred.fromCoroutine(tls.shake_hands())
    timer = reactor.callLater(wait, shaking.cancel)
    try:
        await shaking
    except BaseException:
        if not timer.active():
            raise late from None
        raise
    finally:
        if timer.active():
            timer.cancel()
    handshake.is_done = True
    if not asking.is_insecure:
        _check_name(connection, target, name)
    return tls


@lru_cache(maxsize=8)  # a run has one
def load(ca: str, certificate: str, is_insecure: bool) -> SSL.Context:
    """What TLS is spoken with: TLS 1.2 and later. Raises UsageFault for a file that will not do.

    `ca`: a file of authorities instead of the system's. `certificate`: a file with a certificate,
    those that stand between it and its authority, and the key.
    """
    context = SSL.Context(SSL.TLS_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_options(SSL.OP_NO_RENEGOTIATION)
    context.set_info_callback(_notice_state)
    if is_insecure:
        context.set_verify(SSL.VERIFY_NONE, None)
    else:
        context.set_verify(SSL.VERIFY_PEER, _notice_error)
        if ca:
            _trust(context, ca)
        else:
            context.set_default_verify_paths()
    if certificate:
        _use(context, certificate)
    return context


def _trust(context: SSL.Context, name: str) -> None:
    store = context.get_cert_store()
    assert store is not None
    # a server's own certificate will do, too
    store.set_flags(crypto.X509StoreFlags.PARTIAL_CHAIN)
    for authority in _certificates(name, _read(name)):
        store.add_cert(crypto.X509.from_cryptography(authority))


def _use(context: SSL.Context, name: str) -> None:
    data = _read(name)
    first, *others = _certificates(name, data)
    try:
        key = load_pem_private_key(data, password=None)
    except TypeError:
        raise UsageFault(f"{name}: its key has a passphrase, which is not asked for") from None
    except (ValueError, UnsupportedAlgorithm):
        raise UsageFault(f"{name}: there is no private key in it that can be read") from None
    try:
        context.use_certificate(first)
        for other in others:
            context.add_extra_chain_cert(other)
        context.use_privatekey(key)  # type: ignore[arg-type]  # a kind that TLS has no use for
        context.check_privatekey()
    except (SSL.Error, crypto.Error, TypeError, ValueError):
        raise UsageFault(f"{name}: its key is not that of its first certificate") from None


def _read(name: str) -> bytes:
    try:
        return read_file(name, MOST_FILE)
    except OSError as error:
        raise UsageFault(f"{name}: {words(error)}") from None


def _certificates(name: str, data: bytes) -> list[Certificate]:
    try:
        return load_pem_x509_certificates(data)
    except (ValueError, UnsupportedAlgorithm):
        raise UsageFault(f"{name}: there is no certificate in it that can be read") from None


def _notice_error(
    connection: SSL.Connection, certificate: crypto.X509, number: int, depth: int, is_good: int
) -> bool:
    if not is_good:
        handshake = connection.get_app_data()
        assert isinstance(handshake, _Handshake)
        handshake.number = handshake.number or number
    return bool(is_good)


def _notice_state(connection: SSL.Connection, where: int, result: int) -> None:
    if (
        where & SSL.SSL_CB_LOOP
        and b"read server certificate request" in connection.get_state_string()
    ):
        handshake = connection.get_app_data()
        assert isinstance(handshake, _Handshake)
        handshake.wants_certificate = True


def _check_name(connection: SSL.Connection, target: Target, name: str) -> None:
    """Whether the certificate is the server's. Raises BadCertificate."""
    if not name:
        raise BadCertificate(f"whose certificate {target} should have is not known (--server-name)")
    try:
        if is_address(name):
            verify_ip_address(connection, name.partition("%")[0])
        else:
            verify_hostname(connection, name)
    except (VerificationError, CertificateError, ValueError, TypeError):
        names = _names(connection)
        whose = f"is for {' and '.join(names)}, not for {name}" if names else "names no host"
        raise BadCertificate(f"the certificate of {target} {whose}") from None


def _names(connection: SSL.Connection) -> list[str]:
    """Whose certificate it is; not escaped, and not too long."""
    try:
        certificate = connection.get_peer_certificate(as_cryptography=True)
        if certificate is None:
            return []
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names = [
            *found.get_values_for_type(x509.DNSName),
            *(str(address) for address in found.get_values_for_type(x509.IPAddress)),
        ]
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        return []
    kept = [name[:MOST_NAME] for name in names[:MOST_NAMES]]
    return [*kept, f"{len(names) - MOST_NAMES} more"] if len(names) > MOST_NAMES else kept


def _sni(name: str) -> bytes:
    try:
        return name.encode("idna")
    except UnicodeError:
        raise UsageFault(f"'{name}' is not the form of a server's name") from None


def _reasons(error: SSL.Error) -> str:
    """What OpenSSL says, in its words."""
    if error.args and isinstance(error.args[0], list):
        return "; ".join(str(entry[-1]) for entry in error.args[0] if entry)
    return " ".join(str(part) for part in error.args)
