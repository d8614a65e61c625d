"""The running daemon as an administrator has it: what can be asked of it, and what it tells.

It stands around the daemon: begins before it and ends after it. What a command may ask for is an
attribute here.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, gatherResults

from sockd.config.settings import Settings
from sockd.daemon.daemon import Daemon
from sockd.daemon.keeping import Keeping
from sockd.daemon.reload import Outcome, Reloader
from sockd.net.waiting import within
from sockd.ops.bans import BanKeeper
from sockd.ops.control.listening import ControlListener
from sockd.ops.first_process import undertaker
from sockd.ops.lag import LagMeter
from sockd.ops.log_start import apply
from sockd.ops.logs import LogWriter
from sockd.ops.manager import ServiceManager
from sockd.ops.metrics.metrics import Metrics
from sockd.ops.rates import RateMeter
from sockd.ops.standard import current_folder
from sockd.ops.switches import Switches
from sockd.ops.upgrade import Upgrade
from sockd.options.state import state_directory


class Operations(Service):
    """A daemon, and all that is around it."""

    def __init__(
        self, daemon: Daemon, load: Callable[[], Settings], writer: LogWriter | None = None
    ) -> None:
        """`load` reads the configuration anew; `writer` is the log's, where it is ours."""
        self.daemon = daemon
        self.folder = current_folder()
        """Where relative names of configuration files start; twistd goes elsewhere after it."""
        self.reloader = Reloader(daemon, load)
        self.writer = writer
        self.control = ControlListener(self)
        self.reloader.on_end.append(self._set_log)
        self.reloader.parts.append(self.control)
        keeping = Keeping(daemon)
        self.manager = ServiceManager(daemon, self.reloader, keeping)
        self.upgrade = Upgrade(daemon, keeping, self.manager, load)
        world, self._state = daemon.world, state_directory(os.environ, os.getuid())
        path = daemon.settings.daemon.bans.within(self._state)
        self.bans = BanKeeper(world.state.bans, path, world.reactor, world.wall)
        self.lag = LagMeter(daemon.world.reactor)
        self.rates = RateMeter(daemon)
        self.switches = Switches(daemon)
        self.switches.on_switch.append(self.manager.update)
        self.metrics = Metrics(self)
        daemon.world.metrics = self.metrics
        self._undertaker = undertaker(world.reactor)
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
        self.bans.load()  # whoever reads and writes the file is who the process has become
        self.daemon.startService()
        self.lag.start()
        self.rates.start()
        if self._undertaker is not None:
            self._undertaker.startService()
        signal.signal(signal.SIGHUP, self._hang_up)
        self.manager.begin()

    def stopService(self) -> Deferred[Any]:
        """Stop; fires when all has."""
        super().stopService()
        # a handler, and not SIG_IGN, which programs that are started would inherit
        signal.signal(signal.SIGHUP, lambda *_: None)
        self.lag.stop()
        self.rates.stop()
        if self._undertaker is not None:
            self._undertaker.stopService()
        self.control.close()
        self.manager.end(is_upgrade=self.upgrade.is_going)
        stopped = self.daemon.stopService()
        self.upgrade.stop()
        limit, clock = self.daemon.settings.daemon.stop_timeout, self.daemon.world.reactor
        return gatherResults([stopped, within(limit, self.bans.stop(), clock)])

    def hand_over(self, uid: int, gid: int) -> None:
        """Make files this user's, who the process is to become and who removes them."""
        self.daemon.hand_over(uid, gid, self.control.path)
        self.control.give(uid, gid)
        self.bans.give(uid, gid, self._state)

    def _set_log(self, outcome: Outcome) -> None:
        """Have the log as the settings are now."""
        if outcome.ok and self.writer is not None:
            apply(self.writer, self.daemon.settings.daemon)

    def _hang_up(self, *_: object) -> None:
        self.daemon.world.reactor.callFromThread(self.reloader.reload)
