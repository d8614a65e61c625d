"""The daemon below twistd: its log, and how a start that fails is told."""

from __future__ import annotations

import os
import pwd
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from twisted.application.service import IService
from twisted.logger import ILogObserver

from sockd.config.settings import DaemonSettings, Settings
from sockd.daemon.daemon import Daemon, StartError, make_world
from sockd.daemon.trial import try_binding
from sockd.listen.runtime import give_runtime_directory
from sockd.net.context import World
from sockd.ops.log_file import Sink, SyslogFile
from sockd.ops.log_start import make_writer, open_file, standard_output
from sockd.ops.operations import Operations
from sockd.ops.restart import of_twistd
from sockd.ops.threads import hold_up_no_end
from sockd.options.runtime import runtime_directory
from sockd.run import on_uvloop


def _open_log(name: str | None, foreground: bool, settings: DaemonSettings) -> tuple[Sink, bool]:
    """The file that twistd is told, or the settings name, or twistd would log to; and whether
    lines have their priority in front there. Raises OSError."""
    name = name or settings.log_file or (None if foreground else "twistd.log")
    if name in (None, "-"):
        return standard_output()
    return open_file(str(name), settings), False


class _TwistdOperations(Operations):
    """The daemon below twistd, which shows a traceback where it is not told otherwise."""

    def __init__(self, settings: Settings, world: World, options: Any) -> None:
        super().__init__(Daemon(settings, world), options.settings)
        self._parent: Any = options.parent
        self._log_format: str = options["log-format"]
        self.upgrade.restart = of_twistd(options.parent)

    def setServiceParent(self, parent: Any) -> None:
        """Become the application's service, and write its log."""
        super().setServiceParent(parent)
        log_file, foreground = self._parent["logfile"], bool(self._parent["nodaemon"])
        if log_file == "-" and not foreground:
            return  # twistd says itself that this cannot be
        if self._parent.get("logger"):
            return  # the user's own observer writes the log
        has_priorities = True
        if self._parent.get("syslog"):
            file: Sink = SyslogFile(self._parent["prefix"])
        else:
            try:
                file, has_priorities = _open_log(log_file, foreground, self.daemon.settings.daemon)
            except OSError as error:
                option = "--logfile" if log_file else "[sockd] log_file"
                sys.exit(f"sockd: {option} {error.filename}: {error.strerror}")
        settings, reactor = self.daemon.settings.daemon, self.daemon.world.reactor
        writer = make_writer(file, settings, self._log_format, has_priorities=has_priorities)
        writer.collect(reactor)
        writer.reopen_at_signal(reactor)
        self.writer = writer
        parent.setComponent(ILogObserver, writer)

    def privilegedStartService(self) -> None:
        try:
            super().privilegedStartService()
        except StartError as error:
            self._give_up(str(error))
        uid, gid = self._parent["uid"], self._parent["gid"]
        if uid and os.getuid() == 0:
            self.hand_over(uid, pwd.getpwuid(uid).pw_gid if gid is None else gid)

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


def _mistakes(parent: Any) -> Iterator[str]:
    """What twistd would show a traceback for, when everything has started."""
    if (uid := parent["uid"]) is not None:
        try:
            pwd.getpwuid(uid)
        except KeyError:
            yield f"sockd: --uid {uid}: there is no user of this number on this host"
    folder = Path(parent["rundir"])
    if not folder.is_dir():
        yield f"sockd: --rundir {folder}: there is no such directory"
    elif parent["pidfile"] and not (where := (folder / parent["pidfile"]).parent).is_dir():
        yield f"sockd: --pidfile {parent['pidfile']}: {where} is not there"


def makeService(options: Any) -> IService:
    """Twisted's plugin: the service of `twistd sockd` and of `twistd sockd-NAME`."""
    settings: Settings = options["settings"]
    if mistakes := list(_mistakes(options.parent)):
        sys.exit("\n".join([*mistakes, "sockd: not started"]))
    uid = options.parent["uid"]
    if uid and os.getuid() == 0:  # it may be that user's, from the last time
        give_runtime_directory(runtime_directory(os.environ, os.getuid()), uid, 0, 0)
    if uid and os.getuid() == uid:  # after an upgrade: twistd would wonder
        options.parent["uid"] = options.parent["gid"] = None
    if not options.parent["nodaemon"] and (failures := try_binding(settings)):
        # twistd shows 100 bytes of what goes wrong after it has become a daemon; this is before
        sys.exit("\n".join([*failures, "sockd: not started"]))
    settings = on_uvloop(settings)  # not before: -r, if it is given, has installed another one
    from twisted.internet import reactor

    hold_up_no_end(reactor.getThreadPool())  # type: ignore[attr-defined]
    world = make_world(settings, reactor, gives_up_root=bool(uid))
    return _TwistdOperations(settings, world, options)
