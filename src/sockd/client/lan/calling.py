"""Asking whole networks: one small datagram for each service to each place, and who answers."""

from __future__ import annotations

import ipaddress
import socket
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import Protocol

import psutil
from attrs import define, evolve, field, frozen

from sockd.client.errors import ClientError
from sockd.client.lan.discovery import MOST_PLACES, Network, Place, Way
from sockd.client.lan.proofs import MOST_ANSWER, Question
from sockd.client.net.arrivals import Came
from sockd.client.net.clocks import carried_over
from sockd.client.net.datagrams import Datagrams, open_host
from sockd.client.net.interfaces import named
from sockd.client.process import Run
from sockd.client.report import IcmpErrors, Stamp
from sockd.client.targets import Target, Transport
from sockd.client.waiting import sleep
from sockd.formats.hostport import host_port
from sockd.reactor.clocks import ClockReading
from sockd.reactor.sockaddr import Address

PER_SECOND = 200
"""Datagrams that are sent a second, at most: each may be answered by every host of a network."""
AT_ONCE = 10
"""Of those, without a pause."""
TRIES = 2
"""Of each question: datagrams get lost, those of many hosts that answer at once above all."""
AGAIN_AFTER = 0.5
"""Seconds from the first question to the first that is repeated: what lost it may be over."""


@frozen(kw_only=True)
class Reply:
    """What has come, and whether it proves something."""

    address: str
    port: int
    data: bytes
    place: Place
    question: Question | None
    """The one that is answered, or that was asked there; None: nothing was asked of that port."""
    is_proof: bool
    attempt: int
    rtt_ns: int | None
    """None where it is not known which try was answered."""
    stamp: Stamp


@define(eq=False)
class Caller:
    """A socket to one place, and what was sent there."""

    run: Run
    place: Place
    questions: Sequence[Question]
    tokens: Sequence[bytes]
    """One a try."""
    replied: Callable[[Reply], None]
    failure: ClientError | None = field(default=None, init=False)
    """Why a datagram could not be sent, the last time that it could not."""
    has_sent: bool = field(default=False, init=False)
    _datagrams: Datagrams = field(init=False)
    _sent: dict[int, list[int]] = field(init=False, factory=lambda: defaultdict(list))
    """By port: when each try left."""
    _by_port: dict[int, Question] = field(init=False)
    _since: int = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._by_port = {question.port: question for question in self.questions}
        self._since = self.run.monotonic_ns()
        address = (self.place.address, self.questions[0].port)
        self._datagrams = open_host(
            self.run.reactor,
            address,
            interface=self.place.interface,
            has_ports=True,
            on_batch=self._came,
        )
        if self.run.asking.explains:
            self._explain()

    def _explain(self) -> None:
        hooks = {
            port: self.run.explain(Target(Transport.UDP, self.place.address, port))
            for port in self._by_port
        }

        def wrote(data: bytes, to: Address) -> None:
            if (hook := hooks[to[1]].wrote) is not None:
                hook(data, host_port(*to))

        def read(data: bytes, of: Address) -> None:
            if of[1] in hooks and (hook := hooks[of[1]].read) is not None:
                hook(data, host_port(*of))

        self._datagrams.on_send, self._datagrams.on_receive = wrote, read

    def ask(self, question: Question, attempt: int) -> None:
        """Send a question."""
        opened = self._datagrams.opened
        self._datagrams.opened = evolve(opened, address=(opened.address[0], question.port))
        self._sent[question.port].append(self.run.monotonic_ns())
        try:
            self._datagrams.send(question.request(self.tokens[attempt - 1]))
        except ClientError as error:
            self._sent[question.port].pop()
            self.failure = error
        else:
            self.has_sent = True

    def close(self) -> None:
        """Hear no more."""
        self._datagrams.close()

    @property
    def errors(self) -> tuple[IcmpErrors, ...]:
        """What the network has said of what was sent."""
        return self._datagrams.icmp()

    def _came(self, batch: list[Came], clocks: ClockReading) -> None:
        for data, (host, port), stamp_ns, *_ in batch:
            at = carried_over(stamp_ns, clocks.offset_ns, self._since, clocks.monotonic_ns)
            stamp = Stamp.USER if at is None else Stamp.KERNEL
            question = self._by_port.get(port)
            attempt = self._proven_by(question, data) if question is not None else 0
            self.replied(
                Reply(
                    address=named(host),
                    port=port,
                    data=data,
                    place=self.place,
                    question=question,
                    is_proof=attempt > 0,
                    attempt=attempt or 1,
                    rtt_ns=self._rtt(question, attempt, at or clocks.monotonic_ns),
                    stamp=stamp,
                )
            )

    def _proven_by(self, question: Question, data: bytes) -> int:
        """Which try is answered, the first where that cannot be told; 0: none, it is no answer."""
        if len(data) > MOST_ANSWER or not self._sent[question.port]:
            return 0
        for attempt, token in enumerate(self.tokens, start=1):
            if question.proof(token, data):
                return attempt
        return 0

    def _rtt(self, question: Question | None, attempt: int, at: int) -> int | None:
        sent = self._sent[question.port] if question is not None else []
        if question is None or not 0 < attempt <= len(sent):
            return None
        if len(sent) > 1 and not question.bears_token:
            return None
        return max(0, at - sent[attempt - 1])


class Asker(Protocol):
    """What asks one place; made of the run, the place, the questions, tokens, and who is told."""

    place: Place
    failure: ClientError | None
    has_sent: bool

    def ask(self, question: Question, attempt: int) -> None:
        """Send a question."""

    def close(self) -> None:
        """Hear no more."""


MakeAsker = Callable[
    [Run, Place, Sequence[Question], Sequence[bytes], Callable[[Reply], None]], Asker
]


@define(eq=False)
class Calling:
    """All places, asked side by side, no faster than they may be."""

    run: Run
    questions: Sequence[Question]
    replied: Callable[[Reply], None]
    token: Callable[[], bytes]
    make: MakeAsker = Caller
    failures: list[str] = field(factory=list, init=False)
    """Places that could not be asked, a sentence each."""
    _callers: list[Asker] = field(factory=list, init=False)

    def open(self, places: Sequence[Place]) -> None:
        """Make ready to ask there."""
        if len(places) > MOST_PLACES:
            self.failures.append(
                f"only {MOST_PLACES} of {len(places)} places are asked: choose one with -I"
            )
        for place in places[:MOST_PLACES]:
            tokens = [self.token() for _ in range(TRIES)]
            try:
                caller = self.make(self.run, place, self.questions, tokens, self.replied)
            except ClientError as error:
                self.failures.append(str(error))
            else:
                self._callers.append(caller)

    async def ask(self) -> None:
        """Ask everything everywhere, and again; what is answered meanwhile is told."""
        begun_ns = self.run.monotonic_ns()
        count = 0
        for attempt in range(1, TRIES + 1):
            if attempt > 1:
                passed = (self.run.monotonic_ns() - begun_ns) / 1e9
                await sleep(self.run.reactor, AGAIN_AFTER - passed)
            for question, caller in product(self.questions, self._callers):
                caller.ask(question, attempt)
                count += 1
                if count % AT_ONCE == 0:
                    await sleep(self.run.reactor, AT_ONCE / PER_SECOND)

    def close(self) -> None:
        """Hear no more."""
        for caller in self._callers:
            caller.close()
            if caller.failure is not None and not caller.has_sent:
                self.failures.append(f"{caller.failure} ({caller.place.device})")
        self._callers.clear()

    @property
    def asked(self) -> list[Place]:
        """Where something was sent."""
        return [caller.place for caller in self._callers if caller.has_sent]


def localhosts(places: Sequence[Place]) -> list[str]:
    """Our own addresses among the places."""
    return [place.address for place in places if place.way is Way.LOOPBACK]


def networks() -> list[Network]:
    """The networks that this host has an address on."""
    return [*_networks()]


def _networks() -> Iterator[Network]:
    for entries in psutil.net_if_addrs().values():
        for entry in entries:
            if entry.family not in (socket.AF_INET, socket.AF_INET6) or not entry.netmask:
                continue
            bits = int(ipaddress.ip_address(entry.netmask)).bit_count()
            address = entry.address.partition("%")[0]
            yield ipaddress.ip_network(f"{address}/{bits}", strict=False)
