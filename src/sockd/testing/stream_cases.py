"""What holds for a door that streams go through, in memory and over real listeners."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from attrs import frozen
from twisted.internet.threads import deferToThread

from sockd.access.peer import Peer
from sockd.net.listener import Listener
from sockd.service import Kind
from sockd.testing.instances import connect, make_context
from sockd.testing.memory import Client, Loop
from sockd.testing.running import until
from sockd.testing.samples import Answer, StreamSample, matches
from sockd.testing.sockets import dial, serve_door
from sockd.testing.ways import ENDLESS_BYTES, WHOLE, Way

CLIENT = Peer("127.0.0.1", 50_007)
"""Who talks in memory: one from loopback, as over real sockets."""


def expect(answer: Answer, got: bytes, where: str) -> None:
    """Fails where this is not the answer."""
    said = answer if isinstance(answer, bytes) else getattr(answer, "__name__", answer)
    assert matches(answer, got), f"{where}: {got!r} came, not {said!r}"


Pending = Iterator[tuple[Loop, Callable[[], bool]]]
"""A case in memory that runs: the conditions that it waits for, each with its loop."""


@frozen
class StreamDoor:
    """A door of a kind, and the sample of what is said there."""

    kind: Kind
    sample: StreamSample
    role: str = ""

    @property
    def _transports(self) -> tuple[str, ...]:
        stream = self.kind.door(self.role).stream
        return () if stream is None else stream.transports

    def _client(self) -> Client:
        takes = ENDLESS_BYTES if self.sample.finish == "endless" else None
        context = make_context(self.kind, **self.sample.table)
        return connect(self.kind, context, CLIENT, takes, role=self.role)

    def talk_in_memory(self, way: Way) -> Pending:
        """A client that talks in this way gets its answer, and the connection ends."""
        client = self._client()
        talk = way.talk(self.sample)
        client.send(*talk.pieces)
        if talk.ends:
            client.end()
        size = talk.size
        if size is None:
            yield client.loop, lambda: client.saw_end
        else:
            yield client.loop, lambda: client.saw_end or len(client.received) >= size
        expect(way.answer(self.sample), client.received[:size], "in memory")
        if self.sample.finish == "endless":
            client.vanish()
        elif not talk.ends:
            client.end()
        yield client.loop, lambda: client.is_closed
        assert client.is_closed, "the connection does not end"
        if self.sample.finish != "endless":
            expect(way.answer(self.sample), client.received, "in memory, to the end")
        self._is_over(client)

    def leave_in_memory(self) -> Pending:
        """A client may be gone after any byte of its request."""
        for length in range(len(self.sample.request) + 1):
            client = self._client()
            client.send(self.sample.request[:length])
            client.vanish()
            yield client.loop, lambda: True
            assert client.is_closed, f"a client that left after {length} bytes is still there"
            self._is_over(client)

    def _is_over(self, client: Client) -> None:
        guard = client.protocol.context.guard
        assert not guard.counts["errors"], "an exception in the service"
        assert not guard.sessions, "a session is left"

    async def talk_over_sockets(self, way: Way, folder: Path) -> None:
        """The same bytes come back over every transport."""
        answers = {
            transport: await self._talk_over(transport, way, folder)
            for transport in self._transports
        }
        assert len(set(answers.values())) == 1, answers

    async def _talk_over(self, transport: str, way: Way, folder: Path) -> bytes:
        opened = serve_door(self.kind, self.role, transport, folder, **self.sample.table)
        async with opened as (instance, listener):
            guard = instance.context.guard
            got = await deferToThread(self._talk, listener, way)
            await until(lambda: not guard.sessions)
        assert not guard.counts["errors"], "an exception in the service"
        expect(way.answer(self.sample), got, f"over {transport}")
        return got

    def _talk(self, listener: Listener, way: Way) -> bytes:
        with dial(listener) as wire:
            talk = way.talk(self.sample)
            for piece in talk.pieces:
                wire.send(piece)
            if talk.ends:
                wire.end()
            return wire.receive(talk.size)

    async def leave_over_sockets(self, is_reset: bool, folder: Path) -> None:
        """A client that leaves within its request leaves nothing behind; others are served."""
        for transport in self._transports:
            await self._leave_over(transport, is_reset, folder)

    async def _leave_over(self, transport: str, is_reset: bool, folder: Path) -> None:
        opened = serve_door(self.kind, self.role, transport, folder, **self.sample.table)
        async with opened as (instance, listener):
            guard = instance.context.guard
            await deferToThread(self._leave, listener, is_reset)
            await until(lambda: guard.counts["connections"] == 1 and not guard.sessions)
            got = await deferToThread(self._talk, listener, WHOLE)
            expect(self.sample.answer, got, f"over {transport}, after another has left")
        assert not guard.counts["errors"], "an exception in the service"

    def _leave(self, listener: Listener, is_reset: bool) -> None:
        with dial(listener) as wire:
            wire.send(self.sample.request[: len(self.sample.request) // 2])
            if is_reset:
                wire.reset()
