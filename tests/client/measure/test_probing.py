"""One host is measured to the end, whatever carries its probes and whoever answers."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from attrs import define, field
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock

from sockd.client.asking import Asking
from sockd.client.errors import BadAnswer, ClientError, TimedOut
from sockd.client.exits import Exit
from sockd.client.measure import answerers, probing
from sockd.client.measure.answerers import Answerers
from sockd.client.measure.carriers import Facts, Listener
from sockd.client.measure.prober import Prober
from sockd.client.measure.probing import Plan, Probing
from sockd.client.net.arrivals import Came, Sent
from sockd.client.process import Run
from sockd.client.report import Outcome, Probe
from sockd.client.targets import Target, Transport
from sockd.formats.probe import ProbeFormat
from sockd.reactor.sockaddr import Address

WAIT_NS = 1_000_000_000
LOOK_NS = 2_000
ASKED = ("192.0.2.1", 7)
FORM = ProbeFormat(b"token123")


@define(eq=False)
class Wire:
    """A carrier that holds what is sent, until a test hands it on."""

    clock: Clock
    is_many: bool = False
    hears_anyone: bool = False
    address: Address = ("", 0)
    opening: Deferred[None] = field(factory=lambda: succeed(None))
    sent: list[bytes] = field(factory=list)
    listener: Listener | None = None
    will_be_many: bool = False
    is_closed: bool = False

    async def open(self, listener: Listener) -> None:
        await self.opening
        self.listener, self.address = listener, ASKED
        self.is_many = self.hears_anyone = self.will_be_many

    def send(self, probes: Sequence[bytes]) -> Sent:
        assert probes, "nothing is sent"
        self.sent += probes
        return Sent(round(self.clock.seconds() * 1e9))

    def refusal(self) -> str:
        return ""

    def read_now(self) -> None:
        pass

    def facts(self) -> Facts:
        return Facts(address=self.address[0])

    def close(self) -> None:
        self.is_closed = True

    def hand_on(self, *hosts: str) -> None:
        """Everybody answers all that was sent; without anybody, who was asked."""
        sent, self.sent = self.sent, []
        came: list[Came] = [
            (data, (host, 7), None, None, None) for host in hosts or ("192.0.2.1",) for data in sent
        ]
        assert self.listener is not None
        self.listener.came(came)


@define(eq=False)
class Scene:
    """A host that is measured, on a clock that is moved."""

    plan: Plan
    is_many: bool = False
    clock: Clock = field(factory=Clock)
    told: list[Probe] = field(factory=list)
    opening: Deferred[None] = field(factory=lambda: succeed(None))
    wire: Wire = field(init=False)
    probing: Probing = field(init=False)
    ended: list[object] = field(factory=list)
    _looked: int = 0

    def now_ns(self) -> int:
        """It takes a moment to look at the clock: who waits turn by turn comes to an end."""
        self._looked += 1
        return round(self.clock.seconds() * 1e9) + self._looked * LOOK_NS

    def __attrs_post_init__(self) -> None:
        run = Run(self.clock, Asking(wait=WAIT_NS / 1e9), lambda _: None)
        run.monotonic_ns = run.wall_ns = self.now_ns
        self.wire = Wire(self.clock, opening=self.opening, will_be_many=self.is_many)
        target = Target(Transport.UDP, "host", 7)
        self.probing = Probing(run, target, self.wire, self.make, self.plan)

    def make(self, is_many: bool) -> Prober | Answerers:
        kind = Answerers if is_many else Prober
        return kind(FORM, WAIT_NS, tell=self.told.append)

    def begin(self) -> Deferred[None]:
        going = Deferred.fromCoroutine(self.probing.go())
        going.addBoth(self.ended.append)
        return going

    def advance(self, seconds: float, step: float = 0.001) -> None:
        for _ in range(round(seconds / step)):
            self.clock.advance(step)

    @property
    def error(self) -> ClientError:
        [failure] = self.ended
        found = getattr(failure, "value", None)
        assert isinstance(found, ClientError)
        return found


def test_a_window_to_many_waits_where_no_more_probes_can_be_watched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What somebody has answered leaves the window, but others may answer it for a while."""
    monkeypatch.setattr(answerers, "MOST_IN_FLIGHT", 8)
    scene = Scene(Plan(count=20, interval_ns=1, window=4), is_many=True)
    scene.begin()
    for _ in range(50):
        scene.wire.hand_on()
        scene.advance(0.1, 0.05)
    assert scene.ended == [None]
    counts = scene.probing.prober.counts
    assert (counts.sent, counts.received) == (20, 20)


def test_a_probe_that_cannot_be_watched_is_not_sent_and_has_failed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(answerers, "MOST_IN_FLIGHT", 8)
    scene = Scene(Plan(count=12, interval_ns=10_000_000), is_many=True)
    scene.begin()
    scene.advance(0.5)
    assert len(scene.wire.sent) == 8
    scene.wire.hand_on()
    scene.advance(2.0)
    assert scene.ended == [None]
    counts = scene.probing.prober.counts
    assert (counts.sent, counts.received, counts.failed) == (12, 8, 4)
    failed = [probe.reason for probe in scene.told if probe.outcome is Outcome.FAILED]
    assert failed == [probing.NO_ROOM] * 4


def test_who_looks_before_the_way_is_known_does_not_make_many_one() -> None:
    opening: Deferred[None] = Deferred()
    scene = Scene(Plan(count=1, interval_ns=1_000_000), is_many=True, opening=opening)
    scene.begin()
    assert scene.probing.interval(0, 1) is not None
    assert scene.probing.summary(None).counts.sent == 0
    opening.callback(None)
    scene.wire.hand_on("192.0.2.1", "192.0.2.2")
    scene.advance(1.1, 0.1)
    assert scene.ended == [None]
    summary = scene.probing.summary(None)
    assert [one.address for one in summary.answerers] == ["192.0.2.1", "192.0.2.2"]
    assert (summary.counts.received, summary.counts.duplicates) == (1, 0)


def test_what_a_stranger_sends_is_no_wrong_answer_of_who_was_asked() -> None:
    scene = Scene(Plan(count=1, interval_ns=1_000_000))
    scene.begin()
    scene.wire.hand_on("192.0.2.66")
    scene.advance(1.1, 0.1)
    assert isinstance(scene.error, TimedOut)
    assert scene.probing.prober.counts.foreign == 1


def test_what_is_not_what_was_sent_breaks_the_protocol() -> None:
    scene = Scene(Plan(count=1, interval_ns=1_000_000))
    scene.begin()
    scene.wire.sent = [b"something else"]
    scene.wire.hand_on()
    scene.advance(1.1, 0.1)
    assert isinstance(scene.error, BadAnswer)
    assert scene.wire.is_closed
    deadline = TimedOut("no answer of host:7 by the end of 3 s")
    assert scene.probing.summary(deadline).exit is Exit.BAD_ANSWER, "whatever has ended it"
