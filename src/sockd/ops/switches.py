"""Services that are switched off until the next reload."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import evolve

from sockd.config.settings import InstanceSettings
from sockd.daemon.daemon import Daemon
from sockd.daemon.plan import plan
from sockd.daemon.reload import Outcome, Reloader


class Switches:
    """Has services run, or not, as if the configuration said so. A reload forgets it."""

    def __init__(self, daemon: Daemon, reloader: Reloader) -> None:
        self._daemon = daemon
        self._order: tuple[str, ...] = ()
        self._off: dict[str, InstanceSettings] = {}
        reloader.on_end.append(self._reloaded)

    @property
    def off(self) -> tuple[str, ...]:
        """The services that are switched off."""
        return tuple(self._off)

    def disable(self, name: str) -> None:
        """End a service. Raises KeyError where it does not run."""
        settings = self._daemon.settings
        found = {one.name: one for one in settings.instances}[name]
        if not self._off:
            self._order = tuple(one.name for one in settings.instances)
        self._apply(one for one in settings.instances if one is not found)
        self._off[name] = found

    def enable(self, name: str) -> None:
        """Have it run again. Raises KeyError where it is not off, StartError where it cannot be."""
        every = [*self._daemon.settings.instances, self._off[name]]
        self._apply(sorted(every, key=lambda one: self._order.index(one.name)))
        del self._off[name]

    def _apply(self, instances: Iterable[InstanceSettings]) -> None:
        settings = self._daemon.settings
        self._daemon.apply(plan(settings, evolve(settings, instances=tuple(instances))))

    def _reloaded(self, outcome: Outcome) -> None:
        if outcome.ok:
            self._off.clear()
