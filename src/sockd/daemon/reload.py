"""A reload: the configuration is read anew, and all of it holds, or nothing of it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from attrs import evolve, frozen
from twisted.internet.defer import Deferred, DeferredList, DeferredLock, maybeDeferred
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure

from sockd import events
from sockd.access.reasons import because
from sockd.config.document import ConfigError
from sockd.config.settings import Settings
from sockd.daemon.daemon import Daemon, StartError
from sockd.daemon.plan import Plan, plan
from sockd.daemon.plan_text import plan_text
from sockd.listen.terms import Terms
from sockd.net.certificate import Loaded, Look, load
from sockd.net.waiting import within

MOST_TOLD = 20
"""Reasons and steps that the log has of one reload, a line each: a file can be wrong in every line.
Whoever asked for it is told all."""
TOLD_SECONDS = 5.0
"""How long those are waited for who are told of the end: a disk that hangs under a certificate
holds up neither who asked nor the next reload."""
_log = Logger(namespace="sockd")


@frozen
class Outcome:
    """What has come of a reload."""

    ok: bool
    reasons: tuple[str, ...] = ()
    """Why nothing is different, a line each."""
    steps: tuple[str, ...] = ()
    """What was done, or would be, a line each."""
    restart: tuple[str, ...] = ()
    """Settings that only a restart changes."""
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0
    """How long it has taken."""
    at: float = 0.0
    """When it was over, as Unix time."""


class Change(Protocol):
    """What is got ready beside the plan: all of it is there, and nothing is different yet."""

    def switch(self) -> None:
        """Have it hold. Does not fail."""

    def undo(self) -> None:
        """Let go of it again."""


class Part(Protocol):
    """What changes with the configuration and is no service."""

    def prepare(self, settings: Settings) -> Change:
        """Get ready for these settings. Raises StartError; nothing is left then."""


@frozen
class _Wanted:
    """What was read: the settings, and the TLS files that they need and nobody has read yet."""

    settings: Settings
    loaded: Mapping[Terms, Loaded]


class Reloader:
    """Reloads one at a time. Who asks before it begins shares it; who asks later has another."""

    def __init__(
        self, daemon: Daemon, load: Callable[[], Settings], wall: Callable[[], float] = time.time
    ) -> None:
        """`load` reads the configuration, in a thread. It raises ConfigError."""
        self._daemon = daemon
        self._load = load
        self._wall = wall
        self._lock = DeferredLock()
        self._asked: list[Deferred[Outcome]] = []
        self.parts: list[Part] = []
        """What else changes with the configuration, all or nothing with the services."""
        self.last: Outcome | None = None
        """What has come of the latest one."""
        self.succeeded = 0
        self.failed = 0
        self.on_begin: list[Callable[[], object]] = []
        """Called when one begins."""
        self.on_end: list[Callable[[Outcome], object]] = []
        """Called when one is over, whichever way, and waited for before who asked is told."""

    @property
    def last_failure(self) -> Outcome | None:
        """What the latest one has failed of; None where it has not."""
        return None if self.last is None or self.last.ok else self.last

    def reload(self, *, dry_run: bool = False) -> Deferred[Outcome]:
        """Reload, or find out what that would do. Fires when it is over; it does not fail."""
        if dry_run:
            return self._lock.run(self._dry_run)
        asked: Deferred[Outcome] = Deferred()
        self._asked.append(asked)
        if len(self._asked) == 1:
            self._lock.run(self._reload)
        return asked

    def _dry_run(self) -> Deferred[Outcome]:
        done: Deferred[Any] = maybeDeferred(self._read).addCallback(self._plan)
        return self._outcome(done)

    def _reload(self) -> Deferred[None]:
        asked, self._asked = self._asked, []
        events.emit("reloading")
        for call in self.on_begin:
            maybeDeferred(call).addErrback(_tell_fault)
        done = self._outcome(maybeDeferred(self._read).addCallback(self._apply))
        return done.addCallback(self._ended).addCallback(_answer, asked)

    def _read(self) -> Deferred[_Wanted]:
        """Raises StartError where it would be for nothing."""
        self._daemon.check_changeable()
        reactor = self._daemon.world.reactor
        return deferToThreadPool(reactor, reactor.getThreadPool(), self._read_all)

    def _read_all(self) -> _Wanted:
        """In a thread: whatever waits for a disk or a name, waits here."""
        settings = self._load()
        wanted = {
            listen.terms
            for part in plan(self._daemon.settings, settings).instances
            for listen in (*part.addresses.add.values(), *part.addresses.change.values())
            if listen.terms.key
        }
        return _Wanted(settings, dict(_loaded(wanted)))

    def _plan(self, wanted: _Wanted) -> Plan:
        return plan(self._daemon.settings, wanted.settings)

    def _apply(self, wanted: _Wanted) -> Plan:
        """All of it, in one turn of the loop."""
        self._daemon.check_changeable()
        plan = self._plan(wanted)
        changes: list[Change] = []
        world = self._daemon.world
        world.loaded = wanted.loaded
        try:
            for part in self.parts:
                changes.append(part.prepare(plan.settings))
            self._daemon.apply(plan)
        except BaseException:
            for change in changes:
                change.undo()
            raise
        finally:
            world.loaded = {}
        for change in changes:
            change.switch()
        return plan

    def _outcome(self, done: Deferred[Any]) -> Deferred[Outcome]:
        began = time.monotonic()

        def succeeded(plan: Plan) -> Outcome:
            return Outcome(
                ok=True,
                steps=plan_text(plan),
                restart=plan.restart,
                warnings=plan.warnings,
                seconds=time.monotonic() - began,
                at=self._wall(),
            )

        def failed(failure: Failure) -> Outcome:
            seconds = time.monotonic() - began
            return Outcome(ok=False, reasons=_reasons(failure), seconds=seconds, at=self._wall())

        return done.addCallbacks(succeeded, failed)

    def _ended(self, outcome: Outcome) -> Deferred[Outcome]:
        self.last = outcome
        if outcome.ok:
            self.succeeded += 1
            _tell_success(outcome)
        else:
            self.failed += 1
            for why in _some(outcome.reasons):
                events.warn("reload-failed", reason=because("configuration", detail=why))
        waited: list[Deferred[Any]] = [maybeDeferred(call, outcome) for call in self.on_end]
        # of what runs, whatever has come of the new: renewed files are used by themselves anyway
        looked = self._daemon.check_certificates()
        steps: list[str] = []
        waited.append(looked.addCallback(_look_steps).addCallback(steps.extend))
        every = DeferredList([one.addErrback(_tell_fault) for one in waited])
        over = within(TOLD_SECONDS, every, self._daemon.world.reactor)
        return over.addCallback(lambda _: evolve(outcome, steps=(*outcome.steps, *steps)))


def _look_steps(found: Counter[Look]) -> list[str]:
    """What has come of looking at certificates, where it is to be told."""
    changed, unusable = found["changed"], found["unusable"]
    lines = [f"certificates: {changed} renewed, for new connections"] * bool(changed)
    kept = f"certificates: {unusable} cannot be used; the old ones stay, the log says why"
    return [*lines, *[kept] * bool(unusable)]


def _loaded(wanted: set[Terms]) -> list[tuple[Terms, Loaded]]:
    found = []
    for terms in wanted:
        try:
            found.append((terms, load(terms)))
        except ValueError:
            continue  # who needs them says what is wrong
    return found


def _reasons(failure: Failure) -> tuple[str, ...]:
    error = failure.value
    if isinstance(error, ConfigError):
        return tuple(str(mistake) for mistake in error.mistakes)
    if isinstance(error, StartError):
        return tuple(str(error).splitlines())
    _log.failure("a reload has a fault", failure)
    return (f"{type(error).__name__}: {error}",)


def _some(lines: Sequence[str]) -> list[str]:
    """As many as the log has; then how many more there are."""
    more = len(lines) - MOST_TOLD
    return [*lines[:MOST_TOLD], *([f"and {more} more"] if more > 0 else [])]


def _tell_success(outcome: Outcome) -> None:
    for warning in outcome.warnings:
        reason = because("configuration", detail=warning)
        events.warn("warning", service="sockd", reason=reason)
    for step in _some(outcome.steps):
        events.emit("reload-step", step=step)
    events.emit("reloaded", seconds=outcome.seconds)


def _tell_fault(failure: Failure) -> None:
    _log.failure("what goes with a reload has a fault", failure)


def _answer(outcome: Outcome, asked: Sequence[Deferred[Outcome]]) -> None:
    for waiting in asked:
        waiting.callback(outcome)
