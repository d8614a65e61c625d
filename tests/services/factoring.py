"""A factor instance on a loop whose time the test moves, with a real worker."""

from __future__ import annotations

from typing import Any

from sockd.access.peer import Peer
from sockd.net.context import Context
from sockd.services.factor import Factoring
from tests.helpers import connect, make_context, make_world, until
from tests.memory import Client, Loop

HARD = 300000000000000141592653589793238462643383319 * 700000000000000271828182845904523536028747351
"""Two primes of 45 digits: minutes of work."""
LARGE = b"147573952589676412927\r\n", b"193707721 761838257287\r\n"
"""2^67 - 1, which the worker factors at once (F. N. Cole, 1903)."""
OTHER_LARGE = b"18446744073709551617\n", b"274177 67280421310721\r\n"
"""2^64 + 1 (the sixth Fermat number)."""
LATE = b"error: not done within 5s\r\n"
BUSY = b"error: busy\r\n"
HARD_LINE = b"%d\n" % HARD
LOCAL = Peer("127.0.0.1", 50_007)


class Place:
    """A factor instance, its clients, and the worker behind it."""

    def __init__(self, **table: Any) -> None:
        self.loop = Loop()
        table = {"max_digits": 95, **table}
        self.context: Context[Any, Any] = make_context("factor", make_world(self.loop), **table)
        self.factoring: Factoring = self.context.shared

    def client(self, *lines: bytes, peer: Peer = LOCAL) -> Client:
        """A client that has sent these lines."""
        client = connect("factor", self.context, peer)
        client.send(*lines)
        return client

    async def come_to(self, condition: Any) -> None:
        """Let the worker and the loop go on until it is so."""

        def settled() -> bool:
            self.loop.settle()
            return bool(condition())

        await until(settled)

    async def receive(self, client: Client, answer: bytes) -> None:
        """Wait for an answer; what came must be this."""
        await self.come_to(lambda: len(client.received) >= len(answer))
        assert client.received == answer

    @property
    def worker(self) -> int:
        """The process of the worker."""
        worker = self.factoring._worker
        assert worker is not None
        assert worker.pid is not None
        return worker.pid

    @property
    def is_ready(self) -> bool:
        """Whether the worker has begun to work."""
        return self.factoring._worker is not None and self.factoring._worker.is_ready
