"""A conversation on a connection: a coroutine gives a command, and gets what came of it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.python.failure import Failure

from sockd.client.errors import ClientError, Unreachable, UsageFault
from sockd.client.net.streams import Stream
from sockd.client.net.urgent import UrgentChannel, write_urgent
from sockd.client.talk.input import Source
from sockd.client.travesty.conversation import Conversation
from sockd.client.travesty.told import Broken, Done, Effect, Outcome, Patience, Send, Text, Urge
from sockd.client.waiting import beside, wake
from sockd.formats.urgent import UrgentByte

MARK_WAIT = 3.0
"""Seconds for a server to notice an urgent byte, and to say so: more than any round trip."""


@define(eq=False)
class Client:
    """One connection. One command is under way at a time."""

    reactor: Any
    stream: Stream
    out: Callable[[bytes], object]
    """Gets what is generated, its lines ended by LF."""
    conversation: Conversation = field(init=False)
    failure: Exception | None = field(default=None, init=False)
    """Why nothing more can be said."""
    _channel: UrgentChannel | None = field(init=False)
    _outcome: Outcome | None = field(default=None, init=False)
    _waiting: list[Deferred[None]] = field(factory=list, init=False)
    """Who waits for what comes next."""
    _patience: Patience = field(default=Patience.ANY, init=False)
    _timer: IDelayedCall | None = field(default=None, init=False)
    _unsent: int = field(default=0, init=False)
    """Bytes that were on their way to the server when its time began."""

    def __attrs_post_init__(self) -> None:
        channel = self.stream.channel
        self._channel = channel if isinstance(channel, UrgentChannel) else None
        self.conversation = Conversation(
            self.stream.name, self._channel is not None, self.stream.wait
        )

    # what the user wants

    async def begin(self) -> None:
        """Be greeted. Raises ClientError, as all that follow."""
        if self._channel is not None:
            self._channel.on_urgent = self._urged
        self._do(self.conversation.begin)
        self.stream.listen(self._heard)
        ending = Deferred.fromCoroutine(self.stream.ended())
        ending.addCallbacks(lambda _: self._ended(None), self._failed)
        await self._result()

    async def analyze(
        self, source: Source, first: bytes | None, sent: Callable[[int], object]
    ) -> Outcome:
        """Upload all that a source has, behind what was read from it already. Nobody waits longer
        for it than for the server: a source that fails stops it, and that is raised at its end.
        """
        faults: list[UsageFault] = []

        async def feed() -> None:
            try:
                await self._feed(source, first, sent)
            except UsageFault as fault:
                faults.append(fault)
                self.stop()
            except Unreachable:
                pass  # what the server said before is there to read, and says more

        self._do(self.conversation.analyze)
        outcome = await beside(self._result(), feed())
        if faults:
            raise faults[0]
        return outcome

    async def generate(self, words: int) -> Outcome:
        """Have so many words, which `out` gets."""
        self._do(lambda: self.conversation.generate(words))
        return await self._result()

    async def reset(self) -> Outcome:
        """Have the text forgotten."""
        self._do(self.conversation.reset)
        return await self._result()

    async def bye(self) -> None:
        """Take leave, if the server still listens."""
        if self.conversation.is_idle and self.failure is None:
            self._do(self.conversation.bye)
            with suppress(ClientError):
                await self._result()

    def stop(self) -> None:
        """End the transfer that is under way; it has its outcome as soon as the server has."""
        self._do(self.conversation.stop)

    async def lost(self) -> None:
        """Raises why nothing more can be said, as soon as that is so."""
        await self._until(lambda: self.failure is not None)
        assert self.failure is not None
        raise self.failure

    def close(self) -> None:
        """End the connection."""
        self._set_timer(Patience.ANY)
        self.stream.close()

    async def _feed(
        self, source: Source, first: bytes | None, sent: Callable[[int], object]
    ) -> None:
        await self._until(lambda: self.conversation.is_uploading)
        data = await source.read() if first is None else first
        while self.conversation.is_uploading:
            self._do(lambda: self.conversation.upload(data))  # noqa: B023 - called at once
            if not data:
                break
            await self.stream.drained()
            sent(len(data))
            data = await source.read()

    async def _result(self) -> Outcome:
        await self._until(lambda: self._outcome is not None or self.failure is not None)
        outcome, self._outcome = self._outcome, None
        if outcome is None:
            assert self.failure is not None
            raise self.failure
        return outcome

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            waits: Deferred[None] = Deferred()
            self._waiting.append(waits)
            await waits

    # what happens

    def _heard(self, data: bytes) -> None:
        self._do(lambda: self.conversation.received(data))

    def _urged(self, byte: bytes) -> None:
        """An urgent byte has come. Where nobody waits for one it means nothing."""
        assert self._channel is not None
        if self.stream.on_read is not None:
            self.stream.on_read(UrgentByte(byte))
        if self.conversation.wants_mark:
            count = self._channel.discard()
            self._do(lambda: self.conversation.mark(count))

    def _ended(self, error: ClientError | None) -> None:
        self._do(lambda: self.conversation.ended(error))

    def _failed(self, failure: Failure) -> None:
        error = failure.value
        if isinstance(error, ClientError):
            self._ended(error)
        else:
            assert isinstance(error, Exception)
            self._break(error)

    def _late(self, is_sure: bool = False) -> None:
        """Its time is over. Not if the server is still busy with what we sent; nor if what it has
        said lies there: whoever has stood still looks once more.
        """
        left = self.stream.on_the_way
        if left < self._unsent:
            self._unsent = left
            self._set_timer(self._patience)
        elif not is_sure:
            self._timer = self.reactor.callLater(0, self._late, True)
        else:
            self._timer = None
            self._do(self.conversation.late)

    # what is done

    def _do(self, step: Callable[[], object]) -> None:
        """A step of the conversation, and what comes of it."""
        state = self.conversation.state
        step()
        for effect in self.conversation.take():
            self._take(effect)
        if self.conversation.state is not state or self._outcome is not None:
            self._wake()

    def _take(self, effect: Effect) -> None:
        match effect:
            case Send(data):
                self.stream.write(data)
            case Urge():
                write_urgent(self.stream)
            case Text(data):
                self.out(data)
            case Done(outcome):
                self._outcome = outcome
            case Broken(error):
                self._break(error)
            case _:
                self._unsent = self.stream.on_the_way
                self._set_timer(effect.patience)

    def _break(self, error: Exception) -> None:
        if self.failure is None:
            self.failure = error
            self._set_timer(Patience.ANY)
            self._wake()

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for waits in waiting:
            wake(self.reactor, waits)

    def _set_timer(self, patience: Patience) -> None:
        timer, self._timer, self._patience = self._timer, None, patience
        if timer is not None and timer.active():
            timer.cancel()
        if patience is not Patience.ANY:
            wait = MARK_WAIT if patience is Patience.MARK else self.stream.wait
            self._timer = self.reactor.callLater(wait, self._late)
