"""Finding a server without its address: the last one, broadcasts, then each host of small networks.

A hello goes out (`sockd.formats.chat.hello`): an old server answers ERROR to it, a new one says who
it is.
"""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from hashlib import blake2b

from attrs import define, evolve, field, frozen
from twisted.internet.defer import Deferred

from sockd.client.errors import ClientError
from sockd.client.lan.calling import Calling, Reply, networks
from sockd.client.lan.discovery import Network, places
from sockd.client.lan.proofs import Question
from sockd.client.net import interfaces
from sockd.client.net.arrivals import Came
from sockd.client.net.datagrams import Datagrams, open_host
from sockd.client.process import Run
from sockd.client.targets import Transport
from sockd.client.waiting import sleep
from sockd.formats import ports
from sockd.formats.chat.events import Code, unpack
from sockd.formats.chat.hello import NONCE_BYTES, Hello, Welcome
from sockd.formats.hostport import host_port
from sockd.reactor.clocks import ClockReading

WAIT = 3.0
"""Seconds for answers to broadcasts, as the tutorial's client waits."""
OTHERS_WAIT = 0.3
"""Seconds after the first answer in which other servers are still named."""
SWEEP_PREFIX = 24
"""Bits of the largest network whose hosts are asked one by one: 254 of them."""
SWEEP_RATE = 200
"""Hosts asked a second: a network that has a host for each is not flooded."""
SWEEP_WAIT = 1.0
"""Seconds after the last of them."""
CHAT_PORTS = (ports.CHAT, ports.CHAT_CONTROL)
_TOKEN_BYTES = 8


@frozen
class Server:
    """A server that has answered."""

    host: str
    port: int
    name: str = ""
    """As a new one tells it."""
    is_new: bool = False
    id: bytes = b""

    def __str__(self) -> str:
        where = host_port(self.host, self.port)
        return f"{self.name} ({where})" if self.name else where


def hello(token: bytes) -> bytes:
    """The question for a token."""
    return Hello(_nonce(token)).write()


def _nonce(token: bytes) -> bytes:
    return blake2b(token, digest_size=NONCE_BYTES).digest()


def answer(token: bytes, data: bytes) -> bool:
    """Whether that is a chat server's answer to the token's hello."""
    event = unpack(data)
    if event is None:
        return False
    if event.code == Code.WELCOME:
        welcome = Welcome.read(event.text)
        return welcome is not None and welcome.nonce == _nonce(token)
    return event.code == Code.ERROR


def server_of(host: str, port: int, data: bytes) -> Server:
    """Who has answered so."""
    event = unpack(data)
    welcome = Welcome.read(event.text) if event is not None and event.code == Code.WELCOME else None
    if welcome is None:
        return Server(host, port)
    return Server(host, port, welcome.name, True, welcome.server)


def questions(wanted: Sequence[int] = CHAT_PORTS) -> list[Question]:
    """A hello to each port."""
    return [
        Question(
            service="chat",
            transport=Transport.UDP,
            port=port,
            request=hello,
            proof=answer,
            bears_token=True,
        )
        for port in wanted
    ]


def small_networks(found: Sequence[Network]) -> Iterator[str]:
    """Every host of the networks that are small enough to ask each, ours not left out."""
    for network in dict.fromkeys(found):
        is_small = network.version == 4 and network.prefixlen >= SWEEP_PREFIX
        if is_small and not network.is_loopback:
            yield from map(str, network.hosts())


@define(eq=False)
class Search:
    """One search. `told` gets a sentence for each step."""

    run: Run
    told: Callable[[str], None]
    token: Callable[[], bytes] = lambda: secrets.token_hex(_TOKEN_BYTES).encode()
    ports: Sequence[int] = CHAT_PORTS
    servers: list[Server] = field(factory=list, init=False)
    _first: Deferred[None] = field(factory=Deferred, init=False)

    async def find(self, last: Server | None = None) -> list[Server]:
        """The servers that answered, the first one first; none: an empty list."""
        known = interfaces.read()
        asked = list(places(known, self.run.asking.interface, self.run.asking.family))
        calling = Calling(self.run, questions(self.ports), self._replied, self.token)
        if last is not None:
            self._ask_one(last)
        calling.open(asked)
        where = ", ".join(dict.fromkeys(str(place) for place in asked))
        self.told(f"looking for a server: {where or 'no interface can be asked'}")
        asking = Deferred.fromCoroutine(calling.ask())
        asking.addErrback(lambda _: None)
        try:
            await self._wait(WAIT)
            if not self.servers:
                await self._sweep()
            else:
                await sleep(self.run.reactor, OTHERS_WAIT)
        finally:
            asking.cancel()
            calling.close()
        return self.servers

    async def _wait(self, seconds: float) -> None:
        """Until somebody has answered, or the time is over."""
        over = sleep(self.run.reactor, seconds)
        self._first.addCallback(lambda _: None if over.called else over.callback(None))
        with suppress(Exception):
            await over

    def _ask_one(self, last: Server) -> None:
        token = self.token()

        def came(batch: list[Came], _: ClockReading) -> None:
            for data, (host, port), *_rest in batch:
                if answer(token, data):
                    self._found(server_of(host, port, data))

        with suppress(ClientError):
            datagrams = open_host(self.run.reactor, (last.host, last.port), on_batch=came)
            datagrams.send_batch((hello(token),))
            sleep(self.run.reactor, WAIT).addCallback(lambda _: datagrams.close())

    async def _sweep(self) -> None:
        """Ask each host of small networks: an answer to one passes firewalls that an answer to a
        broadcast does not."""
        hosts = list(small_networks(networks()))
        if not hosts:
            return
        self.told(f"nobody answers broadcasts: asking {len(hosts)} addresses one by one")
        token = self.token()

        def came(batch: list[Came], _: ClockReading) -> None:
            for data, (host, port), *_rest in batch:
                if answer(token, data):
                    self._found(server_of(host, port, data))

        datagrams: Datagrams | None = None
        try:
            datagrams = open_host(
                self.run.reactor, (hosts[0], self.ports[0]), has_ports=True, on_batch=came
            )
            for host in hosts:
                datagrams.opened = evolve(datagrams.opened, address=(host, self.ports[0]))
                datagrams.send_batch((hello(token),))
                await sleep(self.run.reactor, 1 / SWEEP_RATE)
                if self.servers:
                    return
            await self._wait(SWEEP_WAIT)
        finally:
            if datagrams is not None:
                datagrams.close()

    def _replied(self, reply: Reply) -> None:
        if reply.is_proof:
            self._found(server_of(reply.address, reply.port, reply.data))

    def _found(self, server: Server) -> None:
        if not any(_is_same(server, one) for one in self.servers):
            self.servers.append(server)
            if not self._first.called:
                self._first.callback(None)


def _is_same(one: Server, other: Server) -> bool:
    """Whether two answers are of one server: by another address, or at another door."""
    if one.id or other.id:
        return one.id == other.id
    return (one.host, one.port) == (other.host, other.port)


def is_loopback(server: Server) -> bool:
    """Whether it is on this host."""
    return ipaddress.ip_address(server.host.partition("%")[0]).is_loopback
