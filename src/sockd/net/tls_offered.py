"""What is offered over TLS: versions, ciphers, and the hosts that a certificate names."""

from __future__ import annotations

from collections.abc import Sequence

from cryptography import x509
from OpenSSL import SSL

_VERSIONS = {"1.2": SSL.TLS1_2_VERSION, "1.3": SSL.TLS1_3_VERSION}
_SUITE = "TLS_"
"""What names of TLS 1.3's ciphers begin with."""
_NO_NAME = "!-+@"
"""What begins a word of a list that takes away, or orders, and names nothing."""
_ANONYMOUS = ("ADH", "AECDH")


def restrict(context: SSL.Context, versions: Sequence[str], ciphers: str) -> None:
    """Have a context speak these versions with these ciphers. Raises ValueError."""
    context.set_min_proto_version(min(_VERSIONS[version] for version in versions))
    context.set_max_proto_version(max(_VERSIONS[version] for version in versions))
    suites, older = _apart(ciphers)
    try:
        if older:
            context.set_cipher_list(":".join(older).encode("ascii"))
        if suites:
            context.set_tls13_ciphersuites(":".join(suites).encode("ascii"))
    except (SSL.Error, UnicodeEncodeError):
        raise ValueError(f"OpenSSL knows no such ciphers: {ciphers}") from None


def cipher_mistake(versions: Sequence[str], ciphers: str) -> str:
    """What is wrong with a list of ciphers, or nothing."""
    suites, older = _apart(ciphers)
    for word in (*suites, *older):
        if word[:1] not in _NO_NAME and not _is_known(word):
            return f"OpenSSL knows no cipher {word!r}"
    for version, named in (("1.2", older), ("1.3", suites)):
        if named and version not in versions:
            return f"{':'.join(named)} is for TLS {version}, which tls_versions leaves out"
    context = SSL.Context(SSL.TLS_METHOD)
    try:
        restrict(context, versions, ciphers)
    except ValueError as error:
        return str(error)
    for name in SSL.Connection(context, None).get_cipher_list():
        if name.startswith(_ANONYMOUS) or "NULL" in name:
            return f"{name}, which is among them, protects nothing: add !aNULL:!eNULL"
    return ""


def host_names(certificate: x509.Certificate) -> list[str]:
    """The hosts that a certificate is for, in lower case; `*.` stands for one more label."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        return [name.lower() for name in found.value.get_values_for_type(x509.DNSName)]
    except (x509.ExtensionNotFound, ValueError):
        common = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
        return [str(one.value).lower() for one in common]


def _apart(ciphers: str) -> tuple[list[str], list[str]]:
    """The names for TLS 1.3, and the words for 1.2."""
    words = [word for word in ciphers.split(":") if word]
    return (
        [word for word in words if word.startswith(_SUITE)],
        [word for word in words if not word.startswith(_SUITE)],
    )


def _is_known(word: str) -> bool:
    context = SSL.Context(SSL.TLS_METHOD)
    try:
        data = word.encode("ascii")
        if word.startswith(_SUITE):
            context.set_tls13_ciphersuites(data)
        else:
            context.set_cipher_list(data)
    except (SSL.Error, UnicodeEncodeError):
        return False
    return True
