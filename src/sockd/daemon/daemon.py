"""The container of all instances: starts them together or not at all, and stops them."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Callable
from functools import partial
from random import SystemRandom
from typing import Any

from twisted.application.service import MultiService
from twisted.internet.defer import Deferred

from sockd import __version__, events
from sockd.access.reasons import because
from sockd.config.settings import InstanceSettings, Settings
from sockd.daemon.instance import InstanceService, make_instance
from sockd.net.context import Host
from sockd.net.listener import StreamListener
from sockd.net.names import Names


class StartError(Exception):
    """The daemon cannot start: a line for each reason."""


class Daemon(MultiService):
    """All instances of a configuration."""

    def __init__(self, settings: Settings, host: Host) -> None:
        super().__init__()
        self.settings = settings
        self.host = host
        self._was_asked_to_stop = False
        self._instances: list[tuple[InstanceSettings, InstanceService]] = []
        for one in settings.instances:
            instance = make_instance(one, host)
            instance.setServiceParent(self)
            self._instances.append((one, instance))

    def privilegedStartService(self) -> None:
        """Bind everything. Raises StartError with every failure, and then nothing is bound."""
        failures = []
        for one, instance in self._instances:
            try:
                instance.privilegedStartService()
            except ExceptionGroup as group:
                failures += [f"{one.name}: {error}" for error in group.exceptions]
            except (OSError, ValueError) as error:
                failures.append(f"{one.name}: {error}")
        if failures:
            for _, instance in self._instances:
                instance.stopService()
            raise StartError("\n".join(failures))

    def startService(self) -> None:
        """Serve. A hang-up signal has certificates looked at."""
        for warning in self.settings.warnings:
            reason = because("configuration", detail=warning)
            events.warn("warning", service="sockd", reason=reason)
        super().startService()
        signal.signal(signal.SIGHUP, self._hang_up)
        reactor = self.host.reactor
        # what the reactor handles signals with when it begins to run
        for name in ("sigInt", "sigBreak", "sigTerm"):
            setattr(reactor, name, partial(self._asked_to_stop, getattr(reactor, name)))
        # not before: whoever reads it may send a signal, which the running reactor handles
        reactor.callWhenRunning(self._report_start)

    def _report_start(self) -> None:
        events.emit(
            "started",
            version=__version__,
            services=self.count,
            reactor=type(self.host.reactor).__name__,
        )

    def _asked_to_stop(self, stop: Callable[[int, Any], object], number: int, frame: Any) -> None:
        """A signal: the first stops the reactor, to which a second stop would be an error."""
        if self._was_asked_to_stop:
            self.host.reactor.callFromThread(self.hurry)
        else:
            self._was_asked_to_stop = True
            # not here: it logs, and what is interrupted may be writing to the log
            self.host.reactor.callFromThread(stop, number, frame)

    def hurry(self) -> None:
        """Do not wait for connections to end."""
        for _, instance in self._instances:
            instance.context.guard.cut_off()

    def stopService(self) -> Deferred[Any]:
        """Stop every instance; fires when all of them have."""
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        stopped: Deferred[Any] = super().stopService()
        return stopped.addCallback(lambda _: events.emit("stopped"))

    @property
    def count(self) -> events.Services:
        """How many services it runs."""
        return events.Services(len(self._instances))

    @property
    def instances(self) -> tuple[tuple[InstanceSettings, InstanceService], ...]:
        """What runs, in the order of the configuration: settings and service of each."""
        return tuple(self._instances)

    def _hang_up(self, *_: object) -> None:
        self.host.reactor.callFromThread(self._check_certificates)

    def _check_certificates(self) -> None:
        for _, instance in self._instances:
            for listener in instance.listeners:
                if isinstance(listener, StreamListener) and listener.listen.transport == "tls":
                    listener.check_certificate()


def make_daemon(settings: Settings, reactor: Any) -> Daemon:
    """The whole daemon on a reactor, nothing bound yet."""
    return Daemon(settings, make_host(settings, reactor))


def make_host(settings: Settings, reactor: Any, *, gives_up_root: bool = False) -> Host:
    """The world of a daemon: this host, on a reactor."""
    use_monotonic_time(reactor)
    return Host(
        reactor=reactor,
        wall=time.time,
        random=SystemRandom(),
        names=Names(reactor, reactor),
        hostname=socket.gethostname(),
        certificate_check=settings.daemon.certificate_check,
        gives_up_root=gives_up_root,
    )


def use_monotonic_time(reactor: Any) -> None:
    """Have the reactor's timers count seconds that no clock setting moves.

    Twisted's reactors count on the time of day: an hour forward fires all timers, an hour back
    stops them.
    """
    reactor.seconds = time.monotonic
