"""travesty: whatever is asked and stopped, in any pieces, the next answer is the right one."""

from __future__ import annotations

import random
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest
import pytest_twisted

from tests.services.travesty_peers import TEXT, Peer, joined, turn

ROUNDS = 60
LONG = TEXT * 3_000
"""More than the kernel holds."""


class Hasty:
    """A client that sends in pieces, looks away for a while, and stops what it has begun."""

    def __init__(self, peer: Peer, source: random.Random) -> None:
        self.peer, self.source = peer, source

    async def wait(self) -> None:
        for _ in range(self.source.choice([0, 0, 1, 2, 5, 30])):
            await turn()

    async def send(self, data: bytes) -> None:
        while data:
            size = self.source.choice(
                [3, 100, len(data)] if len(data) < 500 else [5_000, len(data)]
            )
            with suppress(BlockingIOError):
                data = data[self.peer.socket.send(data[:size]) :]
            await self.wait()

    async def urge(self) -> None:
        while True:
            with suppress(BlockingIOError):
                self.peer.socket.send(b"!", socket.MSG_OOB)
                return
            await turn()

    async def upload(self) -> None:
        await self.send(b"DATA\r\n" + TEXT * self.source.choice([1, 3]) + b".\r\n")
        await self.peer.codes(201, 202)

    async def stopped_upload(self) -> None:
        said = b"DATA\r\n" + self.source.choice([TEXT, LONG])
        await self.send(said[: self.source.randrange(len(b"DATA\r\n"), len(said) + 1)])
        await self.urge()
        await self.peer.codes(201, 202)
        await self.upload()

    async def text(self) -> None:
        count = self.source.choice([1, 10, 1_000, 10_000])
        await self.send(b"GENERATE %d\r\n" % count)
        assert len(await self.peer.text()) == count

    async def stopped_text(self) -> None:
        await self.send(b"GENERATE %d\r\n" % self.source.choice([1, 10, 1_000, 10**9]))
        for _ in range(self.source.choice([0, 1, 5, 50])):
            self.peer.read(self.source.choice([0, 100, 10_000]))
            await turn()
        await self.urge()
        # what was not sent yet is not sent at all
        assert (await self.peer.mark())[:4] in (b"203 ", b"")

    async def nothing(self) -> None:
        await self.peer.in_step()
        for _ in range(self.source.choice([0, 1, 3])):
            await self.urge()
            await self.wait()


STEPS: list[Callable[[Hasty], Awaitable[None]]] = [
    Hasty.upload,
    Hasty.stopped_upload,
    Hasty.text,
    Hasty.stopped_text,
    Hasty.nothing,
]


@pytest.mark.parametrize("buffer", [0, 4096])
@pytest.mark.parametrize("seed", [1, 2])
@pytest_twisted.ensureDeferred
async def test_any_transfers_one_after_the_other_stopped_anywhere_are_in_step(
    buffer: int, seed: int
) -> None:
    async with joined(buffer) as peer:
        await peer.learn()
        source = random.Random(seed)
        for _ in range(ROUNDS):
            await source.choice(STEPS)(Hasty(peer, source))
        await peer.bye()
