"""Asking each host of small networks: an answer to who was asked passes firewalls that one to a
broadcast does not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from itertools import product
from typing import Protocol

from attrs import define, evolve, field, frozen

from sockd.client.errors import ClientError
from sockd.client.net.arrivals import Came
from sockd.client.net.datagrams import Datagrams, open_host
from sockd.client.net.icmp import NetworkError
from sockd.client.net.interfaces import Interface, IPNetwork, named
from sockd.client.process import Run
from sockd.client.waiting import sleep
from sockd.reactor.clocks import ClockReading
from sockd.reactor.sockaddr import Address

PREFIX = 24
"""Bits of the largest network whose hosts are asked one by one: it has 254 of them."""
MOST_SWEPT = 1_000
"""Hosts in all: Linux remembers 1,024 neighbours, and each of those that are not there is one."""
RATE = 200
"""Questions a second: a network that has a host for each is not flooded."""
AT_ONCE = 10
"""Of those, without a pause."""
OF_ONE_SOCKET = 100
"""Questions that leave by one socket: one that waits for the address of a neighbour who is not
there takes 1.3 kB of its send buffer for 3 s, so of 208 kB, which is usual, 165 fill it."""
PORT_UNREACHABLE = "port unreachable"
"""What a host says that is there, and where nobody listens (`sockd.client.net.icmp`)."""


@frozen
class Part:
    """A network that is swept."""

    device: str
    network: IPNetwork

    @property
    def hosts(self) -> list[str]:
        """Each address of it, ours too: a server may listen on that alone."""
        return [str(host) for host in self.network.hosts()]


def parts(known: Iterable[Interface]) -> list[Part]:
    """The networks that are small enough, the first interfaces first, and not too many."""
    found: dict[IPNetwork, Part] = {}
    left = MOST_SWEPT
    for one in known:
        for own in one.addresses:
            if not one.is_up or one.is_loopback or own.network is None or own.network in found:
                continue
            if own.ip.version == 4 and own.network.prefixlen >= PREFIX:
                part = Part(one.name, own.network)
                if len(part.hosts) <= left:
                    found[own.network] = part
                    left -= len(part.hosts)
    return list(found.values())


class Socket(Protocol):
    """What questions leave by."""

    def ask(self, address: Address) -> None:
        """Send the question. Raises ClientError."""

    def close(self) -> None:
        """Hear no more."""


Heard = Callable[[str, int, bytes], None]
"""Host, port, what came."""
Refused = Callable[[str], None]
"""A host where nobody listens."""


class OneByOne:
    """A socket that asks one after the other."""

    def __init__(
        self,
        run: Run,
        first: Address,
        question: bytes,
        heard: Heard,
        refused: Callable[[str], None],
    ) -> None:
        self._question = question
        self._heard = heard
        self._refused = refused
        self._datagrams: Datagrams = open_host(
            run.reactor,
            first,
            interface=run.asking.interface,
            has_ports=True,
            on_batch=self._came,
            on_error=self._failed,
        )

    def ask(self, address: Address) -> None:
        """Send the question. Raises ClientError."""
        self._datagrams.opened = evolve(self._datagrams.opened, address=address)
        self._datagrams.send(self._question)

    def close(self) -> None:
        """Hear no more."""
        self._datagrams.close()

    def _came(self, batch: list[Came], _: ClockReading) -> None:
        for data, (host, port), *_rest in batch:
            self._heard(named(host), port, data)

    def _failed(self, error: NetworkError) -> None:
        if error.text == PORT_UNREACHABLE and error.host:
            self._refused(error.host)


MakeSocket = Callable[[Run, Address, bytes, Heard, Refused], Socket]


@define(eq=False)
class Sweep:
    """One pass over some hosts. `heard` is told of what comes from a host that was asked, and how
    many nanoseconds after the question."""

    run: Run
    hosts: Sequence[str]
    ports: Sequence[int]
    question: bytes
    heard: Callable[[str, int, bytes, int], None]
    make: MakeSocket = OneByOne
    sent: int = field(default=0, init=False)
    failure: ClientError | None = field(default=None, init=False)
    """Why a question could not be sent, the last time that one could not."""
    refused: set[str] = field(factory=set, init=False)
    """Hosts that are there, and where nobody listens."""
    _asked: dict[Address, int] = field(factory=dict, init=False)

    async def ask(self, wait: float, is_enough: Callable[[], bool] = lambda: False) -> None:
        """Ask each at each port, the ports in order, and wait for the last; until it is enough."""
        sockets: list[Socket] = []
        try:
            for count, (port, host) in enumerate(product(self.ports, self.hosts)):
                if count % OF_ONE_SOCKET == 0:
                    made = self.make(
                        self.run, (host, port), self.question, self._came, self._refuse
                    )
                    sockets.append(made)
                self._ask_one(sockets[-1], (host, port))
                if count % AT_ONCE == AT_ONCE - 1:
                    await sleep(self.run.reactor, AT_ONCE / RATE)
                    if is_enough():
                        return
            if self.sent:
                await self._rest(wait, is_enough)
        except ClientError as error:
            self.failure = error
        finally:
            for one in sockets:
                one.close()

    async def _rest(self, wait: float, is_enough: Callable[[], bool]) -> None:
        until = self.run.reactor.seconds() + wait
        while not is_enough() and (left := until - self.run.reactor.seconds()) > 0:
            await sleep(self.run.reactor, min(left, AT_ONCE / RATE))

    def _ask_one(self, socket: Socket, address: Address) -> None:
        self._asked[address] = self.run.monotonic_ns()
        try:
            socket.ask(address)
        except ClientError as error:
            self.failure = error
            del self._asked[address]
        else:
            self.sent += 1

    def _came(self, host: str, port: int, data: bytes) -> None:
        with suppress(KeyError):  # from whom was not asked
            self.heard(host, port, data, self.run.monotonic_ns() - self._asked[host, port])

    def _refuse(self, host: str) -> None:
        if len(self.refused) < len(self.hosts):
            self.refused.add(host)
