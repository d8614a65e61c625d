"""Answers to datagrams that are owed when something changes are given all the same."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from attrs import evolve
from pytest_twisted import ensureDeferred
from twisted.internet.defer import Deferred

from sockd.config.settings import InstanceSettings
from sockd.net.datagram import Replies
from sockd.net.sender import Sender
from sockd.service import Kind
from tests.daemon.running import LOOPBACK, SAYS, apply, aside, daemon_of, says
from tests.helpers import until
from tests.net.test_listener import Full
from tests.processes import PATIENCE, free_port


def waiting() -> tuple[Kind, list[Deferred[bytes]]]:
    """A kind whose answers are given by the test."""
    owed: list[Deferred[bytes]] = []

    class Waits(Replies):
        amplifies = True

        def answer(self, data: bytes) -> Deferred[bytes]:
            owed.append(Deferred())
            return owed[-1]

    return evolve(SAYS, datagram=Waits), owed


@contextmanager
def client(port: int) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(PATIENCE)
        sock.connect(("127.0.0.1", port))
        sock.send(b"?")
        yield sock


@pytest.mark.parametrize("change", [{"word": "two"}, {"name": "other"}])
@ensureDeferred
async def test_an_answer_that_is_owed_comes_and_what_it_shares_is_there_until_then(
    change: dict[str, Any],
) -> None:
    (kind, owed), port = waiting(), free_port()
    text = f"udp:{port}:{LOOPBACK}"

    def wanted(**table: Any) -> InstanceSettings:
        return says(text, kind=kind, **table)

    async with daemon_of(wanted()) as daemon:
        shared = daemon.instances[0][1].context.shared
        with client(port) as sock:
            await until(lambda: len(owed) == 1)
            apply(daemon, wanted(**change))
            assert not shared.has_stopped
            sock.send(b"and?")
            await until(lambda: len(owed) == 2)
            owed[0].callback(b"here")
            assert await aside(sock.recv, 100) == b"here"
            await until(lambda: shared.has_stopped)
            owed[1].callback(b"there")
            assert await aside(sock.recv, 100) == b"there"


@pytest.mark.parametrize("change", [{"word": "two"}, {"name": "other"}])
@ensureDeferred
async def test_an_answer_that_never_comes_is_waited_for_as_long_as_connections_are(
    change: dict[str, Any],
) -> None:
    (kind, owed), port = waiting(), free_port()
    reactor = Full()
    reactor.is_full = False

    def wanted(**table: Any) -> InstanceSettings:
        return says(f"udp:{port}:{LOOPBACK}", kind=kind, drain="7s", **table)

    async with daemon_of(wanted(), reactor=reactor) as daemon:
        shared = daemon.instances[0][1].context.shared
        with client(port):
            await until(lambda: len(owed) == 1)
            apply(daemon, wanted(**change))
            reactor.clock.advance(6.9)
            assert not shared.has_stopped
            reactor.clock.advance(0.2)
            await until(lambda: bool(shared.has_stopped))


@ensureDeferred
async def test_a_daemon_in_a_hurry_waits_for_no_answer() -> None:
    (kind, owed), port = waiting(), free_port()

    def wanted(**table: Any) -> InstanceSettings:
        return says(f"udp:{port}:{LOOPBACK}", kind=kind, drain="1h", **table)

    async with daemon_of(wanted()) as daemon:
        shared = daemon.instances[0][1].context.shared
        with client(port):
            await until(lambda: len(owed) == 1)
            apply(daemon, wanted(name="other"))
    assert shared.has_stopped


@ensureDeferred
async def test_a_sender_that_comes_with_new_options_begins_once() -> None:
    begun: list[bytes] = []

    class Counts(Sender):
        def startProtocol(self) -> None:
            begun.append(self.context.options.word.encode())

    kind = evolve(SAYS, sender=Counts)
    first, second = (f"multicast:224.0.0.251:{port}:{LOOPBACK}" for port in (5, 6))
    async with daemon_of(says(first, kind=kind)) as daemon:
        apply(daemon, says(first, second, kind=kind, word="two"))
        assert begun == [b"one", b"two", b"two"]  # the first begins again


@ensureDeferred
async def test_an_address_that_goes_owing_an_answer_gives_it_though_it_is_wanted_again() -> None:
    (kind, owed), port = waiting(), free_port()
    table: dict[str, Any] = {"kind": kind, "drain": "1h"}
    stays, text = f"tcp:0:{LOOPBACK}", f"udp:{port}:{LOOPBACK}"
    async with daemon_of(says(stays, text, **table)) as daemon:
        with client(port) as early:
            await until(lambda: len(owed) == 1)
            apply(daemon, says(stays, **table))
            [(_, instance)] = daemon.instances
            assert len(instance.leaving) == 1
            apply(daemon, says(stays, text, **table))
            with client(port) as late:
                await until(lambda: len(owed) == 2)
                owed[1].callback(b"there")
                assert await aside(late.recv, 100) == b"there"
            owed[0].callback(b"here")
            assert await aside(early.recv, 100) == b"here"
            await until(lambda: not instance.leaving)


@ensureDeferred
async def test_a_service_that_still_drains_holds_up_no_reload_and_leaves_its_addresses() -> None:
    (kind, owed), port = waiting(), free_port()
    wanted = says(f"tcp:{port}:{LOOPBACK}", f"udp:{port}:{LOOPBACK}", kind=kind, drain="1h")
    other = says(f"tcp:0:{LOOPBACK}", name="other")
    async with daemon_of(wanted, other) as daemon:
        for number in (1, 2, 3):
            with client(port):
                await until(lambda number=number: len(owed) == number)  # type: ignore[misc]
                apply(daemon, other)
                assert len(daemon.draining) == number
                apply(daemon, wanted, other)
