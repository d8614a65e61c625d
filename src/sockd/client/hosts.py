"""Many hosts at once: asked side by side, told as they answer, summed up at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from attrs import Factory, define, evolve
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall

from sockd.client.errors import ClientError, TimedOut
from sockd.client.exits import Exit, worst
from sockd.client.process import Run
from sockd.client.report import Error, Event, HostSummary, Interval, Probe, Start, Summary, Value
from sockd.client.targets import Target
from sockd.client.waiting import sleep

INTERVAL = 1.0
"""Seconds between two looks at what has happened."""


class Asked(Protocol):
    """One host that is being asked."""

    target: Target

    @property
    def has_answered(self) -> bool:
        """Whether there was an answer."""

    @property
    def fault(self) -> ClientError | None:
        """Why there is no answer so far, where more is known than that nothing has come."""

    async def go(self) -> None:
        """Ask until all is asked. Raises ClientError where there was no answer and why is known."""

    def summary(self, error: ClientError | None) -> HostSummary:
        """What is known of it so far; `error` is what `go` has raised."""

    def interval(self, from_ns: int, to_ns: int) -> Interval | None:
        """What has happened since the last call."""


@define(eq=False)
class Hosts:
    """The hosts of a run."""

    run: Run
    command: str
    hosts: Sequence[Asked]
    _errors: dict[int, ClientError] = Factory(dict)
    _open: dict[int, Deferred[None]] = Factory(dict)
    _all: Deferred[None] | None = None
    _is_over: bool = False
    _started_ns: int = 0
    _looked_ns: int = 0
    _ending: IDelayedCall | None = None

    async def ask(self, options: Mapping[str, Value] | None = None, spent: float = 0.0) -> Exit:
        """Ask them all. Whatever ends it, a summary is told at the end.

        `spent`: seconds of the run that are over already.
        """
        run = self.run
        self._tell_start(options or {}, spent)
        run.at_quit = lambda: run.report(self._summary(is_final=False))
        if run.asking.enough is not None and run.asking.times is None:
            self._watch()
        calls = self._begin(spent)
        looks = Deferred.fromCoroutine(self._look())
        looks.addErrback(lambda failure: failure.trap(CancelledError) and None)
        is_interrupted, is_fault = False, False
        try:
            if self._open and self._all is not None:
                await self._all
        except CancelledError:
            is_interrupted = True
            raise
        except Exception:
            is_fault = True
            raise
        finally:
            self._stop()
            looks.cancel()
            for call in calls if self._ending is None else [*calls, self._ending]:
                if call.active():
                    call.cancel()
            summary = self._summary(is_interrupted=is_interrupted)
            run.report(evolve(summary, exit=Exit.FAULT) if is_fault else summary)
        return summary.exit

    def leave(self, options: Mapping[str, Value], spent: float = 0.0) -> None:
        """Tell of a run that was interrupted before anybody was asked."""
        self._tell_start(options, spent)
        self.run.report(self._summary(is_interrupted=True))

    def _tell_start(self, options: Mapping[str, Value], spent: float) -> None:
        run, spent_ns = self.run, round(spent * 1e9)
        self._started_ns = self._looked_ns = run.monotonic_ns() - spent_ns
        names = tuple(host.target.name for host in self.hosts)
        at_ns = run.wall_ns() - spent_ns
        run.report(Start(command=self.command, targets=names, at_ns=at_ns, options=options))

    def _watch(self) -> None:
        """Hosts that are asked again and again never end: the answer that suffices ends them."""
        run, report = self.run, self.run.report

        def watched(event: Event) -> None:
            report(event)
            if isinstance(event, Probe) and self._ending is None and self._is_enough:
                self._ending = run.reactor.callLater(0, self._stop)  # once its host stands still

        run.report = watched

    def _begin(self, spent: float) -> list[IDelayedCall]:
        self._all = Deferred()
        for number, host in enumerate(self.hosts):
            self._open[number] = Deferred.fromCoroutine(self._one(number, host))
        for number, deferred in list(self._open.items()):
            deferred.addBoth(self._ended, number)
        deadline = self.run.asking.deadline
        if deadline is None:
            return []
        return [self.run.reactor.callLater(max(0.0, deadline - spent), self._expire)]

    async def _one(self, number: int, host: Asked) -> None:
        try:
            await host.go()
        except ClientError as error:
            self._fail(number, error)

    def _fail(self, number: int, error: ClientError) -> None:
        self._errors[number] = error
        self.run.report(
            Error(
                target=self.hosts[number].target.name,
                reason=error.reason,
                message=str(error),
                exit=error.exit,
            )
        )

    def _expire(self) -> None:
        """The time for all is over (`--deadline`): those that have not answered are told."""
        for number in list(self._open):
            host = self.hosts[number]
            if not host.has_answered:
                deadline = self.run.asking.deadline
                silence = TimedOut(f"no answer from {host.target} by the end of {deadline:g} s")
                self._fail(number, host.fault or silence)
        self._stop()

    def _ended(self, result: Any, number: int) -> None:
        self._open.pop(number, None)
        failure = None if result is None or result.check(CancelledError) else result
        if failure is not None and self._all is not None:
            waiting, self._all = self._all, None
            waiting.errback(failure)
        elif self._is_enough:
            self._stop()
        if not self._open and self._all is not None:
            waiting, self._all = self._all, None
            waiting.callback(None)

    def _stop(self) -> None:
        """Ask nothing more."""
        if not self._is_over:
            self._is_over = True
            for deferred in list(self._open.values()):
                deferred.cancel()

    async def _look(self) -> None:
        while not self._is_over:
            await sleep(self.run.reactor, INTERVAL)
            from_ns, self._looked_ns = self._looked_ns, self.run.monotonic_ns()
            for host in self.hosts:
                told = host.interval(from_ns - self._started_ns, self._looked_ns - self._started_ns)
                if told is not None:
                    self.run.report(told)
            if self.run.asking.count is None and self._is_enough:
                self._stop()  # a host that is asked without end never says that it has ended

    @property
    def _is_enough(self) -> bool:
        """Whether so many hosts have answered as suffice (`--any`)."""
        enough = self.run.asking.enough
        return enough is not None and sum(host.has_answered for host in self.hosts) >= enough

    def _summary(self, *, is_interrupted: bool = False, is_final: bool = True) -> Summary:
        found = tuple(map(self._summary_of, range(len(self.hosts))))
        return Summary(
            command=self.command,
            elapsed_ns=self.run.monotonic_ns() - self._started_ns,
            hosts=found,
            exit=self._exit(found),
            interrupted=is_interrupted,
            is_final=is_final,
        )

    def _summary_of(self, number: int) -> HostSummary:
        host = self.hosts[number]
        summary, target = host.summary(self._errors.get(number)), host.target
        if target.address is None:
            return summary
        return evolve(summary, name=target.known_as, address=summary.address or target.address)

    def _exit(self, found: Sequence[HostSummary]) -> Exit:
        if self._is_enough:
            return Exit.ANSWERED
        return worst(host.exit for host in found)
