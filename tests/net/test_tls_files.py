"""What is wrong with the files of TLS is told in plain words that name the file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from sockd.listen.strings import parse
from sockd.net import tls

NO_CERTIFICATE = "there is no certificate in it that can be read as PEM"
NO_KEY = "there is no private key in it that can be read as PEM"
RUBBISH = [
    b"",
    b"rubbish",
    b"\xff\x00",
    b"-----BEGIN CERTIFICATE-----\nrubbish\n-----END CERTIFICATE-----\n",
    b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
]


def refusal(certificate: Path, key: Path, authority: Path | None = None) -> str:
    """Why these files cannot be used."""
    more = f":clientCA={authority}" if authority else ""
    listen = parse(f"ssl:0:privateKey={key}:certKey={certificate}{more}")
    with pytest.raises(ValueError, match=r".") as caught:
        tls.load(listen.terms)
    return str(caught.value)


@pytest.mark.parametrize("rubbish", RUBBISH)
def test_rubbish_is_told_as_what_is_missing(
    rubbish: bytes, tmp_path: Path, tls_files: tuple[Path, Path, Path]
) -> None:
    file = tmp_path / "file.pem"
    file.write_bytes(rubbish)
    certificate, key, _ = tls_files
    assert refusal(file, key) == f"{file}: {NO_CERTIFICATE}"
    assert refusal(certificate, file) == f"{file}: {NO_KEY}"
    assert refusal(certificate, key, file) == f"{file}: {NO_CERTIFICATE}"


def test_files_that_are_exchanged_are_told(tls_files: tuple[Path, Path, Path]) -> None:
    certificate, key, _ = tls_files
    assert refusal(key, certificate) == f"{key}: {NO_CERTIFICATE}"


@pytest.mark.parametrize("kind", trustme.KeyType)
def test_the_key_of_another_certificate_is_told(
    kind: trustme.KeyType, tmp_path: Path, tls_files: tuple[Path, Path, Path]
) -> None:
    other = tmp_path / "other.pem"
    issued = trustme.CA().issue_cert("localhost", key_type=kind)
    issued.private_key_pem.write_to_path(other)
    assert refusal(tls_files[0], other) == f"{other} is not the key of {tls_files[0]}"


def test_a_key_with_a_passphrase_is_told(
    tmp_path: Path, tls_files: tuple[Path, Path, Path]
) -> None:
    certificate, key, _ = tls_files
    locked = tmp_path / "locked.pem"
    locked.write_bytes(
        load_pem_private_key(key.read_bytes(), None).private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
        )
    )
    assert refusal(certificate, locked) == (
        f"{locked}: the key has a passphrase, which nobody can be asked for"
    )


@pytest.mark.timeout(60)
def test_a_fifo_is_told_and_not_waited_for(
    tmp_path: Path, tls_files: tuple[Path, Path, Path]
) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    assert refusal(fifo, tls_files[1]) == f"{fifo}: a FIFO, not a file"
    assert refusal(tls_files[0], fifo) == f"{fifo}: a FIFO, not a file"
