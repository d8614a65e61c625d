"""A connection as a coroutine sees it."""

from __future__ import annotations

import pytest_twisted

from tests.client.peers import Server, call, echo, serving


@pytest_twisted.ensureDeferred
async def test_what_is_written_is_answered_and_the_end_is_told() -> None:
    async with serving(Server(received=echo)) as server:
        stream = await call(server.port)
        stream.write(b"hello")
        assert await stream.read_exactly(5) == b"hello"
        stream.finish()
        assert await stream.read() == b""
        stream.close()
