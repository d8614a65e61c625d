"""A configuration turned into one service, in straight lines.

`twistd sockd` is the container of all instances; `twistd sockd-NAME` runs one kind alone, made by
the same code from the same declaration.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from copy import deepcopy
from functools import partial
from pathlib import Path
from random import SystemRandom
from typing import Any, NoReturn

from attrs import evolve
from twisted.application.reactors import NoSuchReactor, getReactorTypes, installReactor
from twisted.application.service import IService, MultiService
from twisted.internet.defer import Deferred
from twisted.logger import ILogObserver, globalLogBeginner
from twisted.python import usage

from sockd import __version__
from sockd.config import InstanceSettings, Settings, build
from sockd.document import ConfigError, Document, Mistake, parse, read
from sockd.net import events
from sockd.net.context import Context, Host
from sockd.net.guard import Guard
from sockd.net.listen import InstanceService, StreamListener, add_listeners, is_fatal
from sockd.net.names import Names
from sockd.net.runtime import runtime_directory
from sockd.net.sockets import ListenError, bound
from sockd.ops.annotated import default_config
from sockd.ops.logs import FORMATS, LogWriter, SyslogFile
from sockd.ops.table import Row, rows, table
from sockd.service import Found, Kind

BUILT_IN = "the built-in configuration"


class StartError(Exception):
    """The daemon cannot start: a line for each reason."""


def load(
    path: str | None, only: Sequence[str] | None, assignments: Sequence[str], found: Found
) -> Settings:
    """Read a configuration file, or the built-in one, and check it. Raises ConfigError."""
    if path is None:
        document = Document()
        parse(document, default_config(found), BUILT_IN)
    else:
        document = read(Path(path))
    for assignment in assignments:
        document.set(assignment)
    return build(document, found, runtime_directory(os.environ, os.getuid()), only)


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
            events.warn("warning", service="sockd", why=warning)
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
            count=self.count,
            services=len(self._instances),
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
    def count(self) -> str:
        """How many services it runs: `1 service`, `16 services`."""
        return f"{len(self._instances)} service{'s' * (len(self._instances) != 1)}"

    @property
    def rows(self) -> list[Row]:
        """The rows of the start-up table."""
        return [row for one, instance in self._instances for row in rows(one, instance.listeners)]

    def _hang_up(self, *_: object) -> None:
        self.host.reactor.callFromThread(self._check_certificates)

    def _check_certificates(self) -> None:
        for _, instance in self._instances:
            for listener in instance.listeners:
                if isinstance(listener, StreamListener) and listener.listen.transport == "tls":
                    listener.check_certificate()


def make_instance(settings: InstanceSettings, host: Host) -> InstanceService:
    """The service of one instance, its listeners in it, nothing bound yet."""
    guard = Guard(settings.name, settings.limits, host.reactor, host.udp_ports)
    context = Context(settings.name, settings.options, settings.limits, guard, host)
    kind = settings.kind
    instance = InstanceService(context, kind.shared)
    add_listeners(instance, settings.listen, kind.stream, kind.datagram, kind.sender)
    return instance


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


def try_binding(settings: Settings) -> list[str]:
    """Bind every address and let it go again: what would stop a start, as `NAME: REASON`."""
    failures = []
    for instance in settings.instances:
        for listen in instance.listen:
            try:
                bound(listen).close()
                if listen.path:
                    Path(listen.path).unlink()
            except ListenError as error:
                if is_fatal(error, instance.limits):
                    failures.append(f"{instance.name}: {error}")
    return failures


def on_uvloop(settings: Settings) -> Settings:
    """Install sockd's own reactor, unless there is a reactor already.

    Where uvloop is missing nothing is installed, and the settings have a warning more that says so.
    """
    if "twisted.internet.reactor" in sys.modules:
        return settings
    try:
        from sockd.reactor import uv
    except ImportError as error:
        why = f"without uvloop ({error}) Twisted's default reactor is used, which is slower"
        return evolve(settings, warnings=(*settings.warnings, why))
    uv.install()
    return settings


NO_REACTOR = "sockd: the reactor does not start: "


def run_foreground(settings: Settings, reactor_name: str | None, log_format: str) -> int:
    """Run the daemon until a signal ends it. Returns the exit code.

    With text logs a table of what is served comes first; with JSON logs there are only events.
    """
    try:
        if reactor_name is None:
            settings = on_uvloop(settings)
        else:
            installReactor(reactor_name)
    except NoSuchReactor:
        names = ", ".join(sorted(kind.shortName for kind in getReactorTypes()))
        sys.exit(f"sockd: there is no reactor {reactor_name!r}; there are {names}")
    except ImportError as error:
        sys.exit(f"sockd: the reactor {reactor_name!r} does not work here: {error}")
    except OSError as error:  # it needs descriptors of its own
        sys.exit(f"{NO_REACTOR}{error.strerror}")
    from twisted.internet import reactor

    as_text = log_format == "text"
    writer = LogWriter(sys.stdout, FORMATS[log_format], is_below_a_table=as_text)
    globalLogBeginner.beginLoggingTo([writer], redirectStandardIO=False)
    daemon = make_daemon(settings, reactor)
    try:
        daemon.privilegedStartService()
    except StartError as error:
        sys.stderr.write(f"sockd: not started\n{error}\n")
        return 1
    if as_text:
        reactor.callWhenRunning(_print_table, daemon)
    daemon.startService()
    reactor.addSystemEventTrigger("before", "shutdown", daemon.stopService)
    try:
        reactor.run()
    except OSError as error:  # and more of them when it begins to run
        daemon.stopService()
        sys.stderr.write(f"{NO_REACTOR}{error.strerror}\n")
        return 1
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # one that comes now would change the exit code
    return 0


def _print_table(daemon: Daemon) -> None:
    sys.stdout.write(
        f"sockd {__version__} runs {daemon.count} on the {type(daemon.host.reactor).__name__}; "
        f"^C stops it\n\n{table(daemon.rows)}\n"
    )
    sys.stdout.flush()


# twistd


def load_alone(
    kind_name: str, listen: Sequence[str], assignments: Sequence[str], found: Found
) -> Settings:
    """One instance of one kind, named as the kind; `--set idle_timeout=5s` is enough for it."""
    if kind_name not in found.kinds:
        why = found.broken.get(f"sockd.services.{kind_name}", "there is no such kind of service")
        raise ConfigError([Mistake("", kind_name, why)])
    kind: Kind = found.kinds[kind_name]
    table: dict[str, Any] = {"kind": kind_name}
    if listen:
        table["listen"] = list(listen)
    elif kind.instances:
        table = {
            **deepcopy(dict(kind.instances[0].settings)),
            "listen": list(kind.instances[0].listen),
            **table,
        }
    document = Document({"service": {kind_name: table}}, {("service", kind_name): "--listen"})
    for assignment in assignments:
        whole = assignment.startswith(("service.", "defaults.", "sockd."))
        document.set(assignment if whole else f"service.{kind_name}.{assignment}")
    return build(document, found, runtime_directory(os.environ, os.getuid()))


def error_text(error: ConfigError) -> str:
    """All mistakes of a configuration, as the user sees them."""
    count = len(error.mistakes)
    heading = "a mistake" if count == 1 else f"{count} mistakes"
    return "\n".join([f"sockd: {heading} in the configuration", *map(str, error.mistakes)])


def check_text(settings: Settings) -> str:
    """What a configuration would listen on, a line an address, and what it warns of."""
    lines = [
        f"{one.name}: {listen.transport} {listen.address}"
        for one in settings.instances
        for listen in one.listen
    ]
    lines += [f"warning: {warning}" for warning in settings.warnings]
    return "\n".join(lines) + "\n"


def _open_log(name: str | None, foreground: bool) -> Any:
    """The file that twistd would log to, rotated by SIGUSR1 as twistd does it."""
    if name == "-" or (foreground and not name):
        return sys.stdout
    from twisted.python.logfile import LogFile

    file = LogFile.fromFullPath(name or "twistd.log")

    def rotate(*_: object) -> None:
        from twisted.internet import reactor

        reactor.callFromThread(file.rotate)  # type: ignore[attr-defined]

    signal.signal(signal.SIGUSR1, rotate)
    return file


class _TwistdDaemon(Daemon):
    """The daemon below twistd, which shows a traceback where it is not told otherwise."""

    def __init__(self, settings: Settings, host: Host, options: usage.Options) -> None:
        super().__init__(settings, host)
        self._parent: Any = options.parent
        self._log_format = FORMATS[options["log-format"]]

    def setServiceParent(self, parent: Any) -> None:
        """Become the application's service, and write its log."""
        super().setServiceParent(parent)
        log_file, foreground = self._parent["logfile"], bool(self._parent["nodaemon"])
        if log_file == "-" and not foreground:
            return  # twistd says itself that this cannot be
        file = (
            SyslogFile(self._parent["prefix"])
            if self._parent.get("syslog")
            else _open_log(log_file, foreground)
        )
        writer = LogWriter(file, self._log_format)
        parent.setComponent(ILogObserver, writer)

    def privilegedStartService(self) -> None:
        try:
            super().privilegedStartService()
        except StartError as error:
            self._give_up(str(error))

    def _give_up(self, why: str) -> NoReturn:
        text = f"sockd: not started\n{why}"
        if self._parent["pidfile"]:
            Path(self._parent["pidfile"]).unlink(missing_ok=True)
        if (parent := self._parent.get("statusPipe")) is not None:
            # as twistd tells the process that was called, which shows these 100 bytes
            os.write(parent, f"1 {why}".encode("ascii", "backslashreplace")[:100])
        elif self._parent["logfile"] not in (None, "-") and sys.__stderr__ is not None:
            sys.__stderr__.write(f"{text}\n")
        sys.exit(text)  # to standard error, which is the log


def makeService(options: Any) -> IService:
    """Twisted's plugin: the service of `twistd sockd` and of `twistd sockd-NAME`."""
    settings: Settings = options["settings"]
    if not options.parent["nodaemon"] and (failures := try_binding(settings)):
        # twistd shows 100 bytes of what goes wrong after it has become a daemon; this is before
        sys.exit("\n".join(["sockd: not started", *failures]))
    settings = on_uvloop(settings)  # not before: -r, if it is given, has installed another one
    from twisted.internet import reactor

    host = make_host(settings, reactor, gives_up_root=bool(options.parent["uid"]))
    return _TwistdDaemon(settings, host, options)
