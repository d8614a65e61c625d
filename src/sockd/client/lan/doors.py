"""TCP services of hosts that were found: tried some at a time, and proven by what they say."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from attrs import define, evolve, field
from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from sockd.client.errors import ClientError
from sockd.client.lan.proofs import MOST_ANSWER, Question
from sockd.client.net.streams import Stream
from sockd.client.process import Run
from sockd.client.reach import connect
from sockd.client.targets import Target, Transport

MOST_CONNECTS = 16
"""Connections at once: more at a time would look like an attack, and be taken for one."""
MOST_HOSTS_TRIED = 256
"""Addresses whose ports are tried: who forges sources could else have us try anybody's."""

Opened = Callable[[str, Question, bytes, bool, int | None], None]
"""Gets the address, the question, what was said, whether it is a proof, and the round trip."""


@define(eq=False)
class Doors:
    """The ports of hosts, each tried once."""

    run: Run
    questions: Sequence[Question]
    token: Callable[[], bytes]
    opened: Opened
    left_out: int = field(default=0, init=False)
    """Addresses beyond those that are tried."""
    _tried: set[str] = field(factory=set, init=False)
    _waiting: deque[tuple[str, Question]] = field(factory=deque, init=False)
    _open: set[Deferred[None]] = field(factory=set, init=False)
    _done: Deferred[None] | None = field(default=None, init=False)
    _is_over: bool = field(default=False, init=False)
    _is_going_on: bool = field(default=False, init=False)
    _failure: Failure | None = field(default=None, init=False)

    @property
    def open_count(self) -> int:
        """Ports that are being tried."""
        return len(self._open)

    def knock(self, address: str) -> None:
        """Try the ports of an address, unless they have been tried."""
        if address in self._tried or self._is_over:
            return
        if len(self._tried) >= MOST_HOSTS_TRIED:
            self.left_out += 1
            return
        self._tried.add(address)
        self._waiting.extend((address, question) for question in self.questions)
        self._go_on()

    async def done(self) -> None:
        """Wait until all have been tried."""
        if self._open:
            self._done = Deferred()
            await self._done
        if self._failure is not None:
            self._failure.raiseException()

    def close(self) -> None:
        """Try no more."""
        self._is_over = True
        self._waiting.clear()
        for deferred in list(self._open):
            deferred.cancel()

    def _go_on(self) -> None:
        if self._is_going_on:  # what fails at once ends in here
            return
        self._is_going_on = True
        while self._waiting and len(self._open) < MOST_CONNECTS:
            deferred = Deferred.fromCoroutine(self._try(*self._waiting.popleft()))
            self._open.add(deferred)
            deferred.addBoth(self._ended, deferred)
        self._is_going_on = False

    def _ended(self, result: Failure | None, deferred: Deferred[None]) -> None:
        self._open.discard(deferred)
        if result is not None and not result.check(CancelledError, ClientError):
            self._failure = result
            self._waiting.clear()
        self._go_on()
        if self._open or self._done is None:
            return
        done, self._done = self._done, None
        done.callback(None)

    async def _try(self, address: str, question: Question) -> None:
        asking = evolve(self.run.asking, is_numeric=True)
        target = Target(Transport.TCP, host=address, port=question.port)
        token = self.token()
        stream = await connect(self.run, target, asking)
        try:
            stream.write(question.request(token))
            data, is_proof = await self._hear(stream, question, token)
        finally:
            stream.close()
        if data:
            # to connect takes a round trip; a service that speaks first shows none
            self.opened(address, question, data, is_proof, stream.steps.connect_ns)

    async def _hear(self, stream: Stream, question: Question, token: bytes) -> tuple[bytes, bool]:
        """What was said, up to where it is a proof or none; all of it within one wait."""
        until_ns = self.run.monotonic_ns() + round(self.run.asking.wait * 1e9)
        data = b""
        try:
            while len(data) < MOST_ANSWER and question.proof(token, data) is None:
                part = await stream.read((until_ns - self.run.monotonic_ns()) / 1e9)
                if not part:
                    return data, bool(data and question.proof(token, data + b"\n"))
                data += part[:MOST_ANSWER]
        except ClientError:  # silent, or broken: what was said before proves nothing
            return data, False
        return data, bool(question.proof(token, data))
