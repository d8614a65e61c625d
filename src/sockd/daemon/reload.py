"""A reload: the configuration is read anew, and all of it holds, or nothing of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from attrs import frozen
from twisted.internet.defer import Deferred, DeferredLock, succeed
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


class Reloader:
    """Reloads one at a time: what is asked for meanwhile comes after it, and reads anew."""

    def __init__(
        self, daemon: Daemon, load: Callable[[], Settings], wall: Callable[[], float] = time.time
    ) -> None:
        """`load` reads the configuration, in a thread. It raises ConfigError."""
        self._daemon = daemon
        self._load = load
        self._wall = wall
        self._lock = DeferredLock()
        self.last: Outcome | None = None
        """What has come of the latest one."""
        self.succeeded = 0
        self.failed = 0
        self.on_begin: list[Callable[[], object]] = []
        """Called when one begins."""
        self.on_end: list[Callable[[Outcome], object]] = []
        """Called when one is over, whichever way, before who asked for it is told."""

    @property
    def last_failure(self) -> Outcome | None:
        """What the latest one has failed of; None where it has not."""
        return None if self.last is None or self.last.ok else self.last

    def reload(self, *, dry_run: bool = False) -> Deferred[Outcome]:
        """Reload, or find out what that would do. Fires when it is over; it does not fail."""
        return self._lock.run(self._dry_run if dry_run else self._reload)

    def _dry_run(self) -> Deferred[Outcome]:
        began = time.monotonic()
        done: Deferred[Any] = self._read().addCallback(self._plan)
        done.addCallbacks(self._succeeded, self._reasons, (began,), {}, (began,))
        return done

    def _reload(self) -> Deferred[Outcome]:
        began = time.monotonic()
        events.emit("reloading")
        for call in self.on_begin:
            call()
        done: Deferred[Any] = self._read().addCallback(self._plan).addCallback(self._apply)
        done.addCallbacks(self._succeeded, self._reasons, (began,), {}, (began,))
        return done.addCallback(self._ended)

    def _read(self) -> Deferred[Settings]:
        reactor = self._daemon.world.reactor
        return deferToThreadPool(reactor, reactor.getThreadPool(), self._load)

    def _plan(self, settings: Settings) -> Plan:
        return plan(self._daemon.settings, settings)

    def _apply(self, plan: Plan) -> Plan:
        self._daemon.apply(plan)
        return plan

    def _succeeded(self, plan: Plan, began: float) -> Outcome:
        return Outcome(
            ok=True,
            steps=plan_text(plan),
            restart=plan.restart,
            warnings=plan.warnings,
            seconds=time.monotonic() - began,
            at=self._wall(),
        )

    def _reasons(self, failure: Failure, began: float) -> Outcome:
        error = failure.value
        if isinstance(error, ConfigError):
            reasons = [str(mistake) for mistake in error.mistakes]
        elif isinstance(error, StartError):
            reasons = str(error).splitlines()
        else:
            _log.failure("a reload has a fault", failure)
            reasons = [f"{type(error).__name__}: {error}"]
        seconds = time.monotonic() - began
        return Outcome(ok=False, reasons=tuple(reasons), seconds=seconds, at=self._wall())

    def _ended(self, outcome: Outcome) -> Any:
        self.last = outcome
        if outcome.ok:
            self.succeeded += 1
            events.emit("reloaded", seconds=outcome.seconds)
            looked = self._daemon.check_certificates()
        else:
            self.failed += 1
            for why in outcome.reasons:
                events.warn("reload-failed", reason=because("configuration", detail=why))
            looked = succeed(None)
        for call in self.on_end:
            call(outcome)
        return looked.addCallback(lambda _: outcome)
