"""Whom the client trusts, and what it says of those it does not."""

from __future__ import annotations

from pathlib import Path

import pytest_twisted

from tests.client.peers import Server, call, echo, server_context, serving

Files = tuple[Path, Path, Path]


@pytest_twisted.ensureDeferred
async def test_a_server_whose_certificate_holds_is_talked_to(tls_files: Files) -> None:
    certificate, key, ca = tls_files
    async with serving(Server(received=echo), context=server_context(certificate, key)) as server:
        for host in ("127.0.0.1", "localhost"):
            stream = await call(server.port, host, tls=True, ca=str(ca))
            stream.write(b"hello")
            assert await stream.read_exactly(5) == b"hello"
            stream.close()
