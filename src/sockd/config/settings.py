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
from sockd.options.files import FilePath
from sockd.options.option import Change, option
from sockd.options.state import BANS_NAME, BansPath
from sockd.options.units import LARGEST_SIZE, Duration, Rate, SizeLimit
from sockd.service import Found, Instance, Kind

SMALLEST_LOG = 64 * 1024
"""Bytes of a log file that is moved away when it is full: any line fits into it."""


def _whole_lines(_: object, attribute: Any, value: int) -> None:
    if value < SMALLEST_LOG:
        raise ValueError(f"'{attribute.name}' must be >= {SMALLEST_LOG}: {value}")


def _some(_: object, attribute: Any, value: Rate) -> None:
    if not value.count:
        raise ValueError(f"'{attribute.name}' must be above 0: with {value} nothing is told")


@frozen
class DaemonSettings:
    """The `[sockd]` table: what concerns the process and not a service."""

    log_format: str = option(
        "text",
        '"text" for people, "json" for programs',
        validator=validators.in_(["text", "json"]),
        change=Change.RESTART,
    )
    log_file: FilePath = option(
        FilePath(),
        "the file of the log; none: standard output, or what twistd is told, which goes before it",
        change=Change.RESTART,
    )
    log_max_size: SizeLimit = option(
        SizeLimit(LARGEST_SIZE),
        "bytes of that file, before which it is moved away: FILE becomes FILE.1, that FILE.2 ...; "
        '"off": any number, for logrotate',
        validator=_whole_lines,
        change=Change.NOW,
    )
    log_keep: int = option(
        5,
        "files that are kept so; the log has one more file than these, and no more",
        validator=[validators.ge(0), validators.le(1000)],
        change=Change.NOW,
    )
    log_rate: Rate = option(
        Rate(1000, 1),
        "lines of one kind, an event of a service; ten times as many at once; more are counted, "
        'and told each second; "off": any number',
        validator=_some,
        change=Change.NOW,
    )
    log_total_rate: Rate = option(
        Rate(5000, 1),
        "lines in all, and as many more that are warnings; ten times as many at once; "
        '"off": any number',
        validator=_some,
        change=Change.NOW,
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
    bans: BansPath = option(
        BansPath(BANS_NAME),
        "the file that keeps bans over a start; a relative path starts at the state directory; "
        '"off": none',
        change=Change.RESTART,
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
    enabled: bool = True
    """Whether it is to run."""


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
    disabled: tuple[InstanceSettings, ...] = ()
    """Those with `enabled = false`, checked as well, but for files and addresses."""


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
