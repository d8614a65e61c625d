"""The daemon in the foreground, on the reactor that was asked for."""

from __future__ import annotations

import importlib
import shutil
import signal
import sys
from collections.abc import Callable
from typing import Any

from attrs import evolve
from twisted.application.reactors import NoSuchReactor, Reactor, getReactorTypes, installReactor
from twisted.logger import globalLogBeginner

from sockd import __version__
from sockd.config.settings import DaemonSettings, Settings
from sockd.daemon.daemon import Daemon, StartError, make_daemon
from sockd.ops.log_drain import Drain
from sockd.ops.log_lines import FORMATS
from sockd.ops.log_start import make_writer, open_file, standard_output
from sockd.ops.logs import LogWriter
from sockd.ops.operations import Operations
from sockd.ops.signals import REQUESTS, ignore
from sockd.ops.table import all_rows, client_command, table
from sockd.ops.threads import hold_up_no_end
from sockd.reactor import entry
from sockd.reactor.foundations import UnknownTwisted


def on_uvloop(settings: Settings) -> Settings:
    """Install sockd's own reactor, unless there is a reactor already.

    Where uvloop is missing, or Twisted is not as that reactor knows it, nothing is installed, and
    the settings have a warning more that says so.
    """
    if "twisted.internet.reactor" in sys.modules:
        return settings
    try:
        entry.install()
    except UnknownTwisted as error:
        why = f"{error}; Twisted's default reactor is used, which is slower"
    except ImportError as error:
        why = f"without uvloop ({error}) Twisted's default reactor is used, which is slower"
    else:
        return settings
    return evolve(settings, warnings=(*settings.warnings, why))


def _install(name: str) -> str:
    """Install a reactor. Returns why there is none, or nothing. Raises OSError."""
    try:
        installReactor(name)
    except NoSuchReactor:
        return f"there is no reactor {name!r}"
    except ImportError as error:
        return f"the reactor {name!r} does not work here ({error})"
    return ""


def _usable_reactors() -> str:
    """The reactors of this system, in words."""
    names = []
    for kind in getReactorTypes():
        if not isinstance(kind, Reactor):
            continue
        try:
            importlib.import_module(kind.moduleName)
        except Exception:  # noqa: BLE001 - foreign code: whatever it raises, it does not work
            continue
        names.append(kind.shortName)
    return f"there are {', '.join(sorted(names))}"


NO_REACTOR = "sockd: the reactor does not start: "


def run_foreground(
    settings: Settings, load: Callable[[], Settings], reactor_name: str | None, log_format: str
) -> int:
    """Run the daemon until a signal ends it; `load` reads the configuration for a reload.

    Returns the exit code.

    With text logs a table of what is served comes first; with JSON logs, and in the journal, there
    are only events.
    """
    try:
        if reactor_name is None:
            settings = on_uvloop(settings)
        elif why := _install(reactor_name):
            sys.stderr.write(f"sockd: {why}; {_usable_reactors()}\n")
            return 2
    except OSError as error:  # it needs descriptors of its own
        sys.exit(f"{NO_REACTOR}{error.strerror}")
    from twisted.internet import reactor

    try:
        writer, table_to = _logs(settings.daemon, log_format)
    except OSError as error:
        sys.exit(f"sockd: [sockd] log_file {error.filename}: {error.strerror}")
    writer.collect(reactor)
    writer.reopen_at_signal(reactor)
    globalLogBeginner.beginLoggingTo([writer], redirectStandardIO=False)
    hold_up_no_end(reactor.getThreadPool())  # type: ignore[attr-defined]
    daemon = make_daemon(settings, reactor)
    operations = Operations(daemon, load, writer)
    try:
        operations.privilegedStartService()
    except StartError as error:
        sys.stderr.write(f"{error}\nsockd: not started\n")
        return 1
    if table_to is not None:
        reactor.callWhenRunning(_print_table, daemon, table_to)
    return _serve(operations, reactor)


def _logs(settings: DaemonSettings, log_format: str) -> tuple[LogWriter, LogWriter | None]:
    """What writes the log, and what the table, which is for people who look. Raises OSError."""
    out, is_journal = standard_output()
    is_for_people = log_format == "text" and not is_journal
    if settings.log_file:
        writer = make_writer(open_file(settings.log_file, settings), settings, log_format)
        drain = Drain(out, patience=0.0)  # nobody waits for a terminal that stands still
        return writer, LogWriter(drain, FORMATS["text"]) if is_for_people else None
    writer = make_writer(
        out, settings, log_format, has_priorities=is_journal, is_below_a_table=is_for_people
    )
    return writer, writer if is_for_people else None


def _serve(operations: Operations, reactor: Any) -> int:
    """Run until a signal ends it. Returns the exit code."""
    operations.startService()
    reactor.addSystemEventTrigger("before", "shutdown", operations.stopService)
    try:
        reactor.run()
    except OSError as error:  # and more of them when it begins to run
        operations.stopService()
        sys.stderr.write(f"{NO_REACTOR}{error.strerror}\n")
        return 1
    ignore(signal.SIGINT, signal.SIGTERM, *REQUESTS)  # one that comes now would change the code
    return 0


def _print_table(daemon: Daemon, writer: LogWriter) -> None:
    rows = all_rows(daemon.instances)
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    writer.say(
        f"sockd {__version__} runs {daemon.count} on the {type(daemon.world.reactor).__name__}; "
        f"^C stops it\n\n{table(rows, width, client_command())}\n"
    )
