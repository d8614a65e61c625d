"""Instances and connections for tests in one process, with working fakes below them.

`make_context` makes what an instance is made of, from a table as it stands in a configuration;
`connect` and `open_port` make its clients. `tests/conftest.py` looks over what a test has left.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from typing import Any

from attrs import Factory, define
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.task import deferLater
from twisted.logger import ILogObserver, LogEvent, LogLevel, eventAsText, formatEvent
from zope.interface import implementer

from sockd.access.entrance import Entrance
from sockd.access.peer import Peer
from sockd.access.state import DaemonState
from sockd.config.build import build
from sockd.config.document import Document
from sockd.config.settings import InstanceSettings
from sockd.daemon.instance import make_instance
from sockd.net.context import Context, Host
from sockd.net.entry import ConnectionFactory
from sockd.net.names import Names
from sockd.net.stream import Stream
from sockd.service import Found, Kind, find
from tests.memory import ASKER, REACTOR, Client, Loop, MemoryPort, Wall
from tests.processes import PATIENCE

FOUND = find()
"""The registry, as an installed daemon sees it."""
HOSTNAME = "localhost"
ENTRANCE = Entrance("tcp", "192.0.2.1", 7)
"""Where a peer comes in."""
PEER = Peer(*ASKER)
"""A peer of nowhere in particular: not trusted, not local."""
LISTENS = {
    "tcp": "tcp:0:interface=127.0.0.1",
    "udp": "udp:0:interface=127.0.0.1",
    "multicast": "multicast:224.225.226.227:2070:interface=127.0.0.1",
}


class QuickNames(Names):
    """The real thing, with a table instead of a resolver and a turn of the loop for a thread."""

    def __init__(self, clock: Any, table: dict[str, str] | None = None) -> None:
        super().__init__(clock, clock)
        self._table = {"127.0.0.1": "localhost", "::1": "localhost"} if table is None else table

    def _start_thread(self) -> None:
        self._clock.callLater(0, self._look_up)

    def _look_up(self) -> None:
        address = self._queue.get_nowait()
        self._found(address, self._table.get(address, address))


@implementer(ILogObserver)
@define(eq=False)
class LogRecorder:
    """Everything that was logged during a test."""

    logged: list[LogEvent] = Factory(list)

    def __call__(self, event: LogEvent) -> None:
        self.logged.append(event)

    def events(self, name: str) -> list[LogEvent]:
        """The events of this name, oldest first."""
        return [event for event in self.logged if event.get("event") == name]

    def lines(self) -> list[str]:
        """What was logged, a sentence an event."""
        return [formatEvent(event) for event in self.logged]

    def faults(self) -> list[LogEvent]:
        """The exceptions that were logged, and what Twisted complains of."""
        return [event for event in self.logged if _is_fault(event)]

    def flush_faults(self) -> list[LogEvent]:
        """As `faults`, of which the test knows: they are no failure of it."""
        found = self.faults()
        self.logged = [event for event in self.logged if not _is_fault(event)]
        return found

    def fault_texts(self) -> list[str]:
        """As `faults`, each with its traceback."""
        return [eventAsText(event) for event in self.faults()]


def _is_fault(event: LogEvent) -> bool:
    text = formatEvent(event)
    return (
        "log_failure" in event
        or event.get("log_level", LogLevel.info) >= LogLevel.error
        or "Traceback" in text
        or "Unhandled" in text
    )


@define
class World:
    """What one test has made, so that it can be looked over at its end."""

    contexts: list[Context[Any, Any]] = Factory(list)
    loops: list[Loop] = Factory(list)

    def close(self) -> None:
        """End everything: clients leave, ports close, what is shared stops."""
        for loop in self.loops:
            for client in loop.clients:
                client.vanish()
            for port in loop.ports:
                port.stopListening()
        for context in self.contexts:
            context.guard.stop()
            if context.shared is not None:
                context.shared.stop()

    def left(self) -> list[str]:
        """What is still there after that, in words."""
        found = []
        for loop in self.loops:
            loop.settle()
            found += [f"a delayed call: {call}" for call in loop.getDelayedCalls()]
        for context in self.contexts:
            found += [f"an open session: {one}" for one in context.guard.sessions]
            sources = context.guard._per_source
            found += [f"a source that is counted: {source}" for source in sources]
        return found

    def forget(self) -> None:
        """Let go of all of it."""
        self.loops.clear()
        self.contexts.clear()


WORLD = World()
"""The world of the test that runs."""


def make_host(loop: Any = None, **changes: Any) -> Host:
    """The world that instances share: on a loop of one's own, or the running reactor."""
    loop = Loop() if loop is None else loop
    if isinstance(loop, Loop) and loop not in WORLD.loops:
        WORLD.loops.append(loop)
    wall = loop.wall if isinstance(loop, Loop) else Wall()
    # the same answers for the same test: nothing here is secret
    chance = random.Random(7)
    names = QuickNames(loop)
    return Host(
        **{
            "reactor": loop,
            "wall": wall,
            "random": chance,
            "names": names,
            "hostname": HOSTNAME,
            # clients here live in the daemon's process, which it does not answer
            "state": DaemonState(own_pid=lambda: 0),
            **changes,
        }
    )


def make_settings(kind: Kind | str, listen: Sequence[str] = (), **table: Any) -> InstanceSettings:
    """A `[service.NAME]` table, checked as the daemon checks it; its values as in TOML."""
    if isinstance(kind, str):
        name, found = kind, FOUND
    else:
        name, found = kind.name, Found({kind.name: kind})
    if listen:
        table["listen"] = list(listen)
    elif isinstance(kind, Kind) or kind in FOUND.kinds:
        table["listen"] = [LISTENS[found.kinds[name].transports[0]]]
    [one] = build(Document({"service": {name: table}}), found, "/run/sockd").instances
    return one


def make_context(kind: Kind | str, host: Host | None = None, **table: Any) -> Context[Any, Any]:
    """What an instance of this kind is made of: limits and options are keywords, as in TOML."""
    one = make_settings(kind, **table)
    context = make_instance(one, host or make_host()).context
    if one.kind.shared is not None:
        context.shared = one.kind.shared(context)
    WORLD.contexts.append(context)
    return context


def connect(
    stream: Kind | str | type[Stream],
    context: Context[Any, Any],
    peer: Peer = PEER,
    takes: int | None = None,
) -> Client:
    """A client that the daemon's door lets in. It takes only so many bytes, if that is said."""
    client = knock(stream, context, peer, takes)
    assert client is not None, "refused"
    return client


def knock(
    stream: Kind | str | type[Stream],
    context: Context[Any, Any],
    peer: Peer = PEER,
    takes: int | None = None,
) -> Client | None:
    """As `connect`; None where the door refuses."""
    if isinstance(stream, str):
        stream = FOUND.kinds[stream]
    make: Any = stream.stream if isinstance(stream, Kind) else stream
    address: Any = UNIXAddress(None)
    if peer.host:
        address = (IPv6Address if ":" in peer.host else IPv4Address)("TCP", peer.host, peer.port)
    protocol = ConnectionFactory(context, make, ENTRANCE).buildProtocol(address)
    if protocol is None:
        return None
    return Client(context.host.reactor, protocol, takes, peer.uid)


def open_port(kind: Kind | str, context: Context[Any, Any], is_local: bool = False) -> MemoryPort:
    """A port of the kind's datagram protocol, in memory."""
    declared = FOUND.kinds[kind] if isinstance(kind, str) else kind
    assert declared.datagram is not None
    port = MemoryPort(declared.datagram(context, ENTRANCE), is_local)
    context.host.reactor.ports.append(port)
    return port


async def until(condition: Callable[[], Any], seconds: float = PATIENCE) -> None:
    """Have the running reactor turn until the condition holds; fails where it never does."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s"
        await deferLater(REACTOR, 0.002)


def held_by(transport: Any) -> int:
    """Bytes that wait to be sent."""
    return len(transport.dataBuffer) + int(transport._tempDataLen)
