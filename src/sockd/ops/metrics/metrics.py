"""The metrics of a daemon: all figures at one moment, and the text that Prometheus reads."""

from __future__ import annotations

import platform
from functools import partial
from typing import TYPE_CHECKING, Any

from twisted import __version__ as twisted_version
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.threads import deferToThreadPool

from sockd import __version__
from sockd.ops.metrics.instances import add_instance
from sockd.ops.metrics.process import process_figures
from sockd.ops.metrics.sheet import OPEN_TYPE, PLAIN_TYPE, Sheet, encode, wants_open

if TYPE_CHECKING:
    from sockd.daemon.reload import Outcome
    from sockd.ops.operations import Operations

FRESH_SECONDS = 1.0
"""How old a text may be that a client of a service is given: who asks more often gets it again, so
that nobody has the daemon make texts all the time. One takes a processor 10 to 50 ms."""


class Metrics:
    """What is told of a daemon; it keeps nothing but when things happened."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations
        self._world = operations.daemon.world
        self._began = self._read_at = self._world.wall()
        self._texts: dict[bool, tuple[float, bytes]] = {}
        """By format: the latest text, and when it was true."""
        self._making: dict[bool, list[Deferred[bytes]]] = {}
        """By format, while a text is made: who waits for it."""
        operations.reloader.on_end.append(self._reloaded)

    def __call__(self, accept: str) -> Deferred[tuple[str, bytes]]:
        """The type and the text for a client that accepts this; a second old at most."""
        is_open = wants_open(accept)
        kind = OPEN_TYPE if is_open else PLAIN_TYPE
        return self._text(is_open).addCallback(lambda text: (kind, text))

    def fresh(self, *, is_open: bool) -> Deferred[bytes]:
        """The text as it is now."""
        reactor = self._world.reactor
        make = partial(encode, self.sheet(), is_open=is_open)
        return deferToThreadPool(reactor, reactor.getThreadPool(), make)

    def _text(self, is_open: bool) -> Deferred[bytes]:
        waiting: Deferred[bytes] = Deferred()
        now: float = self._world.reactor.seconds()
        at, text = self._texts.get(is_open, (float("-inf"), b""))
        if now < at + FRESH_SECONDS:
            waiting.callback(text)
        elif is_open in self._making:
            self._making[is_open].append(waiting)
        else:
            self._making[is_open] = [waiting]
            made = maybeDeferred(self.fresh, is_open=is_open)
            made.addBoth(self._made, is_open, now)
        return waiting

    def _made(self, result: Any, is_open: bool, at: float) -> None:
        if isinstance(result, bytes):
            self._texts[is_open] = at, result
        for waiting in self._making.pop(is_open):
            waiting.callback(result)  # nothing where it was cancelled, by who has left

    def sheet(self) -> Sheet:
        """All figures as they are now."""
        sheet = Sheet()
        self._add_daemon(sheet)
        for _, instance in self._operations.daemon.instances:
            add_instance(sheet, instance)
        for name, value in process_figures():
            sheet.set(name, value)
        return sheet

    def _add_daemon(self, sheet: Sheet) -> None:
        operations = self._operations
        reloader, writer = operations.reloader, operations.writer
        reactor = type(self._world.reactor).__name__
        versions = (__version__, platform.python_version(), twisted_version, reactor)
        sheet.set("sockd_build_info", 1, *versions)
        sheet.set("sockd_start_time_seconds", self._began)
        sheet.set("sockd_config_reloads_total", reloader.succeeded, "success")
        sheet.set("sockd_config_reloads_total", reloader.failed, "failure")
        is_good = reloader.last_failure is None
        sheet.set("sockd_config_last_reload_successful", is_good)
        sheet.set("sockd_config_last_reload_success_timestamp_seconds", self._read_at)
        seconds = 0.0 if reloader.last is None else reloader.last.seconds
        sheet.set("sockd_config_last_reload_duration_seconds", seconds)
        sheet.bins("sockd_loop_lag_seconds", operations.lag.histogram)
        sheet.set("sockd_bans", self._world.state.bans.count(self._world.reactor.seconds()))
        draining = sum(len(instance.guard.sessions) for instance in operations.daemon.draining)
        sheet.set("sockd_connections_draining", draining)
        suppressed, lost = (writer.lines_suppressed, writer.lines_lost) if writer else (0, 0)
        sheet.set("sockd_log_lines_suppressed_total", suppressed)
        sheet.set("sockd_log_lines_lost_total", lost)

    def _reloaded(self, outcome: Outcome) -> None:
        if outcome.ok:
            self._read_at = outcome.at
