"""Addresses whose place another one takes, or none: who has come already is served."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from attrs import evolve, frozen
from pytest_twisted import ensureDeferred
from twisted.internet.defer import Deferred

from sockd.daemon.daemon import Daemon, StartError
from sockd.net.context import Context
from sockd.net.leaving import ARRIVAL_SECONDS, LOOK_SECONDS
from sockd.net.listener import Listener
from sockd.options.option import option
from tests.daemon.running import (
    LOOPBACK,
    SAYS,
    Spoken,
    Word,
    apply,
    aside,
    daemon_of,
    listeners,
    says,
    settings,
)
from tests.helpers import make_world, until
from tests.net.test_listener import Full
from tests.processes import PATIENCE, free_port

MANY = 40
INET, INET6 = socket.AF_INET, socket.AF_INET6
STREAM, DATAGRAM = socket.SOCK_STREAM, socket.SOCK_DGRAM
FAMILIES = [pytest.param(INET, id="IPv4"), pytest.param(INET6, id="IPv6")]


def places(family: socket.AddressFamily, port: int) -> tuple[list[str], list[str]]:
    """One address of a port, and all addresses of it, for connections and datagrams."""
    narrow, wide = ("127.0.0.1", "0.0.0.0") if family == INET else ("[::1]", "[::]")
    one, every = (
        [f"{kind}:{port}:interface={host}" for kind in ("tcp", "udp")] for host in (narrow, wide)
    )
    return one, every


@contextmanager
def waiting(
    port: int, kinds: tuple[socket.SocketKind, ...] = (STREAM, DATAGRAM), family: Any = INET
) -> Iterator[list[socket.socket]]:
    """Many who have come and asked, while the daemon has not looked: the reactor stands still."""
    with ExitStack() as held:
        clients = []
        for kind in kinds:
            for _ in range(MANY):
                client = held.enter_context(socket.socket(family, kind))
                client.settimeout(PATIENCE)
                client.connect(("127.0.0.1" if family == INET else "::1", port))
                client.send(b"?")
                clients.append(client)
        yield clients


async def answers(clients: list[socket.socket]) -> set[bytes]:
    """What they all got."""
    found: set[bytes] = await aside(lambda: {client.recv(100).strip() for client in clients})
    return found


def leaving(daemon: Daemon) -> list[Listener]:
    return [one for _, running in daemon.instances for one in running.leaving]


@pytest.mark.parametrize("family", FAMILIES)
@ensureDeferred
async def test_who_waits_when_a_wildcard_takes_the_place_of_an_address_or_back_is_answered(
    family: socket.AddressFamily,
) -> None:
    one, every = places(family, port := free_port())
    async with daemon_of(says(*one)) as daemon:
        for wanted in (every, one, every, one):
            with waiting(port, family=family) as clients:
                apply(daemon, says(*wanted))
                with waiting(port, family=family) as later:
                    assert await answers(clients) == {b"one"}
                    assert await answers(later) == {b"one"}


@pytest.mark.parametrize("kind", [STREAM, DATAGRAM])
@ensureDeferred
async def test_who_waits_at_an_address_that_is_let_go_of_is_answered(
    kind: socket.SocketKind,
) -> None:
    (tcp, udp), _ = places(INET, port := free_port())
    stays = f"tcp:0:{LOOPBACK}"
    async with daemon_of(says(tcp if kind == STREAM else udp, stays)) as daemon:
        with waiting(port, (kind,)) as clients:
            apply(daemon, says(stays))
            if kind == STREAM:
                with socket.socket() as late:
                    assert late.connect_ex(("127.0.0.1", port)) == errno.ECONNREFUSED
            assert await answers(clients) == {b"one"}
            await until(lambda: not leaving(daemon))


@ensureDeferred
async def test_who_waits_at_a_service_that_is_taken_out_is_served_for_as_long_as_drain() -> None:
    (tcp, udp), _ = places(INET, port := free_port())
    reactor = Full()
    reactor.is_full = False
    other = says(f"tcp:0:{LOOPBACK}", name="other")
    async with daemon_of(says(tcp, udp, drain="7s"), other, reactor=reactor) as daemon:
        old = daemon.instances[0][1]
        with waiting(port) as clients:
            apply(daemon, other)
            with socket.socket() as late:
                assert late.connect_ex(("127.0.0.1", port)) == errno.ECONNREFUSED
            assert await answers(clients[:MANY]) == {b"one"}
            reactor.clock.advance(LOOK_SECONDS)
            assert await answers(clients[MANY:]) == {b"one"}
            assert len(old.guard.sessions) == MANY
            assert not old.context.shared.has_stopped
            assert daemon.draining == (old,)
            reactor.clock.advance(7)
            await until(lambda: not old.guard.sessions)
            assert old.context.shared.has_stopped


@ensureDeferred
async def test_a_stop_ends_who_was_let_in_last_at_a_service_that_is_taken_out() -> None:
    (tcp, _), _ = places(INET, port := free_port())
    other = says(f"tcp:0:{LOOPBACK}", name="other")
    async with daemon_of(says(tcp, drain="1h"), other) as daemon:
        old = daemon.instances[0][1]
        with waiting(port, (STREAM,)) as clients:
            apply(daemon, other)
            assert await answers(clients) == {b"one"}
            assert list(daemon.draining) == [old]
            await daemon.stopService()
            assert list(daemon.draining) == []
            assert await answers(clients) == {b""}


@ensureDeferred
async def test_an_address_that_another_takes_the_place_of_is_read_on_for_a_while() -> None:
    one, every = places(INET, free_port())
    reactor = Full()
    reactor.is_full = False
    async with daemon_of(says(*one, drain="1h"), reactor=reactor) as daemon:
        apply(daemon, says(*every, drain="1h"))
        gone = leaving(daemon)
        assert len(gone) == 2
        for _ in range(int(ARRIVAL_SECONDS / LOOK_SECONDS) - 1):
            reactor.clock.advance(LOOK_SECONDS)
        assert leaving(daemon)
        for _ in range(3):
            reactor.clock.advance(LOOK_SECONDS)
        await until(lambda: not leaving(daemon))
        assert not any(listener.is_listening for listener in gone)


@ensureDeferred
async def test_that_ends_with_drain_and_holds_up_no_stop() -> None:
    one, every = places(INET, free_port())
    reactor = Full()
    reactor.is_full = False
    async with daemon_of(says(*one, drain="1s"), reactor=reactor) as daemon:
        apply(daemon, says(*every, drain="1s"))
        for _ in range(int(1 / LOOK_SECONDS) + 2):
            reactor.clock.advance(LOOK_SECONDS)
        await until(lambda: not leaving(daemon))
        apply(daemon, says(*one, drain="1s"))
        assert leaving(daemon)
        await daemon.stopService()  # no time passes
        assert not leaving(daemon)


@frozen
class Knock(Word):
    """A service that knocks while it is got ready."""

    port: int = option(0, "whom it knocks at")


class Knocks(Spoken):
    """What connections share: two who have come, while it was made."""

    clients: list[socket.socket] = []  # noqa: RUF012 - the test takes them

    def __init__(self, context: Context[Any, Any]) -> None:
        for kind in (STREAM, DATAGRAM):
            client = socket.socket(INET, kind)
            client.settimeout(PATIENCE)
            client.connect(("127.0.0.1", context.options.port))
            client.send(b"?")
            self.clients.append(client)
        super().__init__(context)


@ensureDeferred
async def test_a_change_that_fails_takes_nobody_away_from_those_that_stay() -> None:
    one, every = places(INET, port := free_port())
    knocks = evolve(SAYS, options=Knock, shared=Knocks)
    async with daemon_of(says(*every)) as daemon:
        fails = says(f"tcp:0:{LOOPBACK}", kind=knocks, name="knocks", port=port, broken=True)
        with pytest.raises(StartError, match="knocks: it is broken"):
            apply(daemon, says(*one, word="two"), fails)
        clients, Knocks.clients[:] = list(Knocks.clients), []
        with clients[0], clients[1]:
            assert await answers(clients) == {b"one"}


@ensureDeferred
async def test_a_stop_takes_no_longer_than_its_limit_whatever_drain_says() -> None:
    reactor = Full()
    reactor.is_full = False
    text = f"tcp:0:{LOOPBACK}"
    async with daemon_of(says(text, drain="1h"), reactor=reactor) as daemon:
        apply(daemon, says(text, drain="1h"), stop_timeout=5.0)
        old = daemon.instances[0][1]
        with socket.create_connection(("127.0.0.1", listeners(daemon)[0].port.getHost().port)):
            await until(lambda: bool(old.guard.sessions))
            session: Any = old.guard.sessions[0]
            session.transport.loseConnection = lambda: None
            stopped = daemon.stopService()
            reactor.clock.advance(3.9)
            assert old.guard.sessions
            reactor.clock.advance(0.2)
            await until(lambda: not old.guard.sessions)
            await stopped
        assert not reactor.clock.getDelayedCalls()


@ensureDeferred
async def test_a_stop_waits_for_nothing_that_does_not_end() -> None:
    reactor = Full()
    reactor.is_full = False

    class Stays(Spoken):
        def stop(self) -> Any:
            return Deferred()

    daemon = Daemon(
        settings(says(f"tcp:0:{LOOPBACK}", kind=evolve(SAYS, shared=Stays))), make_world(reactor)
    )
    daemon.privilegedStartService()
    stopped = daemon.stopService()
    await until(lambda: not daemon.instances[0][1].guard.sessions)
    assert not stopped.called
    reactor.clock.advance(daemon.settings.daemon.stop_timeout)
    assert stopped.called
