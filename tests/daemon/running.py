"""A daemon on the running reactor, and a kind of service that shows which options it has."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, ClassVar

from attrs import evolve, frozen
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from sockd.config.settings import DaemonSettings, InstanceSettings, Settings
from sockd.daemon.daemon import Daemon
from sockd.daemon.plan import plan
from sockd.net.context import Context
from sockd.net.datagram import Replies
from sockd.net.listener import Listener
from sockd.net.stream import Stream
from sockd.options.option import option
from sockd.service import Kind
from sockd.testing.sockets import Connection, address_of
from tests.helpers import make_settings, make_world
from tests.memory import REACTOR

LOOPBACK = "interface=127.0.0.1"


@frozen
class Word:
    """What it says."""

    word: str = option("one", "what it says to whatever it hears")
    broken: bool = option(False, "true: what it shares cannot be made")


class Spoken:
    """What connections share: the word, and whether it was let go of."""

    held: ClassVar[int] = 0
    """How many were made, and not let go of."""

    def __init__(self, context: Context[Word, Spoken]) -> None:
        if context.options.broken:
            raise ValueError("it is broken")
        self.word = context.options.word.encode()
        self.has_stopped = False
        Spoken.held += 1

    def stop(self) -> None:
        assert not self.has_stopped
        self.has_stopped = True
        Spoken.held -= 1


class SaysStream(Stream):
    """Says the word for every read."""

    context: Context[Word, Spoken]

    def received(self, data: bytes) -> None:
        assert not self.context.shared.has_stopped
        self.write(self.context.shared.word + b"\n")


class SaysDatagrams(Replies):
    """Says the word for every datagram."""

    context: Context[Word, Spoken]
    amplifies = True

    def answer(self, data: bytes) -> bytes:
        return self.context.options.word.encode()


SAYS = Kind(
    name="says",
    doc="Says a word.",
    stream=SaysStream,
    datagram=SaysDatagrams,
    options=Word,
    shared=Spoken,
)
ALSO_SAYS = evolve(SAYS, name="also-says")


def says(*listen: str, name: str = "says", kind: Kind = SAYS, **table: Any) -> InstanceSettings:
    """An instance of it, as a checked table."""
    return evolve(make_settings(kind, list(listen), **table), name=name)


def settings(*instances: InstanceSettings, **daemon: Any) -> Settings:
    """A configuration."""
    return Settings(DaemonSettings(**daemon), instances)


@asynccontextmanager
async def daemon_of(*instances: InstanceSettings, reactor: Any = REACTOR) -> AsyncIterator[Daemon]:
    """A daemon that runs them."""
    daemon = Daemon(settings(*instances), make_world(reactor))
    daemon.privilegedStartService()
    try:
        yield daemon
    finally:
        stopped = daemon.stopService()
        daemon.hurry()
        await stopped


def apply(daemon: Daemon, *instances: InstanceSettings, **table: Any) -> None:
    """Have the daemon run these instead."""
    daemon.apply(plan(daemon.settings, settings(*instances, **table)))


def listeners(daemon: Daemon) -> list[Listener]:
    """Every address, in order."""
    return [listener for _, one in daemon.instances for listener in one.listeners]


def inodes(daemon: Daemon) -> list[int]:
    """Which socket each address has."""
    import os

    return [os.fstat(listener.port.fileno()).st_ino for listener in listeners(daemon)]


async def aside(call: Any, *args: Any) -> Any:
    """A client that blocks, while the reactor turns."""
    done: Deferred[Any] = deferToThread(call, *args)
    return await done


async def heard(wire: Connection) -> bytes:
    """What it says now on a connection; nothing where that has ended."""

    def ask() -> bytes:
        wire.send(b"?")
        found: bytes = wire.receive_some(100)
        return found

    word: bytes = await aside(ask)
    return word.strip()


async def said_at(listener: Listener) -> bytes:
    """What it says on a new connection."""
    wire = await aside(Connection, address_of(listener))
    with wire:
        return await heard(wire)


def words(found: Sequence[Any]) -> list[str]:
    """Each as text."""
    return [str(one) for one in found]
