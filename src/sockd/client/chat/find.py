"""Finding a server without its address: the last one, broadcasts, then each host of small networks.

A hello goes out (`sockd.formats.chat.hello`): an old server answers ERROR to it, a new one says who
it is.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Sequence

from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from sockd.client.chat.servers import Found, Server, server_of
from sockd.client.chat.sweep import MakeSocket, OneByOne, Sweep, parts
from sockd.client.lan.calling import Caller, Calling, MakeAsker, Reply
from sockd.client.lan.discovery import Place, Way, places
from sockd.client.lan.proofs import Question, chat_hello, says_chat
from sockd.client.net import interfaces, kinds
from sockd.client.net.interfaces import Interface
from sockd.client.process import Run
from sockd.client.targets import Transport
from sockd.client.waiting import sleep, wake
from sockd.formats import ports
from sockd.formats.hostport import host_port

__all__ = ["Search", "Server"]

WAIT = 3.0
"""Seconds for answers to broadcasts, as the tutorial's client waits."""
OTHERS_WAIT = 0.3
"""Seconds after the first answer in which other servers are still named, and the last one's answer
counts for more."""
SWEEP_WAIT = 1.0
"""Seconds after the last of the hosts that are asked one by one."""
CHAT_PORTS = (ports.CHAT, ports.CHAT_CONTROL)
_TOKEN_BYTES = 8


def make_token() -> bytes:
    """What nobody can know before."""
    return secrets.token_hex(_TOKEN_BYTES).encode()


def questions(wanted: Sequence[int] = CHAT_PORTS) -> list[Question]:
    """A hello to each port."""
    return [
        Question(
            service="chat",
            transport=Transport.UDP,
            port=port,
            request=chat_hello,
            proof=says_chat,
            bears_token=True,
        )
        for port in wanted
    ]


def chosen(known: Iterable[Interface], wanted: str) -> list[Interface]:
    """The interfaces that are meant by `-I`, or all; those with a cable or radio first, then VPNs,
    then the others that are there in software only."""
    found = [
        one
        for one in known
        if wanted in ("", one.name) or wanted.partition("%")[0] in (*one.of_version(4),)
    ]
    return sorted(found, key=lambda one: _distance(kinds.read(one.name)))


def _distance(kind: kinds.Kind) -> int:
    return 0 if not kind.is_virtual else 1 if kind.is_vpn else 2


def to_sweep(run: Run, known: Iterable[Interface]) -> list[Interface]:
    """The interfaces whose networks may be asked host by host."""
    asking = run.asking
    return [] if asking.family == 6 else chosen(known, asking.interface)


@define(eq=False)
class Search:
    """One search. `told` gets a sentence for each step."""

    run: Run
    told: Callable[[str], None]
    token: Callable[[], bytes] = make_token
    ports: Sequence[int] = CHAT_PORTS
    others_wait: float = OTHERS_WAIT
    known: Callable[[], Sequence[Interface]] = interfaces.read
    make: MakeAsker = Caller
    make_socket: MakeSocket = OneByOne
    found: Found = field(factory=Found, init=False)
    _waits: Deferred[None] | None = field(default=None, init=False)

    async def find(self, last: Server | None = None) -> list[Server]:
        """The servers that answered: the last one first, if it is there, then the first one.

        None: an empty list. Raises UsageFault where `-I` names nothing of ours.
        """
        asking, known = self.run.asking, self.known()
        interfaces.way(asking.interface, known)
        self.found = Found(last, own_addresses(known))
        asked = places(known, asking.interface, asking.family)
        if not asked and last is None:
            self.told("no interface is up that a server could be looked for on")
            return []
        callings = [self._calling(self.ports)]
        callings[0].open(asked)
        if last is not None:
            callings.insert(0, self._to_last(last))
        self.told(f"looking for a server{_where(asked, last)}")
        running = [Deferred.fromCoroutine(calling.ask()) for calling in callings]
        for one in running:
            one.addErrback(expected)
        try:
            await self._wait(WAIT)
            if self.found.servers:
                await sleep(self.run.reactor, self.others_wait)
            else:
                await self._sweep(known)
        finally:
            for one in running:
                one.cancel()
            for calling in callings:
                calling.close()
        return self.found.in_order

    def _calling(self, asked: Sequence[int]) -> Calling:
        return Calling(self.run, questions(asked), self._replied, self.token, self.make)

    def _to_last(self, last: Server) -> Calling:
        calling = self._calling([last.port])
        calling.open([Place(Way.UNICAST, last.host, self.run.asking.interface, "")])
        return calling

    async def _wait(self, seconds: float) -> None:
        """Until somebody has answered, or the time is over."""
        if self.found.servers:
            return
        self._waits = Deferred()
        self._waits.addTimeout(seconds, self.run.reactor, lambda *_: None)
        await self._waits
        self._waits = None

    async def _sweep(self, known: Sequence[Interface]) -> None:
        """Ask each host of small networks."""
        hosts = [host for part in parts(to_sweep(self.run, known)) for host in part.hosts]
        if not hosts:
            return
        self.told(f"nobody answers broadcasts: asking {len(hosts)} addresses one by one")
        token = self.token()

        def heard(host: str, port: int, data: bytes, _: int) -> None:
            if says_chat(token, data):
                self._add(server_of(host, port, data))

        sweep = Sweep(self.run, hosts, self.ports, chat_hello(token), heard, self.make_socket)
        await sweep.ask(SWEEP_WAIT, lambda: bool(self.found.servers))
        if sweep.failure is not None and not sweep.sent:
            self.told(str(sweep.failure))

    def _replied(self, reply: Reply) -> None:
        if reply.is_proof:
            self._add(server_of(reply.address, reply.port, reply.data))

    def _add(self, server: Server) -> None:
        self.found.add(server)
        if self._waits is not None:
            waits, self._waits = self._waits, None
            wake(self.run.reactor, waits)


def _where(asked: Sequence[Place], last: Server | None) -> str:
    devices = ", ".join(dict.fromkeys(place.device for place in asked))
    by = f" on {devices}" if devices else ""
    return f" at {host_port(last.host, last.port)}, or{by or ' nowhere else'}" if last else by


def expected(failure: Failure) -> None:
    """We end it ourselves."""
    failure.trap(CancelledError)


def own_addresses(known: Iterable[Interface]) -> frozenset[str]:
    """Ours, as answers from them are told."""
    return frozenset(
        f"{address}%{one.name}" if address.startswith("fe80:") else address
        for one in known
        for address in (*one.of_version(4), *one.of_version(6))
    )
