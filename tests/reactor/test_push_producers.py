"""A producer that writes until it is paused must be paused, however fast its peer reads."""

from __future__ import annotations

import socket
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Factory, Protocol
from zope.interface import implementer

from tests.helpers import until
from tests.memory import REACTOR

TURN = 65_536
"""Bytes after which Twisted's transports pause a push producer."""
PIECE = b"x" * 1000


@implementer(IPushProducer)
class Insatiable(Protocol):
    """Writes until it is paused, three times; and at most what no socket holds."""

    def __init__(self) -> None:
        self.turns: list[int] = []

    def start(self) -> None:
        """Begin."""
        wire: Any = self.transport
        wire.registerProducer(self, True)
        self.resumeProducing()

    def resumeProducing(self) -> None:
        wire: Any = self.transport
        if len(self.turns) == 3:
            wire.unregisterProducer()
            wire.loseConnection()
            return
        self.turns.append(0)
        self.may_write = True
        while self.may_write and self.turns[-1] < 100 * TURN:
            wire.write(PIECE)
            self.turns[-1] += len(PIECE)

    def pauseProducing(self) -> None:
        self.may_write = False

    def stopProducing(self) -> None:
        """The peer has gone."""


@pytest.mark.parametrize("at_once", [True, False], ids=["when it is made", "later"])
@pytest_twisted.ensureDeferred
async def test_a_push_producer_lets_the_others_have_their_turn(at_once: bool) -> None:
    protocol = Insatiable()
    if at_once:
        protocol.connectionMade = protocol.start  # type: ignore[method-assign]
    port = REACTOR.listenTCP(0, Factory.forProtocol(lambda: protocol), interface="127.0.0.1")
    with socket.create_connection(("127.0.0.1", port.getHost().port)) as peer:
        peer.setblocking(False)
        await until(lambda: protocol.transport)
        if not at_once:
            REACTOR.callLater(0.0, protocol.start)
        received = bytearray()

        def is_at_end() -> bool:
            try:
                data = peer.recv(2**20)
            except BlockingIOError:
                return False
            received.extend(data)
            return not data

        await until(is_at_end)
    assert len(protocol.turns) == 3
    assert max(protocol.turns) <= TURN + len(PIECE)
    assert len(received) == sum(protocol.turns)
    await port.stopListening()
