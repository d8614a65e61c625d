"""The loop in memory of `sockd.testing`, and the running reactor."""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor as _running

from sockd.testing.memory import (
    ASKER,
    NOON,
    Client,
    Loop,
    MemoryPort,
    MemorySocket,
    Sent,
    Wall,
)

__all__ = [
    "ASKER",
    "NOON",
    "REACTOR",
    "Client",
    "Loop",
    "MemoryPort",
    "MemorySocket",
    "Sent",
    "Wall",
]

REACTOR: Any = _running
"""The reactor that the suite runs on."""
