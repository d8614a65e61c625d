"""The service manager, as the daemon lives: when it is told what, and what it holds."""

from __future__ import annotations

import os
from typing import Any

from sockd.daemon.daemon import Daemon
from sockd.daemon.keeping import Keeping
from sockd.daemon.reload import Outcome, Reloader
from sockd.formats.text import escape
from sockd.ops.notify import Notifier, notifier
from sockd.ops.store import Store, room


class ServiceManager:
    """What it is told of a daemon."""

    def __init__(self, daemon: Daemon, reloader: Reloader, keeping: Keeping) -> None:
        self._daemon = daemon
        self._keeping = keeping
        self.notifier = Notifier(None)
        self._store: Store | None = None
        self.holds = False
        """Whether it holds sockets when the daemon is gone."""
        reloader.on_begin.append(self._reload_begins)
        reloader.on_end.append(self._reload_ends)

    def begin(self) -> None:
        """The daemon serves as soon as its reactor runs. (Its process is the last one by now.)"""
        reactor: Any = self._daemon.world.reactor
        self.notifier = notifier(reactor, os.environ, os.getpid())
        self._store = Store(reactor, self.notifier, self._keeping, room(os.environ))
        self.holds = self._store.has_room
        reactor.callWhenRunning(self._serves)

    def upgrades(self) -> None:
        """The daemon goes on as another one in the same process."""
        self.notifier.reloading("going on with what is installed now")

    def end(self, *, is_upgrade: bool) -> None:
        """The daemon stops."""
        if not is_upgrade:
            self.notifier.stopping("stopping")
        if self._store is not None:
            self._store.end()
            self._store = None
        self.notifier.close()

    def update(self) -> None:
        """Have it hold what is bound now, without a reload."""
        if self._store is not None:
            self._store.update()

    def _serves(self) -> None:
        if self._store is None:
            return  # it has been stopped before it began
        for name in self._daemon.unclaimed:
            self._store.forget(name)
        self._store.begin()
        self.notifier.ready(self._status())

    def _status(self) -> str:
        return f"serving {self._daemon.count}"

    def _reload_begins(self) -> None:
        self.notifier.reloading("reading the configuration anew")

    def _reload_ends(self, outcome: Outcome) -> None:
        # before it is ready: who restarts it at once finds all that it has now
        self.update()
        status = self._status()
        if not outcome.ok:
            status = f"{status}; the configuration stays as it was: {outcome.reasons[0]}"
        self.notifier.ready(escape(status))
