"""Whatever the code of a kind raises, a change that fails leaves all as it was, and says why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from pytest_twisted import ensureDeferred
from twisted.internet.defer import Deferred

from sockd.access.entrance import Entrance
from sockd.daemon.daemon import Daemon, StartError
from sockd.net.context import Context
from sockd.net.sender import Sender
from tests.daemon.running import (
    LOOPBACK,
    SAYS,
    SaysDatagrams,
    Spoken,
    Word,
    apply,
    daemon_of,
    listeners,
    said_at,
    says,
    settings,
)
from tests.helpers import LogRecorder, make_world, until
from tests.memory import REACTOR

TEXT = f"tcp:0:{LOOPBACK}"


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def raises(error: BaseException) -> Any:
    """A kind that cannot make what connections share where it is broken."""

    class Bad(Spoken):
        def __init__(self, context: Context[Word, Spoken]) -> None:
            if context.options.broken:
                raise error
            super().__init__(context)

    return evolve(SAYS, shared=Bad)


@pytest.mark.parametrize(
    ("error", "expected", "line"),
    [
        (KeyError("word"), StartError, "second: KeyError: 'word'"),
        (SystemExit("enough"), SystemExit, "enough"),
    ],
)
@ensureDeferred
async def test_a_fault_in_what_connections_share_leaves_all_as_it_was(
    error: BaseException, expected: type[BaseException], line: str, tmp_path: Path
) -> None:
    kind = raises(error)
    async with daemon_of(says(TEXT, kind=kind)) as daemon:
        [listener], before = listeners(daemon), descriptors()
        first = says(TEXT, TEXT, f"unix:{tmp_path}/file", kind=kind)
        with pytest.raises(expected) as caught:
            apply(daemon, first, says(TEXT, name="second", kind=kind, broken=True))
        assert str(caught.value) == line
        assert list(tmp_path.iterdir()) == []
        await until(lambda: descriptors() == before)
        assert listeners(daemon) == [listener]
        assert await said_at(listener) == b"one"


@ensureDeferred
async def test_a_fault_in_a_protocol_that_is_made_leaves_all_as_it_was() -> None:
    class Bad(SaysDatagrams):
        def __init__(self, context: Context[Word, Spoken], entrance: Entrance) -> None:
            raise LookupError("no words")

    async with daemon_of(says(TEXT)) as daemon:
        before = descriptors()
        kind = evolve(SAYS, datagram=Bad)
        with pytest.raises(StartError, match=r"^bad: cannot listen .*: LookupError: no words$"):
            apply(daemon, says(TEXT, TEXT), says(f"udp:0:{LOOPBACK}", name="bad", kind=kind))
        await until(lambda: descriptors() == before)
        assert not daemon.world.state.udp_ports
        assert await said_at(listeners(daemon)[0]) == b"one"


class StopsBadly(Spoken):
    """It never lets go as it should."""

    def stop(self) -> Any:
        raise RuntimeError("it sticks")


@ensureDeferred
async def test_what_does_not_stop_is_told_and_the_rest_stops(log: LogRecorder) -> None:
    kind = evolve(SAYS, shared=StopsBadly)
    async with daemon_of(says(TEXT, kind=kind), says(TEXT, name="second")) as daemon:
        second = daemon.instances[1][1]
    assert second.context.shared.has_stopped
    [event] = log.events("warning")
    assert str(event["reason"]).endswith("did not stop: RuntimeError: it sticks")
    assert log.events("stopped")


@ensureDeferred
async def test_an_instance_has_stopped_when_what_it_shared_has(log: LogRecorder) -> None:
    gone: Deferred[None] = Deferred()

    class Slow(Spoken):
        def stop(self) -> Any:
            super().stop()
            return gone

    daemon = Daemon(settings(says(TEXT, kind=evolve(SAYS, shared=Slow))), make_world(REACTOR))
    daemon.privilegedStartService()
    shared = daemon.instances[0][1].context.shared
    stopped = daemon.stopService()
    await until(lambda: shared.has_stopped)
    assert not log.events("stopped")
    gone.callback(None)
    await stopped
    assert log.events("stopped")


class KeptBadly(Spoken):
    """It stays where options change, and cannot be told of them."""

    def use(self, context: Context[Word, Spoken]) -> None:
        raise RuntimeError("not these")


class LeavesBadly(SaysDatagrams):
    """It has more to do when its address goes, and fails at that."""

    def leaves(self) -> None:
        raise RuntimeError("not yet")


class SpeaksBadly(Sender):
    """It cannot begin a second time."""

    times = 0

    def startProtocol(self) -> None:
        SpeaksBadly.times += 1
        if SpeaksBadly.times > 1:
            raise RuntimeError("not again")


@ensureDeferred
async def test_what_fails_in_the_midst_of_a_switch_is_told_and_the_rest_holds(
    log: LogRecorder,
) -> None:
    datagrams = f"udp:0:{LOOPBACK}"
    kept, leaves = evolve(SAYS, shared=KeptBadly), evolve(SAYS, datagram=LeavesBadly)
    speaks = evolve(SAYS, shared=None, stream=None, datagram=None, sender=SpeaksBadly)
    first = [
        says(TEXT, name="kept", kind=kept),
        says(datagrams, TEXT, name="leaves", kind=leaves),
        says("multicast:239.0.0.1:4321", name="speaks", kind=speaks),
        says(datagrams, name="goes", kind=leaves),
    ]
    async with daemon_of(*first) as daemon:
        before = descriptors()
        apply(
            daemon,
            says(TEXT, name="kept", kind=kept, word="two"),
            says(TEXT, name="leaves", kind=leaves),
            says("multicast:239.0.0.1:4321", name="speaks", kind=speaks, word="two"),
            says(TEXT, name="last"),
        )
        assert [name.name for name, _ in daemon.instances] == ["kept", "leaves", "speaks", "last"]
        assert await said_at(listeners(daemon)[-1]) == b"one"
        await until(lambda: descriptors() == before - 1)
        assert not daemon.draining
        assert [(event["service"], str(event["reason"])) for event in log.events("warning")] == [
            (name, f"not all of it goes with the change: RuntimeError: not {what}")
            for name, what in (
                ("goes", "yet"),
                ("kept", "these"),
                ("leaves", "yet"),
                ("speaks", "again"),
            )
        ]
        apply(daemon, says(TEXT, name="last"))
        await until(lambda: descriptors() == before - 4)
        # who has not begun cannot stop either
        assert [event["service"] for event in log.events("warning")][4:] == ["speaks"]
