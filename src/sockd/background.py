"""The daemon below twistd: its log, and how a start that fails is told."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, NoReturn

from twisted.application.service import IService
from twisted.logger import ILogObserver
from twisted.python import usage

from sockd.config.settings import Settings
from sockd.daemon.daemon import Daemon, StartError, make_world
from sockd.daemon.trial import try_binding
from sockd.net.context import World
from sockd.ops.log_drain import Drain
from sockd.ops.log_file import LogFile, Sink, SyslogFile, output
from sockd.ops.log_lines import FORMATS
from sockd.ops.logs import LogWriter
from sockd.run import on_uvloop


def _open_log(name: str | None, foreground: bool) -> Sink:
    """The file that twistd would log to."""
    if name == "-" or (foreground and not name):
        return output(sys.stdout)
    return LogFile(name or "twistd.log")


class _TwistdDaemon(Daemon):
    """The daemon below twistd, which shows a traceback where it is not told otherwise."""

    def __init__(self, settings: Settings, world: World, options: usage.Options) -> None:
        super().__init__(settings, world)
        self._parent: Any = options.parent
        self._log_format = FORMATS[options["log-format"]]

    def setServiceParent(self, parent: Any) -> None:
        """Become the application's service, and write its log."""
        super().setServiceParent(parent)
        log_file, foreground = self._parent["logfile"], bool(self._parent["nodaemon"])
        if log_file == "-" and not foreground:
            return  # twistd says itself that this cannot be
        if self._parent.get("logger"):
            return  # the user's own observer writes the log
        file = (
            SyslogFile(self._parent["prefix"])
            if self._parent.get("syslog")
            else _open_log(log_file, foreground)
        )
        writer = LogWriter(Drain(file), self._log_format)
        writer.collect(self.world.reactor)
        writer.reopen_at_signal(self.world.reactor)
        parent.setComponent(ILogObserver, writer)

    def privilegedStartService(self) -> None:
        try:
            super().privilegedStartService()
        except StartError as error:
            self._give_up(str(error))

    def _give_up(self, why: str) -> NoReturn:
        text = f"{why}\nsockd: not started"
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
        sys.exit("\n".join([*failures, "sockd: not started"]))
    settings = on_uvloop(settings)  # not before: -r, if it is given, has installed another one
    from twisted.internet import reactor

    world = make_world(settings, reactor, gives_up_root=bool(options.parent["uid"]))
    return _TwistdDaemon(settings, world, options)
