"""What holds for a door that datagrams go through, in memory and over real listeners."""

from __future__ import annotations

from pathlib import Path

from attrs import frozen
from twisted.internet.threads import deferToThread

from sockd.service import DATAGRAM_TRANSPORTS as TRANSPORTS
from sockd.service import Kind
from sockd.testing.instances import make_context, open_port
from sockd.testing.memory import ASKER
from sockd.testing.running import until
from sockd.testing.samples import Answer, DatagramSample
from sockd.testing.sockets import Asker, serve_door
from sockd.testing.stream_cases import Pending, expect


@frozen
class DatagramDoor:
    """A door of a kind, and the sample of what is asked there."""

    kind: Kind
    sample: DatagramSample
    role: str = ""

    def ask_in_memory(self, question: bytes, answer: Answer | None) -> Pending:
        """A datagram gets one answer, or none."""
        context = make_context(self.kind, **self.sample.table)
        port = open_port(self.kind, context, role=self.role)
        port.ask(question)
        if answer is not None:
            yield context.world.reactor, lambda: bool(port.sent)
        assert len(port.sent) == (answer is not None), f"these came: {port.answers}"
        for sent in port.sent:
            assert sent.to == ASKER, f"an answer went to {sent.to}"
            assert answer is not None
            expect(answer, sent.data, "in memory")
        assert not context.guard.counts["errors"], "an error in the service"

    def ask_without_a_name(self) -> Pending:
        """A Unix peer whose socket has no name gets nothing, and does no harm."""
        context = make_context(self.kind, **self.sample.table)
        port = open_port(self.kind, context, is_local=True, role=self.role)
        port.ask(b"hello", ("", 0))
        yield context.world.reactor, lambda: True
        assert not port.sent, f"{port.sent} went nowhere"
        assert context.guard.counts["refused"] == 1
        assert not context.guard.counts["errors"], "an error in the service"

    async def ask_over_sockets(self, question: bytes, answer: Answer | None, folder: Path) -> None:
        """A datagram gets the same answer over every transport."""
        answers = [
            await self._ask_over(transport, question, answer, folder) for transport in TRANSPORTS
        ]
        assert len(set(answers)) == 1, answers

    async def _ask_over(
        self, transport: str, question: bytes, answer: Answer | None, folder: Path
    ) -> bytes | None:
        got = None
        opened = serve_door(self.kind, self.role, transport, folder, **self.sample.table)
        async with opened as (instance, listener):
            counts = instance.context.guard.counts
            with Asker(listener, folder) as asker:
                asker.send(question)
                if answer is not None:
                    [got] = await deferToThread(asker.receive)
                    expect(answer, got, f"over {transport}")
                await until(lambda: counts["datagrams_in"] == 1)
        assert counts["datagrams_out"] == (answer is not None), "another number of answers"
        assert not counts["errors"], "an error in the service"
        assert not counts["refused"], "the question was refused"
        return got

    async def ask_all_over_sockets(self, folder: Path) -> None:
        """Datagrams are answered in their order, each by itself."""
        rows = [row for row in self.sample.questions.items() if row[1] is not None]
        for transport in TRANSPORTS:
            opened = serve_door(self.kind, self.role, transport, folder, **self.sample.table)
            async with opened as (_, listener):
                with Asker(listener, folder) as asker:
                    asker.send(*(question for question, _ in rows))
                    answers = await deferToThread(asker.receive, len(rows))
            for (_, answer), got in zip(rows, answers, strict=True):
                assert answer is not None
                expect(answer, got, f"over {transport}")

    async def leave_over_sockets(self, folder: Path) -> None:
        """An asker that is gone before its answer does no harm; the next one is answered."""
        for transport in TRANSPORTS:
            await self._leave_over(transport, folder)

    async def _leave_over(self, transport: str, folder: Path) -> None:
        question, answer = next(iter(self.sample.questions.items()))
        opened = serve_door(self.kind, self.role, transport, folder, **self.sample.table)
        async with opened as (instance, listener):
            counts = instance.context.guard.counts
            with Asker(listener, folder) as gone:
                gone.send(question)
            await until(lambda: counts["datagrams_in"] == 1)
            with Asker(listener, folder) as asker:
                asker.send(question)
                if answer is not None:
                    [got] = await deferToThread(asker.receive)
                    expect(answer, got, f"over {transport}")
                await until(lambda: counts["datagrams_in"] == 2)
        assert not counts["errors"], "an error in the service"
