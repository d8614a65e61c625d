"""TLS for stream services: 1.2 and later, certificates that can change."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from attrs import define, evolve, frozen
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from OpenSSL import SSL, crypto
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator, IProtocol, IReactorTime
from twisted.internet.protocol import Factory
from twisted.internet.ssl import CertificateOptions
from twisted.protocols.tls import TLSMemoryBIOFactory
from zope.interface import implementer

from sockd.listen.terms import Terms
from sockd.net.tls_offered import host_names, restrict
from sockd.net.tls_wrapper import TLSProtocol
from sockd.net.turns import Turns
from sockd.options.files import read_file

MAX_FILE = 1024 * 1024
"""Bytes of the longest file of certificates."""


@frozen
class Files:
    """What the files of a listener held, and when: two are equal if nothing has changed."""

    stamps: tuple[tuple[str, int, int, int], ...]


def stamps(terms: Terms) -> Files:
    """When the files were last changed. Raises ValueError that names one that is not there."""
    found = []
    for name in terms.tls_files:
        try:
            status = Path(name).stat()
        except OSError as error:
            raise ValueError(f"{name}: {error.strerror}") from None
        found.append((name, status.st_mtime_ns, status.st_size, status.st_ino))
    return Files(tuple(found))


def load(terms: Terms) -> SSL.Context:
    """The TLS context of an address's files. Raises ValueError that names the file at fault.

    Where there are several certificates, a client gets the one of the host that it asks for by name
    (SNI), the first one if it asks for none that there is.
    """
    first, names = _load(terms)
    contexts, ends = dict.fromkeys(names, first), [first.get_app_data()]
    for certificate, key in terms.further:
        context, names = _load(evolve(terms, certificate=certificate, key=key))
        if not names:
            raise ValueError(f"{certificate}: it names no host that a client could ask for")
        contexts = {**dict.fromkeys(names, context), **contexts}
        ends.append(context.get_app_data())
    first.set_app_data(min(ends))
    if terms.further:
        first.set_tlsext_servername_callback(partial(_choose, contexts))
    return first


def expires(context: SSL.Context) -> float:
    """When the first of the certificates ends that a context was made of, as Unix time."""
    found: float = context.get_app_data()
    return found


def _load(terms: Terms) -> tuple[SSL.Context, list[str]]:
    """The context of one certificate, and the names of hosts in it."""
    certificates = _read_certificates(terms.certificate)
    key = _read_key(terms.key)
    authorities = (
        [
            crypto.X509.from_cryptography(certificate)
            for certificate in _read_certificates(terms.client_ca)
        ]
        if terms.client_ca
        else None
    )
    try:
        context = CertificateOptions(
            privateKey=key,
            certificate=certificates[0],
            extraCertChain=certificates[1:],
            verify=authorities is not None,
            requireCertificate=authorities is not None,
            caCerts=authorities,
        ).getContext()
        context.set_alpn_select_callback(_no_protocol)
        context.check_privatekey()
    except SSL.Error as error:
        raise ValueError(_refused(terms, error)) from None
    except (TypeError, ValueError):
        raise ValueError(f"{terms.key}: TLS has no use for a key of its kind") from None
    restrict(context, terms.versions, terms.ciphers)
    context.set_app_data(certificates[0].not_valid_after_utc.timestamp())
    return context, host_names(certificates[0])


def _choose(contexts: Mapping[str, SSL.Context], connection: SSL.Connection) -> None:
    """From OpenSSL, when a client has said which host it wants."""
    name = (connection.get_servername() or b"").decode("ascii", "replace").lower().rstrip(".")
    context = contexts.get(name) or contexts.get(f"*.{name.partition('.')[2]}")
    if context is not None and context is not connection.get_context():
        # what OpenSSL has taken of the first, such as who may come, is that one's to keep alive
        connection.set_app_data(connection.get_context())
        connection.set_context(context)


def _no_protocol(_: SSL.Connection, offered: list[bytes]) -> Any:
    """A client that offers protocols (ALPN) is served all the same; Twisted would refuse it."""
    return SSL.NO_OVERLAPPING_PROTOCOLS


def _refused(terms: Terms, error: SSL.Error) -> str:
    """What OpenSSL says of a key and a certificate, in words that name the file."""
    reasons = " ".join(str(reason) for *_, reason in error.args[0]) if error.args else ""
    # of a key of another kind OpenSSL says that no certificate is there for it
    if not reasons or "mismatch" in reasons or "no certificate assigned" in reasons:
        return f"{terms.key} is not the key of {terms.certificate}"
    return f"{terms.certificate}: OpenSSL does not take it: {reasons}"


def _read(name: str) -> bytes:
    try:
        return read_file(name, MAX_FILE)
    except OSError as error:
        raise ValueError(f"{name}: {error.strerror}") from None


def _read_certificates(name: str) -> list[Any]:
    data = _read(name)
    try:
        return x509.load_pem_x509_certificates(data)
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError(f"{name}: there is no certificate in it that can be read as PEM") from None


def _read_key(name: str) -> Any:
    data = _read(name)
    try:
        return load_pem_private_key(data, password=None)
    except TypeError:
        raise ValueError(
            f"{name}: the key has a passphrase, which nobody can be asked for"
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError(f"{name}: there is no private key in it that can be read as PEM") from None


@implementer(IOpenSSLServerConnectionCreator)
@define(eq=False)
class Connections:
    """Makes the TLS side of each connection from the newest context that is good."""

    context: SSL.Context

    def serverConnectionForTLS(self, protocol: Any) -> SSL.Connection:
        """Twisted: the connection object for one peer."""
        return SSL.Connection(self.context, None)


class TLSFactory(TLSMemoryBIOFactory):
    """Wraps one protocol at a time, after the guard has let its peer in."""

    protocol = TLSProtocol

    def __init__(
        self, connections: Connections, clock: IReactorTime, turns: Turns | None = None
    ) -> None:
        super().__init__(connections, False, Factory(), clock)
        self.turns = turns or Turns(clock)

    def wrap(self, inner: IProtocol) -> TLSProtocol:
        """The TLS protocol around a service's."""
        return TLSProtocol(self, inner)
