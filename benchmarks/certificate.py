"""A certificate for servers that speak TLS."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import NamedTemporaryFile

import trustme


@contextmanager
def certificate() -> Iterator[str]:
    """A file that has a key and a certificate for 127.0.0.1, as long as the block runs."""
    issued = trustme.CA().issue_cert("127.0.0.1")
    with NamedTemporaryFile(suffix=".pem") as file:
        file.write(issued.private_key_and_cert_chain_pem.bytes())
        file.flush()
        yield file.name
