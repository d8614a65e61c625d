"""Peers that knock at an echo service in memory."""

from __future__ import annotations

from typing import Any

from sockd.access.peer import Peer
from tests.helpers import knock
from tests.memory import Client

PORT = 40_000


def peers(host: str, count: int) -> list[Peer]:
    return [Peer(host, PORT + number) for number in range(count)]


def let_in(context: Any, peers: list[Peer]) -> list[Client]:
    """Those of the peers that get in."""
    knocks = [knock("echo", context, peer) for peer in peers]
    return [client for client in knocks if client is not None]
