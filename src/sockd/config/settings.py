"""A configuration that has been checked: frozen settings, each with where it came from.

`sockd.config.build` makes them. No service is known here by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
from attrs import Factory, field, frozen, validators

from sockd.access.limits import Limits
from sockd.config.document import Place
from sockd.listen.strings import Listen
from sockd.options.control import CONTROL_NAME, ControlPath
from sockd.options.option import Change, option
from sockd.options.units import Duration
from sockd.service import Found, Instance, Kind


@frozen
class DaemonSettings:
    """The `[sockd]` table: what concerns the process and not a service."""

    log_format: str = option(
        "text",
        '"text" for people, "json" for programs',
        validator=validators.in_(["text", "json"]),
        change=Change.RESTART,
    )
    certificate_check: Duration = option(
        Duration(10),
        "how often certificate files are looked at; changed ones are used for new connections",
        validator=validators.ge(1),
        change=Change.NOW,
    )
    stop_timeout: Duration = option(
        Duration(5),
        "how long a stop may take, whatever `drain` says; a second before that whoever is still "
        "connected is cut off",
        validator=validators.ge(1),
        change=Change.NOW,
    )
    control: ControlPath = option(
        ControlPath(CONTROL_NAME),
        "the Unix socket that commands such as `sockd status` ask at, mode 0600; a relative path "
        'starts at the runtime directory; "off": none',
        change=Change.NOW,
    )


@frozen
class Source:
    """Where a value came from."""

    table: str = ""
    """The table that says it, such as `defaults`; nothing: it is a default."""
    place: Place = Place()  # noqa: RUF009 - it is frozen

    def __str__(self) -> str:
        if not self.table:
            return "default"
        return f"[{self.table}] {self.place}" if self.table == "defaults" else str(self.place)


@frozen
class InstanceSettings:
    """One `[service.NAME]` table, checked."""

    name: str
    kind: Kind
    listen: tuple[Listen, ...]
    limits: Limits
    options: Any
    sources: Mapping[str, Source] = field(default=Factory(dict), eq=False)
    """Where each value came from that is no default, by its key."""


@frozen
class Settings:
    """A whole configuration, checked."""

    daemon: DaemonSettings
    instances: tuple[InstanceSettings, ...]
    warnings: tuple[str, ...] = ()
    files: tuple[str, ...] = field(default=(), eq=False)
    """The files that were read, in their order; none: the built-in configuration."""
    sources: Mapping[str, Source] = field(default=Factory(dict), eq=False)
    """Where each value of `daemon` came from that is no default."""
    unavailable: tuple[str, ...] = field(default=(), eq=False)
    """Addresses of `required = false` that could not be had now, and why. A check warns of them; a
    start tells each when it has tried it."""


def field_names(of: type) -> set[str]:
    """The keys that set an attrs class."""
    return {field.name for field in attrs.fields(of)}


def default_instances(found: Found) -> dict[str, tuple[Kind, Instance]]:
    """The instances that run where there is no configuration, by name, with their kinds."""
    return {
        instance.name: (kind, instance)
        for kind in found.kinds.values()
        for instance in kind.instances
    }
