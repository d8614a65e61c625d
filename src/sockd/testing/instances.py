"""Instances and their clients in memory, from a table as it stands in a configuration.

`make_context` makes what an instance is made of; `connect`, `open_port` and `open_sender` make what
its clients meet. A kind is given as its `Kind`, or by its name where it is installed.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import cache
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress

from sockd.access.entrance import Entrance
from sockd.access.peer import Peer
from sockd.access.state import DaemonState
from sockd.config.build import build
from sockd.config.document import Document
from sockd.config.settings import InstanceSettings
from sockd.daemon.instance import make_instance
from sockd.net.children import children_of
from sockd.net.context import Context, World
from sockd.net.entry import ConnectionFactory
from sockd.net.names import Names
from sockd.net.stream import Stream
from sockd.service import Found, Kind, find
from sockd.testing.leftovers import WORLD
from sockd.testing.memory import ASKER, Client, Loop, MemoryPort, Wall
from sockd.testing.running import running_reactor

HOSTNAME = "localhost"
"""The name of the host that instances run on."""
ENTRANCE = Entrance("tcp", "192.0.2.1", 7)
"""Where a peer comes in."""
PEER = Peer(*ASKER)
"""A peer of nowhere in particular: not trusted, not local."""
GROUP = ("224.225.226.227", 2070)
"""Whom a sender sends to."""
RUNTIME = "/run/sockd"
"""What `${RUNTIME}` in a listen string is."""
LISTENS = {
    "tcp": "tcp:0:interface=127.0.0.1",
    "udp": "udp:0:interface=127.0.0.1",
    "multicast": "multicast:224.225.226.227:2070:interface=127.0.0.1",
}
"""Where an instance listens whose table does not say it, by the first transport of its kind."""


@cache
def installed() -> Found:
    """The kinds that an installed daemon sees."""
    return find()


def kind_of(kind: Kind | str) -> Kind:
    """The kind, which may be given by its name."""
    return installed().kinds[kind] if isinstance(kind, str) else kind


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


def make_world(loop: Any = None, **changes: Any) -> World:
    """The world that instances share: on a loop of one's own, or the running reactor.

    `changes` replace fields of `World`. The clock on the wall stands at noon (`NOON`), and `random`
    gives the same numbers in every test.
    """
    loop = Loop() if loop is None else loop
    if isinstance(loop, Loop) and loop not in WORLD.loops:
        WORLD.loops.append(loop)
    wall = loop.wall if isinstance(loop, Loop) else Wall()
    # the same answers for the same test: nothing here is secret
    chance = random.Random(7)
    names = QuickNames(loop)
    return World(
        **{
            "reactor": loop,
            "wall": wall,
            "random": chance,
            "names": names,
            "hostname": HOSTNAME,
            # clients here live in the daemon's process, which it does not answer
            "state": DaemonState(own_pid=lambda: 0),
            # children are real: the running reactor hears of them
            "children": children_of(_RUNNING if isinstance(loop, Loop) else loop),
            **changes,
        }
    )


class _Running:
    """The running reactor, which is there only where something asks for it."""

    def __getattr__(self, name: str) -> Any:
        return getattr(running_reactor(), name)


_RUNNING = _Running()


def make_settings(kind: Kind | str, listen: Sequence[str] = (), **table: Any) -> InstanceSettings:
    """A `[service.NAME]` table, checked as the daemon checks it; its values as in TOML.

    Raises ConfigError (`sockd.config.document`) with every mistake, as a start does.
    """
    if isinstance(kind, str):
        name, found = kind, installed()
    else:
        name, found = kind.name, Found({kind.name: kind})
    if listen:
        table["listen"] = list(listen)
    elif "listen" not in table and name in found.kinds:
        table["listen"] = [LISTENS[found.kinds[name].transports[0]]]
    [settings] = build(Document({"service": {name: table}}), found, RUNTIME).instances
    return settings


def make_context(kind: Kind | str, world: World | None = None, **table: Any) -> Context[Any, Any]:
    """What an instance of this kind is made of: limits and options are keywords, as in TOML."""
    settings = make_settings(kind, **table)
    context = make_instance(settings, world or make_world()).context
    if settings.kind.shared is not None:
        context.shared = settings.kind.shared(context)
    WORLD.contexts.append(context)
    return context


def connect(
    stream: Kind | str | type[Stream],
    context: Context[Any, Any],
    peer: Peer = PEER,
    takes: int | None = None,
    *,
    role: str = "",
) -> Client:
    """A client that the daemon's door lets in. It takes only so many bytes, if that is said."""
    client = knock(stream, context, peer, takes, role=role)
    assert client is not None, "refused"
    return client


def knock(
    stream: Kind | str | type[Stream],
    context: Context[Any, Any],
    peer: Peer = PEER,
    takes: int | None = None,
    *,
    role: str = "",
) -> Client | None:
    """As `connect`; None where the door refuses. `role` names a door that is not the main one."""
    make: Any = stream if isinstance(stream, type) else kind_of(stream).door(role).stream
    assert make is not None, f"{stream} has no stream"
    address: Any = UNIXAddress(None)
    if peer.host:
        address = (IPv6Address if ":" in peer.host else IPv4Address)("TCP", peer.host, peer.port)
    protocol = ConnectionFactory(context, make, ENTRANCE).buildProtocol(address)
    if protocol is None:
        return None
    return Client(context.world.reactor, protocol, takes, peer.uid)


def open_port(
    kind: Kind | str, context: Context[Any, Any], is_local: bool = False, *, role: str = ""
) -> MemoryPort:
    """A port of the kind's datagram protocol, in memory; local: of a Unix socket."""
    datagram = kind_of(kind).door(role).datagram
    assert datagram is not None, f"{kind} has no datagrams"
    port = MemoryPort(datagram(context, ENTRANCE), is_local)
    context.world.reactor.ports.append(port)
    return port


def open_sender(kind: Kind | str, context: Context[Any, Any], *, role: str = "") -> MemoryPort:
    """A port of the kind's sender, in memory; what it sends goes to `GROUP`."""
    sender = kind_of(kind).door(role).sender
    assert sender is not None, f"{kind} sends nothing"
    port = MemoryPort(sender(context, GROUP, lambda _: None))
    context.world.reactor.ports.append(port)
    return port
