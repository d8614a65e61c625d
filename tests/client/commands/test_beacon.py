"""What `sock beacon` prints, when it ends, and how."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

import pytest
from attrs import define, field
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from sockd.client.asking import Asking
from sockd.client.commands.beacon import MOST_SHOWN, Listener, row
from sockd.client.errors import TimedOut
from sockd.client.exits import Exit
from sockd.client.net.arrivals import Arrival
from sockd.client.process import Run
from sockd.client.report import Data, Event, Probe
from sockd.client.targets import Target, Transport
from sockd.client.waiting import sleep
from tests.client.running import sock

GROUP = Target(Transport.UDP, "224.225.226.227", 2070)


@given(st.binary(max_size=3000))
def test_a_message_is_one_line_whatever_it_is(message: bytes) -> None:
    shown = row("10.0.0.9", message)
    assert shown.startswith(b"10.0.0.9: ")
    assert shown.count(b"\n") == 1
    assert shown.endswith(b"\n")
    assert b"\r" not in shown
    assert len(shown) <= len("10.0.0.9: ") + MOST_SHOWN + len("...\n")


def test_a_message_is_shown_as_it_is_but_for_ends_of_lines() -> None:
    assert row("::1", b"hello\r\n") == b"::1: hello\n"
    assert row("::1", b"a\nb\r\nc\rd") == b"::1: a b c d\n"
    assert row("::1", b"") == b"::1: \n"
    assert row("::1", b"x" * 2000) == b"::1: " + b"x" * MOST_SHOWN + b"...\n"


@define(eq=False)
class Spoken:
    """A group that somebody speaks to at these moments, by a clock."""

    clock: Clock
    moments: list[float]
    own_losses: int = 0
    is_closed: bool = False
    joined: tuple[str, ...] = ("eth0",)

    @property
    def opened(self) -> Spoken:
        return self

    async def receive(self, wait: float) -> Arrival:
        now = self.clock.seconds()
        if not self.moments or self.moments[0] > now + wait:
            await sleep(self.clock, wait)
            raise TimedOut("nothing")
        await sleep(self.clock, self.moments.pop(0) - now)
        return Arrival(data=b"hello", address=("10.0.0.9", 2070), at_ns=0, is_kernel=True)

    def close(self) -> None:
        self.is_closed = True


@define(eq=False)
class Scene:
    """A listener on a clock."""

    spoken: list[float]
    deadline: float | None = None
    count: int | None = None
    clock: Clock = field(factory=Clock)
    events: list[Event] = field(factory=list)
    listener: Listener = field(init=False)
    group: Spoken = field(init=False)
    result: list[Any] = field(factory=list)

    def __attrs_post_init__(self) -> None:
        run = Run(self.clock, Asking(count=self.count), self.events.append)
        run.monotonic_ns = lambda: round(self.clock.seconds() * 1e9)
        self.group = Spoken(self.clock, self.spoken)
        self.listener = Listener(run, GROUP, self.deadline, lambda *_, **__: self.group)  # type: ignore[arg-type]  # as much of it as is used
        going: Coroutine[Deferred[Any], Any, None] = self.listener.go()
        Deferred.fromCoroutine(going).addBoth(self.result.append)

    def shown(self) -> list[bytes]:
        return [event.data for event in self.events if isinstance(event, Data)]


def test_it_ends_after_so_many_messages() -> None:
    scene = Scene([1, 2, 3], count=2)
    scene.clock.advance(1)
    assert scene.result == []
    scene.clock.advance(1)
    assert scene.result == [None]
    assert scene.shown() == [b"10.0.0.9: hello\n"] * 2
    assert scene.group.is_closed
    assert [event.seq for event in scene.events if isinstance(event, Probe)] == [0, 1]
    assert scene.listener.summary(None).exit is Exit.ANSWERED


def test_at_the_deadline_it_ends_well_where_somebody_spoke() -> None:
    scene = Scene([1], deadline=5)
    scene.clock.pump([1, 3.9])
    assert scene.result == []
    scene.clock.advance(0.1)
    assert scene.result == [None]
    assert scene.listener.summary(None).exit is Exit.ANSWERED


def test_at_the_deadline_it_says_that_nobody_spoke() -> None:
    scene = Scene([6], deadline=5)
    scene.clock.advance(5)
    [failure] = scene.result
    error = failure.value
    assert isinstance(error, TimedOut)
    assert str(error) == ("nobody spoke to 224.225.226.227:2070 within 5 s (listening on eth0)")
    assert scene.listener.summary(error).exit is Exit.TIMEOUT


def test_without_a_deadline_it_waits_for_days() -> None:
    day = 86_400
    scene = Scene([3 * day + 1], count=1)
    scene.clock.pump([day, day, day, 1])
    assert scene.result == [None]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--group", "10.0.0.1"], "10.0.0.1 is no address of a multicast group"),
        (["--group", "all-hosts"], "all-hosts is no address"),
        (["-I", "nowhere"], "-I nowhere: there is no such interface"),
        (["-I", "192.0.2.77"], "-I 192.0.2.77: it is none of this host's own addresses"),
    ],
)
def test_a_mistake_is_told_and_nothing_is_heard(arguments: list[str], said: str) -> None:
    done = sock("beacon", *arguments)
    assert done.code == 2
    assert said in done.err


def test_options_that_mean_nothing_here_are_not_there() -> None:
    help_text = sock("beacon", "--help").out.decode()
    for option in ("--retries", "--interval", "--all-addresses", "--timing", "--udp"):
        assert option not in help_text
