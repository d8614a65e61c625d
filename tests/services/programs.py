"""An exec instance on the running reactor, and what a test wants to know of its programs."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from twisted.internet.threads import deferToThread

from sockd.daemon.instance import RunningInstance
from sockd.services.exec import ExecStream
from sockd.testing.sockets import TIMEOUT, Connection, address_of, serve
from tests.helpers import LogRecorder, until

LISTEN = "tcp:0:interface=127.0.0.1"


@asynccontextmanager
async def running(*command: str, **table: Any) -> AsyncIterator[tuple[RunningInstance, Connection]]:
    """An instance that runs this command, and a client."""
    async with serve("exec", LISTEN, command=list(command), **table) as instance:
        with Connection(address_of(instance.listeners[0])) as wire:
            yield instance, wire


async def output(*command: str, data: bytes = b"", **table: Any) -> bytes:
    """What a client gets that sends this."""

    def ask(wire: Connection) -> bytes:
        wire.send(data)
        wire.end()
        return wire.receive()

    async with running(*command, **table) as (_, wire):
        return await deferToThread(ask, wire)


async def session_of(instance: RunningInstance) -> ExecStream:
    """The one connection, once its program runs."""
    guard = instance.context.guard
    await until(lambda: [one for one in guard.sessions if getattr(one, "_child", None)])
    [session] = guard.sessions
    assert isinstance(session, ExecStream)
    return session


async def reaped(log: LogRecorder, count: int = 1) -> list[str]:
    """How the programs ended, once so many have."""
    await until(lambda: len(log.events("child-reaped")) >= count)
    return [event["status"] for event in log.events("child-reaped")]


async def fill_up(wire: Connection, session: ExecStream) -> int:
    """Send without reading until the daemon takes no more; bytes that the kernel took."""
    wire.socket.setblocking(False)
    sent = 0
    at_rest = rests(lambda: session.bytes_in)

    def push() -> bool:
        nonlocal sent
        try:
            sent += wire.socket.send(bytes(64 * 1024))
        except BlockingIOError:
            return at_rest()
        return False

    await until(push)
    wire.socket.settimeout(TIMEOUT)
    return sent


QUIET_SECONDS = 1.0
"""How long the kernel may wait with what is on its way: for an acknowledgement, or for room."""


def rests(number: Callable[[], int]) -> Callable[[], bool]:
    """Whether a number is the same as a second and fifty looks ago; -1 never rests."""
    last, since, looks = -1, 0.0, 0

    def does() -> bool:
        nonlocal last, since, looks
        now = number()
        if now != last:
            last, since, looks = now, time.monotonic(), 0
        looks += 1
        return last != -1 and looks >= 50 and time.monotonic() - since >= QUIET_SECONDS

    return does
