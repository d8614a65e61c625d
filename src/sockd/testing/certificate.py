"""A certificate for tests: nobody has signed it, and nobody is to trust it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

LIFE = timedelta(days=1)
"""How long it holds, from an hour ago: clocks of tests may be set back."""


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """Files with a certificate for localhost and with its key, made in the folder once."""
    certificate, key = folder / "cert.pem", folder / "key.pem"
    if not certificate.exists():
        # here, because it takes long to load, and TLS is for few tests
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec

        private = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
        begin = datetime.now(UTC) - timedelta(hours=1)
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(private.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(begin + LIFE)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
            .sign(private, hashes.SHA256())
        )
        pem = serialization.Encoding.PEM
        key.write_bytes(
            private.private_bytes(
                pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        certificate.write_bytes(made.public_bytes(pem))
    return certificate, key
