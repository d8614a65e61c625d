"""The running reactor, in whose time real sockets and child processes work.

It is imported when it is first needed: to import it installs one, and which one is for the test
suite to say. To wait for it here takes pytest-twisted.
"""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Callable
from typing import Any

from twisted.internet import tcp
from twisted.internet.defer import ensureDeferred, maybeDeferred
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater

from sockd.daemon.daemon import use_monotonic_time

PATIENCE = 30.0
"""Seconds until what should happen counts as not happening: a loaded machine is slow."""
LOOK_SECONDS = 0.002
"""Time between two looks at a condition."""

Wait = Callable[[Callable[[], Any]], None]
"""Has what is not in memory go on until a condition holds; fails where it never does."""


def running_reactor() -> Any:
    """The reactor that the tests run on."""
    from twisted.internet import reactor

    return reactor


def has_reactor() -> bool:
    """Whether there is one, and pytest-twisted, which runs it."""
    return {"pytest_twisted", "twisted.internet.reactor"} <= sys.modules.keys()


async def until(condition: Callable[[], Any], seconds: float = PATIENCE) -> None:
    """Have the running reactor turn until the condition holds; fails where it never does."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s"
        await deferLater(running_reactor(), LOOK_SECONDS)


def wait(condition: Callable[[], Any]) -> None:
    """As `until`, for a test that is no coroutine: a `Wait`."""
    import pytest_twisted

    pytest_twisted.blockon(ensureDeferred(until(condition)))


async def warm_up() -> None:
    """Have the reactor open what it opens once and keeps, so that no test counts it as left."""
    reactor = running_reactor()
    use_monotonic_time(reactor)
    tcp._reservedFD.reserve()
    # libuv opens /dev/null for its first stream
    served: Any = Protocol()
    port = reactor.listenTCP(0, Factory.forProtocol(lambda: served), interface="127.0.0.1")
    socket.create_connection(("127.0.0.1", port.getHost().port)).close()
    await until(lambda: served.transport and not served.transport.connected)
    await maybeDeferred(port.stopListening)
    await deferLater(reactor, 0)
