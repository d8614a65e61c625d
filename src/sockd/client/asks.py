"""Asking one host, once or several times, in words that a command declares."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping

from attrs import define, evolve, field, frozen

from sockd.client.asking import Asking
from sockd.client.errors import BadAnswer, ClientError, TimedOut, UsageFault
from sockd.client.exits import Exit
from sockd.client.measure.budget import MOST_RUNS, NOTE, asked_like_budget
from sockd.client.measure.outcomes import difference
from sockd.client.measure.statistics import Durations
from sockd.client.net.datagrams import Datagrams
from sockd.client.net.interfaces import named
from sockd.client.net.streams import Stream
from sockd.client.process import Run
from sockd.client.reach import connect, reach
from sockd.client.report import (
    Counts,
    Data,
    HostSummary,
    Interval,
    Outcome,
    Probe,
    Stamp,
    Timing,
    Value,
)
from sockd.client.targets import Target, Transport
from sockd.client.waiting import sleep
from sockd.reactor.sockaddr import Address

INTERVAL = 1.0
"""Seconds between two questions to one host, if nothing else is said."""
SUMMED = frozenset({"lines", "answers", "refused"})
"""Values that are counts: those of all conversations with a host are told together."""
MOST_TEXT = 65_536
"""Bytes of an answer that are kept to be told as one text: the longest datagram has less."""


@frozen
class Answer:
    """What a host has said, understood."""

    text: str | None = None
    """For a reader; None: all that was handed to `Talk.out`."""
    values: Mapping[str, Value] = field(factory=dict)
    rtt_ns: int | None = None
    """Where the conversation itself knows better than the first byte's time."""
    is_kernel: bool = False
    """Whether the kernel said when the answer came."""
    rate_bps: int | None = None
    datagram_rate: float | None = None
    """How many answers a second there were so far, where that is what is asked for."""
    refusal: ClientError | None = None
    """Where the host has answered that it does not do what was asked; it has been told."""
    notes: tuple[str, ...] = ()
    """What a reader should know of it, a sentence each."""
    timing: Timing | None = None
    """Where it came on another connection than the first."""


@define(eq=False)
class Talk:
    """What a conversation knows and can say of itself."""

    run: Run
    target: Target
    seq: int
    attempt: int = 1
    said: bytearray = field(factory=bytearray)
    size: int = 0

    @property
    def asking(self) -> Asking:
        """The options."""
        return self.run.asking

    def out(self, data: bytes) -> None:
        """Bytes of the answer, for the user."""
        self.size += len(data)
        if (room := MOST_TEXT - len(self.said)) > 0:
            self.said += data[:room]
        self.run.report(Data(target=self.target.name, data=data))


@frozen(kw_only=True)
class Speech:
    """How a command speaks: over streams, datagrams, or both; and where its service listens."""

    name: str
    ports: Mapping[Transport, int] = field(factory=dict)
    stream: Callable[[Stream, Talk], Awaitable[Answer]] | None = None
    datagram: Callable[[Datagrams, Talk], Awaitable[Answer]] | None = None
    kind: str = ""
    """The kind of service whose documentation explains the protocol."""
    has_urgent: bool = False
    """Its channel is to have urgent data, where there can be any."""
    retries_itself: bool = False
    """Over datagrams it repeats what was not answered, and no more."""


@define(eq=False)
class ConversationHost:
    """One host that is asked by a speech, as often as the options say."""

    run: Run
    speech: Speech
    target: Target
    _counted: Counter[str] = field(factory=Counter)
    _sums: Counter[str] = field(factory=Counter)
    _told: Counts = field(factory=Counts)
    _durations: Durations = field(factory=Durations)
    _fresh: Durations = field(factory=Durations)
    _runs: list[int] = field(factory=lambda: [0])
    """How many were answered before each loss, and at the end since the last one."""
    _last: Probe | None = None
    _answer: Answer | None = None
    _refusal: ClientError | None = None
    """The last that answers have said."""
    _failed: ClientError | None = None
    """What the last failure was."""
    _is_broken: bool = False
    """Whether an answer has broken the protocol: others that do not make it no better."""
    _datagrams: Datagrams | None = None
    _due_ns: int = 0
    """When the next question may be asked."""

    @property
    def has_answered(self) -> bool:
        """Whether there was an answer."""
        return self._counted["received"] > 0

    @property
    def fault(self) -> ClientError | None:
        """Why there is no answer so far, where it is not silence."""
        return None if isinstance(self._failed, TimedOut) else self._failed

    @property
    def counts(self) -> Counts:
        """What became of the questions so far."""
        counts = Counts(**self._counted)
        known = counts.received + counts.lost + counts.failed
        return evolve(counts, in_flight=counts.sent - known)

    async def go(self) -> None:
        """Ask until all is asked."""
        failed: ClientError | None = None
        try:
            for seq in self.run.asking.turns():
                await self.due()
                failed = await self.ask(seq) or failed
                if isinstance(failed, UsageFault):
                    break  # it would be no other the next time
        finally:
            self.close()
        if failed is not None and not self.has_answered:
            raise failed

    async def due(self) -> None:
        """Wait until the next question is due."""
        run, interval = self.run, self.run.asking.interval
        await sleep(run.reactor, (self._due_ns - run.monotonic_ns()) / 1e9)
        # what one that was lost has held up is not caught up in a burst
        begun_ns = max(self._due_ns, run.monotonic_ns())
        self._due_ns = begun_ns + round((INTERVAL if interval is None else interval) * 1e9)

    def close(self) -> None:
        """Let go of the socket for datagrams, once all is asked."""
        if self._datagrams is not None:
            self._datagrams.close()

    async def ask(self, seq: int) -> ClientError | None:
        """Ask once, and again where no answer came and retries are allowed; why there was none."""
        failed: ClientError | None = None
        for attempt in range(1, self._tries + 1):
            talk = Talk(self.run, self.target, seq, attempt)
            self._counted["sent"] += 1
            try:
                answer, found = await self._converse(talk)
            except ClientError as error:
                failed = error
                self._count_failure(talk, error)
                # what was printed would be printed again
                if isinstance(error, BadAnswer | UsageFault) or talk.size:
                    break
            else:
                self._count_answer(talk, answer, found)
                return None
        return failed

    @property
    def _tries(self) -> int:
        """Times that a conversation is begun, if it fails."""
        if self.speech.retries_itself and not self.target.transport.is_stream:
            return 1
        return self.run.asking.retries + 1

    async def _converse(self, talk: Talk) -> tuple[Answer, Probe]:
        """One conversation; what came of it."""
        if self.target.transport.is_stream:
            return await self._over_stream(talk)
        return await self._over_datagrams(talk)

    async def _over_stream(self, talk: Talk) -> tuple[Answer, Probe]:
        assert self.speech.stream is not None
        stream = await connect(self.run, self.target, has_urgent=self.speech.has_urgent)
        try:
            answer = await self.speech.stream(stream, talk)
        finally:
            stream.close()
            self._counted["bytes_sent"] += stream.bytes_sent
        if (expires := stream.channel.expires) is not None:
            days = round(expires / 86_400 - self.run.wall_ns() / 86_400e9, 3)
            answer = evolve(answer, values={**answer.values, "certificate_days": days})
        timing = answer.timing or stream.timing
        rtt_ns = timing.first_byte_ns if answer.rtt_ns is None else answer.rtt_ns
        return answer, self._probe(talk, answer, stream.peer, rtt_ns, Stamp.USER, timing)

    async def _over_datagrams(self, talk: Talk) -> tuple[Answer, Probe]:
        assert self.speech.datagram is not None
        steps = None
        if self._datagrams is None:
            self._datagrams = await reach(self.run, self.target)
            steps = self._datagrams.steps
            self._count_sent(self._datagrams)
        datagrams = self._datagrams
        answer = await self.speech.datagram(datagrams, talk)
        stamp = Stamp.KERNEL if answer.is_kernel else Stamp.USER
        peer = named(datagrams.address[0])
        return answer, self._probe(talk, answer, peer, answer.rtt_ns, stamp, steps)

    def _count_sent(self, datagrams: Datagrams) -> None:
        """Count the bytes that go out, beside who is told of them already."""
        told = datagrams.on_send

        def sent(data: bytes, address: Address) -> None:
            self._counted["bytes_sent"] += len(data)
            if told is not None:
                told(data, address)

        datagrams.on_send = sent

    def _probe(
        self,
        talk: Talk,
        answer: Answer,
        peer: str,
        rtt_ns: int | None,
        stamp: Stamp,
        timing: Timing | None,
    ) -> Probe:
        text = answer.text
        if text is None:
            text = bytes(talk.said).decode("utf-8", "surrogateescape")
        return Probe(
            target=self.target.name,
            transport=self.target.transport,
            address=peer,
            port=self.target.port or None,
            seq=talk.seq,
            attempt=talk.attempt,
            outcome=Outcome.ANSWERED,
            rtt_ns=rtt_ns,
            stamp=None if rtt_ns is None else stamp,
            size=talk.size,
            text=text,
            values=answer.values,
            timing=timing,
        )

    def _count_answer(self, talk: Talk, answer: Answer, probe: Probe) -> None:
        self._last, self._answer = probe, answer
        self._sums.update({name: int(answer.values[name]) for name in SUMMED & {*answer.values}})
        self._runs[-1] += 1
        self._refusal = answer.refusal or self._refusal
        self._counted["received"] += 1
        self._counted["bytes_received"] += talk.size
        if probe.rtt_ns is not None:
            self._durations.add(probe.rtt_ns)
            self._fresh.add(probe.rtt_ns)
        self.run.report(probe)

    def _count_failure(self, talk: Talk, error: ClientError) -> None:
        is_lost = isinstance(error, TimedOut)
        self._failed = error
        self._is_broken |= isinstance(error, BadAnswer)
        self._counted["lost" if is_lost else "failed"] += 1
        if is_lost and len(self._runs) < MOST_RUNS:
            self._runs.append(0)
        if isinstance(error, UsageFault):
            return  # it ends the run, and is told as its end
        self.run.report(
            Probe(
                target=self.target.name,
                transport=self.target.transport,
                address=self.target.address,
                port=self.target.port or None,
                seq=talk.seq,
                attempt=talk.attempt,
                outcome=Outcome.LOST if is_lost else Outcome.FAILED,
                reason=str(error),
            )
        )

    def summary(self, error: ClientError | None) -> HostSummary:
        """What is known of it so far."""
        probe, answer = self._last, self._answer
        if not self.has_answered:
            error = error or self.fault
        why = error or self._refusal
        return HostSummary(
            target=self.target.name,
            transport=self.target.transport,
            address=probe.address if probe else None,
            port=self.target.port or None,
            counts=self.counts,
            rtt=self._durations.spread(),
            timing=self._timing,
            stamps=probe.stamp if probe else None,
            rate_bps=answer.rate_bps if answer else None,
            datagram_rate=answer.datagram_rate if answer else None,
            values={**answer.values, **self._sums} if answer else {},
            notes=self._notes(),
            exit=self._exit(error),
            error=None if why is None else str(why),
        )

    @property
    def _timing(self) -> Timing | None:
        """Of the last connection; all datagrams go one way, which was found once."""
        if self._datagrams is not None:
            return self._datagrams.steps
        return self._last.timing if self._last is not None else None

    def _notes(self) -> tuple[str, ...]:
        notes = () if self._answer is None else self._answer.notes
        is_budget = not self.target.transport.is_stream and asked_like_budget(self._runs)
        return (*notes, NOTE) if is_budget else notes

    def _exit(self, error: ClientError | None) -> Exit:
        if self._is_broken:
            return Exit.BAD_ANSWER
        if self.has_answered:
            return Exit.ANSWERED if self._refusal is None else self._refusal.exit
        return error.exit if error is not None else Exit.TIMEOUT

    def interval(self, from_ns: int, to_ns: int) -> Interval | None:
        """What has happened since the last call; nothing where one answer is all that is wanted."""
        if not self.run.asking.is_repeated:
            return None
        before, self._told = self._told, self.counts
        fresh, self._fresh = self._fresh, Durations()
        return Interval(
            target=self.target.name,
            from_ns=from_ns,
            to_ns=to_ns,
            counts=difference(self.counts, before),
            rtt=fresh.spread(),
        )
