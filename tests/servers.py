"""The real listeners and blocking clients of `sockd.testing`."""

from __future__ import annotations

from sockd.testing.sockets import (
    TIMEOUT,
    Asker,
    TLSWire,
    Wire,
    address_of,
    dial,
    listen_string,
    serve,
)

__all__ = [
    "TIMEOUT",
    "Asker",
    "TLSWire",
    "Wire",
    "address_of",
    "dial",
    "listen_string",
    "serve",
]
