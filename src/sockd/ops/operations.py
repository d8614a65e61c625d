"""The running daemon as an administrator has it: what can be asked of it, and what it tells.

It stands around the daemon: begins before it and ends after it. What a command may ask for is an
attribute here.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred

from sockd.config.settings import Settings
from sockd.daemon.daemon import Daemon
from sockd.daemon.reload import Outcome, Reloader
from sockd.ops.control.listening import ControlListener
from sockd.ops.log_start import apply
from sockd.ops.logs import LogWriter


class Operations(Service):
    """A daemon, and all that is around it."""

    def __init__(
        self, daemon: Daemon, load: Callable[[], Settings], writer: LogWriter | None = None
    ) -> None:
        """`load` reads the configuration anew; `writer` is the log's, where it is ours."""
        self.daemon = daemon
        self.reloader = Reloader(daemon, load)
        self.writer = writer
        self.control = ControlListener(self)
        self.reloader.on_end.append(self._set_log)
        self._began = daemon.world.reactor.seconds()

    @property
    def uptime(self) -> float:
        """Seconds since it was made."""
        uptime: float = self.daemon.world.reactor.seconds() - self._began
        return uptime

    def privilegedStartService(self) -> None:
        """Bind everything. Raises StartError, and then nothing is bound."""
        super().privilegedStartService()
        self.daemon.privilegedStartService()
        self.control.open()

    def startService(self) -> None:
        """Serve. A hang-up signal has the configuration read anew."""
        super().startService()
        self.daemon.startService()
        signal.signal(signal.SIGHUP, self._hang_up)

    def stopService(self) -> Deferred[Any]:
        """Stop; fires when all has."""
        super().stopService()
        # a handler, and not SIG_IGN, which programs that are started would inherit
        signal.signal(signal.SIGHUP, lambda *_: None)
        self.control.close()
        return self.daemon.stopService()

    def hand_over(self, uid: int, gid: int) -> None:
        """Make files this user's, who the process is to become and who removes them."""
        self.daemon.hand_over(uid, gid)
        self.control.give(uid, gid)

    def _set_log(self, outcome: Outcome) -> None:
        """Have the log as the settings are now."""
        if outcome.ok and self.writer is not None:
            apply(self.writer, self.daemon.settings.daemon)

    def _hang_up(self, *_: object) -> None:
        self.daemon.world.reactor.callFromThread(self.reloader.reload)
