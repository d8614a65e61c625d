"""The watch over urgent data: whom it wakes, and what becomes of those that it cannot watch."""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.error import ConnectionAborted
from twisted.python.failure import Failure

from sockd.net.urgent import MOST_EVENTS
from tests.helpers import LogRecorder, until
from tests.memory import REACTOR
from tests.net.hearing import Hearing, Sender, Watch, hearing
from tests.net.urgent_wires import await_bytes, reset
from tests.reactor.streams import dialled, listening

GONE = Failure(ConnectionAborted())


@pytest_twisted.ensureDeferred
async def test_who_stops_late_stops_nobody_who_has_the_descriptor_by_now() -> None:
    watch = Watch()
    async with listening(lambda: Hearing(watch)) as port:
        with dialled(port.address) as sock:
            first = await port.first()
            first.stops = False
            number = first.urgent.descriptor
            reset(sock)
            await until(lambda: first.lost)
        with ExitStack() as stack:
            with _occupied(number):
                sock = stack.enter_context(dialled(port.address))
            stack.enter_context(_occupied(number - 1))
            await until(lambda: len(port.protocols) == 2 and port.protocols[1].transport)
            second = port.protocols[1]
            assert second.urgent.descriptor == number
            first.urgent.stop()
            first.urgent.look()
            second.wire.pauseProducing()
            Sender(sock).send("!")
            await until(lambda: second.told)
            second.wire.resumeProducing()
        await until(lambda: second.lost)


@contextmanager
def _occupied(number: int) -> Iterator[None]:
    """No descriptor up to this one is free."""
    with ExitStack() as stack:
        taken = -1
        while taken < number:
            taken = os.dup(0)
            stack.callback(os.close, taken)
        yield


# what cannot be watched


class Full:
    """A reactor whose poller can watch nothing more."""

    def addReader(self, reader: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def removeReader(self, reader: Any) -> None:
        """Nothing: it is not there."""


@contextmanager
def _no_descriptor_more() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


class Poor(Hearing):
    """Is made when there is no descriptor left."""

    def connectionMade(self) -> None:
        with _no_descriptor_more():
            super().connectionMade()


@pytest.mark.parametrize("why", ["watches", "descriptors"])
@pytest_twisted.ensureDeferred
async def test_a_connection_that_cannot_be_watched_goes_on_and_the_log_says_so_once(
    why: str, log: LogRecorder
) -> None:
    watch = Watch(Full() if why == "watches" else REACTOR)
    make = Hearing if why == "watches" else Poor
    async with listening(lambda: make(watch)) as port:
        for count in (1, 2):
            with dialled(port.address) as sock:
                await until(lambda: len(port.protocols) == count and port.protocols[-1].transport)  # noqa: B023
                heard = port.protocols[-1]
                Sender(sock).send("ab!", b"cd")
                await until(lambda: heard.received == b"abcd")  # noqa: B023
                assert heard.told == b"!"
            await until(lambda: heard.lost)  # noqa: B023
    said = [line for line in log.lines() if "urgent data may be noticed late" in line]
    assert len(said) == 1


@pytest_twisted.ensureDeferred
async def test_a_watch_that_its_reactor_has_left_is_done() -> None:
    async with hearing() as (heard, _):
        heard.watch.connectionLost(GONE)
        assert heard.watch.fileno() == -1


@pytest_twisted.ensureDeferred
async def test_so_many_are_told_at_once_and_the_others_when_the_rest_of_the_loop_had_its_turn() -> (
    None
):
    watch = Watch()
    count = MOST_EVENTS + 6
    async with listening(lambda: Hearing(watch)) as port:
        with ExitStack() as stack:
            peers = []
            for number in range(1, count + 1):  # a port lets few wait for it
                peers.append(Sender(stack.enter_context(dialled(port.address))))
                await until(lambda: len(port.protocols) == number)  # noqa: B023 - at once
            await until(lambda: all(heard.transport for heard in port.protocols))
            for heard in port.protocols:
                heard.wire.pauseProducing()
            for peer in peers:
                peer.send("a!")
            for heard in port.protocols:
                await_bytes(heard.wire.getHandle(), 2)
            watch.doRead()
            assert sum(len(heard.told) for heard in port.protocols) == MOST_EVENTS
            await until(lambda: all(heard.told == b"!" for heard in port.protocols))
            for heard in port.protocols:
                heard.wire.resumeProducing()
        await until(lambda: all(heard.lost for heard in port.protocols))
