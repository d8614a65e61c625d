"""Certificates for servers on loopback."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trustme
from attrs import frozen
from OpenSSL import SSL

from tests.client.peers import server_context

VERSIONS = pytest.mark.parametrize("version", [SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION])


@frozen
class Issuer:
    """An authority, and a folder for what it issues."""

    folder: Path
    authority: trustme.CA

    @property
    def ca(self) -> str:
        """The file of its certificate."""
        path = self.folder / "ca.pem"
        self.authority.cert_pem.write_to_path(str(path))
        return str(path)

    def issue(self, *names: str, **dates: Any) -> Path:
        """A file with a certificate and its key."""
        path = self.folder / f"{len(list(self.folder.iterdir()))}.pem"
        issued = self.authority.issue_cert(*names, **dates)
        issued.private_key_and_cert_chain_pem.write_to_path(str(path))
        return path


def one(path: Path, **options: Any) -> SSL.Context:
    """A server's TLS, from one file."""
    return server_context(path, path, **options)
