"""A document in, frozen settings out; every mistake at once, with its file, line and key.

`build` checks what the files say against the kinds of service that there are. No service is known
here by name.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import define, evolve, field, frozen

from sockd.access.limits import Limits
from sockd.config.checker import Checker
from sockd.config.document import ConfigError, Document, Key, Mistake, Place, dotted
from sockd.config.listens import conflicts, failure, read_listens, with_tls
from sockd.config.settings import (
    DaemonSettings,
    InstanceSettings,
    Settings,
    Source,
    default_instances,
    field_names,
)
from sockd.config.uses import ACCESS, uses_at, without_effect
from sockd.formats.nearest import near_miss
from sockd.listen.address import LONGEST_PATH
from sockd.listen.strings import Listen
from sockd.net.tls_offered import cipher_mistake
from sockd.options.control import ControlPath
from sockd.options.option import OptionError
from sockd.service import MAIN_KEY, Found, Instance, Kind

TABLES = ("sockd", "defaults", "service")
_NO_TABLE = "there is no [service.NAME] table"
_IN_SOCKD = {"[sockd]": field_names(DaemonSettings)}
_IN_DEFAULTS = {"[defaults] or [service.NAME]": field_names(Limits)}
_IN_SERVICE = {"[service.NAME]": {"kind", "enabled", MAIN_KEY}}


def build(
    document: Document, found: Found, runtime: str, only: Sequence[str] | None = None
) -> Settings:
    """Check a document against the kinds that there are. Raises ConfigError with every mistake.

    `runtime` replaces `${RUNTIME}` in listen strings; `only` names the instances to keep.
    """
    check = Checker(document)
    tables = {name: check.table((name,), document.values.get(name, {})) for name in TABLES}
    daemon, defaults, services = tables.values()
    _check_keys(check, tables, found)
    daemon_values = check.values(DaemonSettings, daemon, ("sockd",))
    _check_log(check, daemon_values.get("log_file", ""))
    _check_control(check, daemon_values.get("control", ControlPath()), runtime)
    builder = _Builder(check, found, runtime, check.values(Limits, defaults, ("defaults",)))
    _check_only(check, only or (), services)
    every = [
        instance
        for name in services
        if only is None or name in only
        if (instance := builder.instance(name, services[name]))
    ]
    instances = [instance for instance in every if instance.enabled]
    for key, message in conflicts(instances):
        check.mistake(key, message)
    if not instances and not check.mistakes:
        why = "every [service.NAME] table has enabled = false" if services else _NO_TABLE
        check.mistake_of_all(f"nothing to run: {why}")
    if check.mistakes:
        raise ConfigError(sorted(check.mistakes, key=_order), document.files)
    warnings = [f"{name} is disabled: {reason}" for name, reason in found.broken.items()]
    return Settings(
        DaemonSettings(**daemon_values),
        tuple(instances),
        (*warnings, *builder.warnings),
        tuple(document.files),
        {name: Source("sockd", document.place(("sockd", name))) for name in daemon_values},
        tuple(builder.unavailable),
        tuple(instance for instance in every if not instance.enabled),
    )


def _check_keys(check: Checker, tables: Mapping[str, Mapping[str, Any]], found: Found) -> None:
    """Note the keys that are not known, in all tables but those of services."""
    names = {*default_instances(found), *found.kinds}
    in_services = {f"[service.{name}]": {name} for name in names}
    everywhere = {**_IN_SOCKD, **_IN_DEFAULTS, **in_services}
    check.only((), check.document.values, TABLES, everywhere)
    elsewhere = {**_IN_SOCKD, **_IN_DEFAULTS, **_IN_SERVICE}
    check.only(("sockd",), tables["sockd"], field_names(DaemonSettings), elsewhere)
    check.only(("defaults",), tables["defaults"], field_names(Limits), elsewhere)


def _check_log(check: Checker, name: str) -> None:
    """Note why no log can be written to a file, where that can be seen."""
    if name and not Path(name).parent.is_dir():
        check.mistake(("sockd", "log_file"), f"{Path(name).parent} is not a directory")
    elif name and Path(name).is_dir():
        check.mistake(("sockd", "log_file"), f"{name} is a directory")


def _check_control(check: Checker, control: ControlPath, runtime: str) -> None:
    """Note a path that no socket can have."""
    if len(os.fsencode(control.within(runtime))) > LONGEST_PATH:
        check.mistake(("sockd", "control"), f"a socket's path has {LONGEST_PATH} bytes at most")


def _check_only(check: Checker, only: Sequence[str], services: Mapping[str, Any]) -> None:
    """Note the names of `--only` that no table has."""
    for name in only:
        if not name:
            given = f"expected names, as in echo,time; got {','.join(only)!r}"
            check.mistakes.append(Mistake(Place("--only"), "", given))
        elif name not in services:
            miss = near_miss(name, services, or_all=True)
            check.mistakes.append(Mistake(Place("--only"), name, f"no such instance{miss}"))
        elif isinstance(services[name], dict) and services[name].get("enabled") is False:
            where = check.document.place(("service", name, "enabled"))
            why = f"it is switched off, by enabled = false: {where}"
            check.mistakes.append(Mistake(Place("--only"), name, why))


def _order(mistake: Mistake) -> list[list[str | int]]:
    """What sorts mistakes by file, line and key: 10 comes after 9."""
    return [
        [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", text)]
        for text in (str(mistake.place), mistake.key)
    ]


class _Wrong(Exception):
    """Somebody asked for an option whose value is wrong."""


@frozen
class _Sound:
    """Options some of which are wrong: nothing is concluded from those."""

    _options: Any
    _wrong: frozenset[str]

    def __getattr__(self, name: str) -> Any:
        if name in self._wrong:
            raise _Wrong
        return getattr(self._options, name)


@define
class _Builder:
    """Makes instances of tables, and collects what to warn of."""

    check: Checker
    found: Found
    runtime: str
    defaults: Mapping[str, Any]
    """The values of `[defaults]` that are right."""
    warnings: list[str] = field(factory=list)
    unavailable: list[str] = field(factory=list)
    _told: set[Key] = field(factory=set)
    """Where ciphers are wrong."""

    def instance(self, name: str, value: Any) -> InstanceSettings | None:
        """The settings of a `[service.NAME]` table; None where it has no kind or no good name."""
        key: Key = ("service", name)
        table = self.check.table(key, value)
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name):
            self.check.mistake(key, "a name has letters, digits, '_' and '-', at most 64")
            return None
        enabled = self._enabled(key, table)
        if not enabled and f"sockd.services.{table.get('kind', name)}" in self.found.broken:
            return None  # switched off for that, perhaps
        kind, preset = self._kind(key, name, table)
        if kind is None:
            self.check.values(Limits, table, key)  # what every kind has can be wrong as well
            return None
        own = {**(preset.settings if preset else {}), **table}
        doors = {door.key for door in kind.all_doors}
        allowed = {"kind", "enabled"} | doors | field_names(Limits) | field_names(kind.options)
        self.check.only(key, table, allowed, _IN_SOCKD, f"sockd services {kind.name}")
        limits = Limits(**{**self.defaults, **self.check.values(Limits, own, key)})
        limits = self._with_good_ciphers(key, table, limits)
        listed = {door: list(texts) for door, texts in preset.listens().items()} if preset else {}
        places = self._doors(key, kind, {**listed, **own}, limits)
        listens = tuple(listen for _, listen in places)
        options = self._options(key, kind, own, enabled)
        self._check_listens(kind, options, places)
        if enabled:
            self._look_further(key, kind, places, limits, table)
        sources = self._sources(key, table)
        return InstanceSettings(name, kind, listens, limits, options, sources, enabled)

    def _look_further(
        self,
        key: Key,
        kind: Kind,
        places: Sequence[tuple[Key, Listen]],
        limits: Limits,
        table: Mapping[str, Any],
    ) -> None:
        """Find what is wrong with an instance that is to run, and what may not be meant."""
        name, listens = str(key[1]), tuple(listen for _, listen in places)
        self._find_failures(name, places, limits)
        if listens:
            self._find_idle_settings(key, kind, listens, table)
        self.warnings += _doubts(name, listens, limits)

    def _with_good_ciphers(self, key: Key, table: Mapping[str, Any], limits: Limits) -> Limits:
        """The limits, without ciphers that are wrong, of which it is told once."""
        asked = (limits.tls_versions, limits.tls_ciphers)
        if not limits.tls_ciphers or not (why := cipher_mistake(*asked)):
            return limits
        own = next((name for name in ("tls_ciphers", "tls_versions") if name in table), None)
        where: Key = ("defaults", "tls_ciphers") if own is None else (*key, own)
        if where not in self._told:
            self._told.add(where)
            self.check.mistake(where, why)
        return evolve(limits, tls_ciphers="")

    def _enabled(self, key: Key, table: Mapping[str, Any]) -> bool:
        """Whether an instance is to run."""
        enabled = table.get("enabled", True)
        if not isinstance(enabled, bool):
            self.check.mistake((*key, "enabled"), f"expected true or false, got {enabled!r}")
            return True
        return enabled

    def _kind(
        self, key: Key, name: str, table: Mapping[str, Any]
    ) -> tuple[Kind | None, Instance | None]:
        """The kind of an instance, and the default instance that it changes, if it does."""
        default_kind, preset = default_instances(self.found).get(name, (None, None))
        kind_name = table.get("kind", default_kind.name if default_kind else name)
        kind = self.found.kinds.get(kind_name) if isinstance(kind_name, str) else None
        if kind is not None:
            return kind, preset if default_kind is kind else None
        broken = self.found.broken.get(f"sockd.services.{kind_name}")
        reason = near_miss(str(kind_name), self.found.kinds)
        if broken:
            reason = f"; its file is broken: {broken}"
        elif not reason and "kind" not in table:
            reason = '; say with kind = "..." which it is'
        elif not reason:
            reason = "; `sockd services` tells which there are"
        where = (*key, "kind") if "kind" in table else key
        self.check.mistake(where, f"there is no kind of service {kind_name!r}{reason}")
        return None, None

    def _doors(
        self, key: Key, kind: Kind, table: Mapping[str, Any], limits: Limits
    ) -> tuple[tuple[Key, Listen], ...]:
        """Where every door of an instance listens: the main one has to; `[]` shuts another."""
        found: list[tuple[Key, Listen]] = []
        for door in kind.all_doors:
            if door.role and table.get(door.key) == []:
                continue
            if door.key in table or not door.role:
                name = f"{kind.name} ({door.role})" if door.role else kind.name
                where, texts = (*key, door.key), table.get(door.key)
                found += read_listens(self.check, where, texts, door, name, self.runtime)
        versions, ciphers = limits.tls_versions, limits.tls_ciphers
        return tuple((where, with_tls(listen, versions, ciphers)) for where, listen in found)

    def _options(self, key: Key, kind: Kind, own: Mapping[str, Any], enabled: bool) -> Any:
        values = self.check.values(kind.options, own, key)
        options = kind.options(**values)
        # which looks at the host, too: one may be switched off for what is not there
        if kind.check is not None and enabled:
            wrong = (field_names(kind.options) & own.keys()) - values.keys()
            try:
                kind.check(_Sound(options, frozenset(wrong)) if wrong else options)
            except OptionError as error:
                for name, why in error.mistakes:
                    self.check.mistake((*key, name), why)
            except ValueError as error:
                self.check.mistake(key, str(error))
            except _Wrong:
                pass  # that is a mistake already
        return options

    def _check_listens(
        self, kind: Kind, options: Any, places: Sequence[tuple[Key, Listen]]
    ) -> None:
        told: set[Key] = set()  # a string may stand for two addresses
        for key, listen in places:
            if kind.check_listen is None or listen.role or key in told:
                continue
            try:
                kind.check_listen(options, listen)
            except ValueError as error:
                told.add(key)
                self.check.mistake(key, str(error))

    def _find_failures(
        self, name: str, places: Sequence[tuple[Key, Listen]], limits: Limits
    ) -> None:
        # a string that stands for two addresses is told of once
        for (key, text), listen in {(key, listen.text): listen for key, listen in places}.items():
            if why := failure(listen):
                if limits.required:
                    self.check.mistake(key, why)
                else:
                    self.unavailable.append(f"service.{name}: {text}: {why}")

    def _find_idle_settings(
        self, key: Key, kind: Kind, listens: Sequence[Listen], table: Mapping[str, Any]
    ) -> None:
        # a kind may have an option of its own by the name of a limit
        given = table.keys() - field_names(kind.options)
        for name, why in without_effect(uses_at(kind, listens), given):
            if name in ACCESS:
                self.check.mistake((*key, name), why)
            else:
                self.warnings.append(f"service.{key[1]}.{name}: {why}")

    def _sources(self, key: Key, table: Mapping[str, Any]) -> dict[str, Source]:
        place = self.check.document.place
        defaults = {name: Source("defaults", place(("defaults", name))) for name in self.defaults}
        own = {name: Source(dotted(key), place((*key, name))) for name in table}
        return {**defaults, **own}


def _doubts(name: str, listens: Sequence[Listen], limits: Limits) -> Iterator[str]:
    """What is allowed, and perhaps not meant."""
    for listen in {listen.text: listen for listen in listens}.values():
        if listen.transport == "udp" and listen.scope == "wildcard" and not limits.allow:
            yield (
                f"service.{name}: {listen.text} answers datagrams of everybody, and "
                "their sources can be forged: listen on one address, or set allow"
            )
    denied = {prefix.version for prefix in limits.deny if prefix.prefixlen == 0}
    wanted = _versions(listens)
    left_open = wanted - denied
    if not (denied and wanted) or limits.allow:
        return
    if not left_open:
        yield f"service.{name}: nobody over IP may come in: deny has everybody, and allow nobody"
    else:
        [version] = left_open
        every = "0.0.0.0/0" if version == 4 else "::/0"
        yield f"service.{name}: deny leaves IPv{version} open: deny {every} too, or set allow"


def _versions(listens: Sequence[Listen]) -> set[int]:
    """The versions of IP that peers may come over; what systemd hands over may be of both."""
    found: set[int] = set()
    for listen in listens:
        if listen.transport in ("tcp", "tls", "udp"):
            found |= {4, 6} if listen.systemd else {6 if ":" in listen.host else 4}
    return found
