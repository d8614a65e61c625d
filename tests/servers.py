"""The real listeners and blocking clients of `sockd.testing`."""

from __future__ import annotations

from sockd.testing.sockets import (
    TIMEOUT,
    Asker,
    Connection,
    TLSConnection,
    address_of,
    dial,
    listen_string,
    serve,
)

__all__ = [
    "TIMEOUT",
    "Asker",
    "Connection",
    "TLSConnection",
    "address_of",
    "dial",
    "listen_string",
    "serve",
]
