"""One text for a file, without a prompt: `sock travesty --generate`."""

from __future__ import annotations

import signal

from attrs import define

from sockd.client.asks import Answer, Talk
from sockd.client.errors import Refused
from sockd.client.net.streams import Stream
from sockd.client.outputs.screen import Screen
from sockd.client.report import Value
from sockd.client.talk.input import Input
from sockd.client.talk.refusing import tell_refusal
from sockd.client.travesty.bar import progress
from sockd.client.travesty.client import Client
from sockd.client.travesty.files import File
from sockd.client.travesty.session import interrupted
from sockd.client.travesty.told import Outcome


@define(eq=False)
class Once:
    """What is analyzed, and how much is wanted."""

    words: int
    file: File | None
    """None: standard input."""
    screen: Screen

    async def stream(self, stream: Stream, talk: Talk) -> Answer:
        """Send the file, and print what is made of it. ^C ends either in order, and then all."""
        run = talk.run
        client = Client(run.reactor, stream, talk.out)
        source = Input(run.reactor) if self.file is None else self.file.source(run.reactor)

        def stop() -> None:
            """The next ^C does not wait."""
            run.at_interrupt = None
            if client.conversation.is_transferring:
                client.stop()
            else:
                signal.raise_signal(signal.SIGINT)

        try:
            await client.begin()
            run.at_interrupt = stop
            return await self._ask(client, source, talk)
        finally:
            run.at_interrupt = None
            source.close()
            client.close()

    async def _ask(self, client: Client, source: Input, talk: Talk) -> Answer:
        values: dict[str, Value] = {}
        learnt = await self._analyze(client, source, talk)
        refusal = self._refusal(learnt, talk)
        if learnt.words is not None:
            values["unique_words"] = learnt.words
        if not learnt.is_stopped:
            made = await client.generate(self.words)
            refusal = self._refusal(made, talk) or refusal
        is_stopped = talk.run.at_interrupt is None
        talk.run.at_interrupt = None
        await client.bye()
        if is_stopped:
            await interrupted()
        return Answer(values=values, refusal=refusal)

    async def _analyze(self, client: Client, source: Input, talk: Talk) -> Outcome:
        name, size = ("standard input", None)
        if self.file is not None:
            name, size = self.file.name, self.file.size
        asking = talk.asking
        first = None if size is None else await source.read()
        is_quiet = asking.is_quiet or asking.as_json
        bar = progress(self.screen, name, size, is_quiet=is_quiet)
        try:
            return await client.analyze(source, first, bar.sent)
        finally:
            bar.close()

    def _refusal(self, outcome: Outcome, talk: Talk) -> Refused | None:
        if not outcome.refusal:
            return None
        return tell_refusal(talk, "", outcome.refusal.encode("utf-8", "surrogateescape"))
