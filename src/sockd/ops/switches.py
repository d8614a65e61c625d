"""Services that are switched off, or on, until the next reload."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from attrs import evolve

from sockd.config.settings import InstanceSettings
from sockd.daemon.daemon import Daemon
from sockd.daemon.plan import plan


class Switches:
    """Has services run, or not, as if the configuration said so. A reload has what it does say."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._behind: dict[str, tuple[str, ...]] = {}
        """Of services that were switched off: what stood behind each, to stand there again."""
        self.on_switch: list[Callable[[], object]] = []
        """Called when one was switched off, or on."""

    @property
    def off(self) -> tuple[InstanceSettings, ...]:
        """The services that are switched off, here or by the configuration."""
        return self._daemon.settings.disabled

    def disable(self, name: str) -> None:
        """End a service. Raises KeyError where it does not run, StartError where it cannot be."""
        settings = self._daemon.settings
        every = settings.instances
        names = [one.name for one in every]
        found = dict(zip(names, every, strict=True))[name]
        self._apply([one for one in every if one is not found], [*settings.disabled, found])
        self._behind[name] = tuple(names[names.index(name) + 1 :])

    def enable(self, name: str) -> None:
        """Have it run. Raises KeyError where it is not off, StartError where it cannot be."""
        settings = self._daemon.settings
        found = {one.name: one for one in settings.disabled}[name]
        every = list(settings.instances)
        behind = self._behind.get(name, ())
        place = [number for number, one in enumerate(every) if one.name in behind]
        every.insert(place[0] if place else len(every), found)
        self._apply(every, [one for one in settings.disabled if one is not found])
        self._behind.pop(name, None)

    def _apply(
        self, instances: Sequence[InstanceSettings], disabled: Sequence[InstanceSettings]
    ) -> None:
        old = self._daemon.settings
        new = evolve(old, instances=tuple(instances), disabled=tuple(disabled))
        self._daemon.apply(plan(old, new))
        for call in self.on_switch:
            call()
