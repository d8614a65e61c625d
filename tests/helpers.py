"""What tests need of `sockd.testing`, and what only ours need."""

from __future__ import annotations

from typing import Any

from sockd.testing.instances import (
    ENTRANCE,
    HOSTNAME,
    LISTENS,
    PEER,
    QuickNames,
    connect,
    installed,
    knock,
    make_context,
    make_settings,
    make_world,
    open_port,
)
from sockd.testing.leftovers import WORLD, World
from sockd.testing.log import LogRecorder
from sockd.testing.running import until

__all__ = [
    "ENTRANCE",
    "FOUND",
    "HOSTNAME",
    "LISTENS",
    "PEER",
    "WORLD",
    "LogRecorder",
    "QuickNames",
    "World",
    "connect",
    "held_by",
    "knock",
    "make_context",
    "make_settings",
    "make_world",
    "open_port",
    "until",
]

FOUND = installed()
"""The registry, as an installed daemon sees it."""


def held_by(transport: Any) -> int:
    """Bytes that wait to be sent."""
    return len(transport.dataBuffer) + int(transport._tempDataLen)
