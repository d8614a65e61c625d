"""Many hosts at once: side by side, told as they answer, summed up whatever ends it."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import define, evolve, field
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from sockd.client.asking import Asking
from sockd.client.errors import ClientError, TimedOut, Unreachable
from sockd.client.exits import Exit
from sockd.client.hosts import Hosts
from sockd.client.process import Run
from sockd.client.report import (
    Counts,
    Error,
    Event,
    HostSummary,
    Interval,
    Outcome,
    Probe,
    Start,
    Summary,
)
from sockd.client.targets import Target, Transport
from sockd.client.waiting import sleep


@define(eq=False)
class Scripted:
    """A host that answers after so many seconds, or fails then."""

    run: Run
    target: Target
    seconds: float
    failure: ClientError | None = None
    bug: Exception | None = None
    known: ClientError | None = None
    """What it knows before it is over."""
    has_answered: bool = False
    is_over: bool = False

    @property
    def fault(self) -> ClientError | None:
        return self.known

    async def go(self) -> None:
        try:
            await sleep(self.run.reactor, self.seconds)
            if self.bug is not None:
                raise self.bug
            if self.failure is not None:
                raise self.failure
            self.has_answered = True
        finally:
            self.is_over = True

    def summary(self, error: ClientError | None) -> HostSummary:
        code = Exit.ANSWERED if self.has_answered else error.exit if error else Exit.TIMEOUT
        return HostSummary(target=self.target.name, transport="tcp", exit=code)

    def interval(self, from_ns: int, to_ns: int) -> Interval | None:
        return Interval(target=self.target.name, from_ns=from_ns, to_ns=to_ns, counts=Counts())


@define(eq=False)
class Scene:
    """A run on a clock that is moved."""

    clock: Clock = field(factory=Clock)
    events: list[Event] = field(factory=list)
    hosts: list[Scripted] = field(factory=list)
    result: list[Any] = field(factory=list)
    task: Deferred[Exit] | None = None
    run: Run = field()

    @run.default
    def _run(self) -> Run:
        run = Run(self.clock, Asking(), self.events.append)
        run.monotonic_ns = lambda: round(self.clock.seconds() * 1e9)
        run.wall_ns = lambda: 0
        return run

    def host(self, name: str, seconds: float, **more: Any) -> Scripted:
        made = Scripted(self.run, Target(Transport.TCP, name, 7), seconds, **more)
        self.hosts.append(made)
        return made

    def begin(self, spent: float = 0.0, **options: Any) -> None:
        self.run.asking = evolve(self.run.asking, **options)
        self.task = Deferred.fromCoroutine(Hosts(self.run, "test", self.hosts).ask({}, spent))
        self.task.addBoth(self.result.append)

    @property
    def summary(self) -> Summary:
        last = self.events[-1]
        assert isinstance(last, Summary)
        assert not [event for event in self.events[:-1] if isinstance(event, Summary)]
        return last


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_hosts_are_asked_side_by_side(scene: Scene) -> None:
    scene.host("a", 3)
    scene.host("b", 3)
    scene.begin()
    assert isinstance(scene.events[0], Start)
    assert scene.events[0].targets == ("a", "b")
    scene.clock.advance(3)
    assert scene.result == [Exit.ANSWERED]
    assert scene.summary.elapsed_ns == 3_000_000_000
    assert not scene.clock.getDelayedCalls()


@pytest.mark.parametrize("spent", [2.0, 5.0, 6.0])
def test_what_was_spent_before_is_a_part_of_the_deadline(scene: Scene, spent: float) -> None:
    scene.host("a", 9)
    scene.begin(spent, deadline=5.0)
    if spent < 5:
        scene.clock.advance(2.9)
        assert not scene.result
        scene.clock.advance(0.1)
    scene.clock.advance(0)
    assert scene.result == [Exit.TIMEOUT]


def test_a_run_that_ends_before_anybody_is_asked_has_a_summary(scene: Scene) -> None:
    scene.host("a", 3)
    Hosts(scene.run, "test", scene.hosts).leave({})
    assert [type(event) for event in scene.events] == [Start, Summary]
    assert scene.summary.interrupted
    assert [host.target for host in scene.summary.hosts] == ["a"]


def test_a_dead_host_is_not_the_end_and_the_worst_code_is_the_run_s(scene: Scene) -> None:
    scene.host("dead", 1, failure=Unreachable("dead:7: connection refused"))
    scene.host("silent", 2, failure=TimedOut("silent:7: no answer in 2 s"))
    scene.host("good", 3)
    scene.begin()
    scene.clock.pump([1, 1, 1])
    assert scene.result == [Exit.TIMEOUT]
    errors = [event for event in scene.events if isinstance(event, Error)]
    assert [(error.target, error.reason) for error in errors] == [
        ("dead", "unreachable"),
        ("silent", "timeout"),
    ]


def test_a_host_that_fails_at_once_ends_nothing(scene: Scene) -> None:
    scene.host("dead", 0, failure=Unreachable("no"))
    scene.host("good", 0)
    scene.begin()
    scene.clock.advance(0)
    assert scene.result == [Exit.UNREACHABLE]


def test_the_deadline_ends_the_run_and_all_that_is_open(scene: Scene) -> None:
    scene.host("good", 1)
    slow = scene.host("slow", 60)
    scene.begin(deadline=2.0)
    scene.clock.pump([1, 1])
    assert scene.result == [Exit.TIMEOUT]
    assert slow.is_over
    assert [host.exit for host in scene.summary.hosts] == [Exit.ANSWERED, Exit.TIMEOUT]
    assert not scene.summary.interrupted
    assert not scene.clock.getDelayedCalls()


def test_at_the_deadline_answers_count_of_what_is_asked_without_end(scene: Scene) -> None:
    scene.host("answering", 60, has_answered=True)
    scene.begin(deadline=2.0, interval=1.0)
    scene.clock.advance(2)
    assert scene.result == [Exit.ANSWERED]
    assert not [event for event in scene.events if isinstance(event, Error)]


def test_what_is_known_at_the_deadline_is_told_and_no_silence(scene: Scene) -> None:
    scene.host("refuses", 60, known=Unreachable("refuses: connection refused"))
    scene.begin(deadline=2.0)
    scene.clock.advance(2)
    assert scene.result == [Exit.UNREACHABLE]
    [error] = [event for event in scene.events if isinstance(event, Error)]
    assert (error.message, error.exit) == ("refuses: connection refused", Exit.UNREACHABLE)


def test_so_many_answers_suffice(scene: Scene) -> None:
    scene.host("dead", 0.5, failure=Unreachable("no"))
    scene.host("first", 1)
    slow = scene.host("slow", 60)
    scene.begin(enough=1)
    scene.clock.pump([0.5, 0.5])
    assert scene.result == [Exit.ANSWERED]
    assert slow.is_over


def test_hosts_that_are_asked_without_end_suffice_once_they_have_answered(scene: Scene) -> None:
    answering, silent = scene.host("answering", 60), scene.host("silent", 60)
    scene.begin(enough=1)
    scene.clock.advance(1)
    assert not scene.result
    answering.has_answered = True
    scene.clock.advance(1)
    assert scene.result == [Exit.ANSWERED]
    assert silent.is_over
    assert not scene.clock.getDelayedCalls()


def test_what_is_asked_again_and_again_ends_at_the_answer_that_suffices(scene: Scene) -> None:
    answering, silent = scene.host("answering", 60), scene.host("silent", 60)
    scene.begin(enough=1, interval=5.0)
    scene.clock.advance(0.25)
    probe = Probe(target="answering", transport="tcp", outcome=Outcome.LOST)
    scene.run.report(probe)
    scene.clock.advance(0)
    assert not scene.result
    answering.has_answered = True
    scene.run.report(evolve(probe, outcome=Outcome.ANSWERED))
    scene.run.report(evolve(probe, outcome=Outcome.ANSWERED))
    assert not scene.result, "whoever has just told of it goes on to where it waits"
    scene.clock.advance(0)
    assert scene.result == [Exit.ANSWERED]
    assert silent.is_over
    assert not scene.clock.getDelayedCalls()


def test_what_has_an_end_of_its_own_is_not_ended_by_an_answer(scene: Scene) -> None:
    scene.host("answering", 0.5, has_answered=True)
    scene.begin(enough=1, interval=0.1, count=5)
    scene.run.report(Probe(target="answering", transport="tcp", outcome=Outcome.ANSWERED))
    scene.clock.advance(0)
    assert not scene.result
    scene.clock.advance(0.5)
    assert scene.result == [Exit.ANSWERED]


def test_the_time_of_a_run_begins_before_its_names_are_looked_up(scene: Scene) -> None:
    scene.host("a", 3)
    scene.clock.advance(2)
    scene.begin(spent=2.0)
    scene.clock.pump([1, 2])
    start, interval, *_ = scene.events
    assert isinstance(start, Start)
    assert isinstance(interval, Interval)
    assert start.at_ns == -2_000_000_000
    assert (interval.from_ns, interval.to_ns) == (0, 3_000_000_000)
    assert scene.summary.elapsed_ns == 5_000_000_000


def test_so_many_questions_are_asked_as_were_wanted_though_answers_suffice(scene: Scene) -> None:
    scene.host("answering", 3, has_answered=True)
    scene.begin(enough=1, count=3)
    scene.clock.pump([1, 1])
    assert not scene.result
    scene.clock.advance(1)
    assert scene.result == [Exit.ANSWERED]


def test_what_does_not_suffice_is_as_bad_as_its_worst(scene: Scene) -> None:
    scene.host("dead", 1, failure=Unreachable("no"))
    scene.host("first", 1)
    scene.begin(enough=2)
    scene.clock.advance(1)
    assert scene.result == [Exit.UNREACHABLE]


def test_an_interrupted_run_tells_its_summary_too(scene: Scene) -> None:
    slow = scene.host("slow", 60)
    scene.begin()
    assert scene.task is not None
    scene.task.cancel()
    assert slow.is_over
    assert scene.summary.interrupted
    assert not scene.clock.getDelayedCalls()


def test_it_tells_how_it_stands_when_it_is_asked(scene: Scene) -> None:
    scene.host("slow", 2)
    scene.begin()
    scene.clock.advance(1)
    scene.run.at_quit()
    asked = [event for event in scene.events if isinstance(event, Summary)]
    assert [(event.is_final, event.elapsed_ns) for event in asked] == [(False, 1_000_000_000)]
    scene.events.remove(asked[0])
    scene.clock.advance(1)
    assert scene.summary.is_final


def test_it_looks_once_a_second_at_what_has_happened(scene: Scene) -> None:
    scene.host("slow", 2.5)
    scene.begin()
    scene.clock.pump([1, 1, 0.5])
    looks = [event for event in scene.events if isinstance(event, Interval)]
    assert [(look.from_ns, look.to_ns) for look in looks] == [
        (0, 1_000_000_000),
        (1_000_000_000, 2_000_000_000),
    ]


def test_a_fault_of_ours_ends_the_run_and_is_not_hidden(scene: Scene) -> None:
    scene.host("odd", 1, bug=ZeroDivisionError("ours"))
    slow = scene.host("slow", 60)
    scene.begin()
    scene.clock.advance(1)
    [failure] = scene.result
    assert failure.check(ZeroDivisionError)
    assert (scene.summary.exit, scene.summary.interrupted) == (Exit.FAULT, False)
    assert slow.is_over
    assert not scene.clock.getDelayedCalls()
