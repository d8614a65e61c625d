"""A document in, frozen settings out; every mistake at once, with its file, line and key.

`build` checks what the files say against the kinds of service that there are. No service is known
here by name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import attrs
from attrs import define, evolve, field, frozen, validators

from sockd.access.limits import Limits
from sockd.config.document import ConfigError, Document, Key, Mistake
from sockd.config.values import convert, mistakes_in
from sockd.listen.strings import Listen, expand
from sockd.net import tls
from sockd.options.option import option
from sockd.options.units import Duration
from sockd.service import Door, Found, Instance, Kind


@frozen
class DaemonSettings:
    """The `[sockd]` table: what concerns the process and not a service."""

    log_format: str = option(
        "text", '"text" for people, "json" for programs', validator=validators.in_(["text", "json"])
    )
    certificate_check: Duration = option(
        Duration(10),
        "how often certificate files are looked at; changed ones are used for new connections",
        validator=validators.ge(1),
    )


@frozen
class InstanceSettings:
    """One `[service.NAME]` table, checked."""

    name: str
    kind: Kind
    listen: tuple[Listen, ...]
    limits: Limits
    options: Any


@frozen
class Settings:
    """A whole configuration, checked."""

    daemon: DaemonSettings
    instances: tuple[InstanceSettings, ...]
    warnings: tuple[str, ...] = ()


@define
class _Checker:
    """Collects the mistakes of a document."""

    document: Document
    mistakes: list[Mistake] = field(factory=list)

    def mistake(self, key: Key, message: str) -> None:
        place = self.document.place(key)
        self.mistakes.append(Mistake(place, dotted(key), message))

    def table(self, key: Key, value: Any) -> dict[str, Any]:
        if isinstance(value, dict):
            return value
        self.mistake(key, f"expected a table, got {value!r}")
        return {}

    def unknown(self, key: Key, known: Iterable[str]) -> None:
        self.mistake(key, f"unknown key{near_miss(str(key[-1]), known)}")

    def structure(self, wanted: type, table: Mapping[str, Any], key: Key) -> Any:
        """The attrs object of a table's fields; those that are wrong are noted and left out."""
        found = {}
        for one in attrs.fields(attrs.resolve_types(wanted)):
            if one.name not in table:
                continue
            where = (*key, one.name)
            try:
                value = convert(table[one.name], one.type)
                if one.validator is not None:
                    one.validator(None, one, value)
                found[one.name] = value
            except ExceptionGroup as group:
                for inner, message in mistakes_in(group):
                    self.mistake((*where, *inner), message)
            except (ValueError, TypeError) as error:
                self.mistake(where, str(error.args[0] if error.args else error))
        return wanted(**found)


def dotted(key: Key) -> str:
    """`service.echo.listen[0]`."""
    text = ""
    for part in key:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")


def near_miss(word: str, known: Iterable[str]) -> str:
    """`; did you mean 'X'?` for the nearest of the known words, or nothing."""
    nearest = get_close_matches(word.lower(), sorted(known), n=1)
    return f"; did you mean {nearest[0]!r}?" if nearest else ""


def field_names(of: type) -> set[str]:
    """The keys that set an attrs class."""
    return {one.name for one in attrs.fields(of)}


def default_instances(found: Found) -> dict[str, tuple[Kind, Instance]]:
    """The instances that run where there is no configuration, by name, with their kinds."""
    return {
        instance.name: (kind, instance)
        for kind in found.kinds.values()
        for instance in kind.instances
    }


def build(
    document: Document, found: Found, runtime: str, only: Sequence[str] | None = None
) -> Settings:
    """Check a document against the kinds that there are. Raises ConfigError with every mistake.

    `runtime` replaces `${RUNTIME}` in listen strings; `only` names the instances to keep.
    """
    check = _Checker(document)
    for key in document.values.keys() - {"sockd", "defaults", "service"}:
        check.unknown((key,), ["sockd", "defaults", "service"])
    daemon_table = check.table(("sockd",), document.values.get("sockd", {}))
    for key in daemon_table.keys() - field_names(DaemonSettings):
        check.unknown(("sockd", key), field_names(DaemonSettings))
    daemon = check.structure(DaemonSettings, daemon_table, ("sockd",))
    defaults = check.table(("defaults",), document.values.get("defaults", {}))
    for key in defaults.keys() - field_names(Limits):
        check.unknown(("defaults", key), field_names(Limits))
    check.structure(Limits, defaults, ("defaults",))
    services = check.table(("service",), document.values.get("service", {}))
    for name in only or ():
        if name not in services:
            known = ", ".join(services)
            miss = near_miss(name, services) or f"; there are {known}"
            check.mistakes.append(Mistake("--only", name, f"no such instance{miss}"))
    instances = [
        instance
        for name in services
        if only is None or name in only
        if (instance := _instance(check, name, services[name], defaults, found, runtime))
    ]
    _find_conflicts(check, instances)
    if not services and not check.mistakes:
        check.mistake((), "nothing to run: there is no [service.NAME] table")
    if check.mistakes:
        raise ConfigError(sorted(check.mistakes, key=_place))
    return Settings(daemon, tuple(instances), tuple(_warnings(instances, found)))


def _place(mistake: Mistake) -> list[list[str | int]]:
    """What sorts mistakes by file, line and key: 10 comes after 9."""
    return [
        [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", text)]
        for text in (mistake.place, mistake.key)
    ]


def _instance(
    check: _Checker, name: str, value: Any, defaults: dict[str, Any], found: Found, runtime: str
) -> InstanceSettings | None:
    key: Key = ("service", name)
    known = default_instances(found)
    table = check.table(key, value)
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name):
        check.mistake(key, "a name has letters, digits, '_' and '-', at most 64")
        return None
    kind_name = table.get("kind", known[name][0].name if name in known else name)
    kind = found.kinds.get(kind_name) if isinstance(kind_name, str) else None
    if kind is None:
        where = (*key, "kind") if "kind" in table else key
        broken = found.broken.get(f"sockd.services.{kind_name}")
        reason = near_miss(str(kind_name), found.kinds)
        if broken:
            reason = f"; its file is broken: {broken}"
        elif not reason and "kind" not in table:
            reason = '; say with kind = "..." which it is'
        check.mistake(where, f"there is no kind of service {kind_name!r}{reason}")
        check.structure(Limits, table, key)  # what holds for every kind can be wrong as well
        return None
    preset = known[name][1] if name in known and known[name][0] is kind else None
    own = {**(preset.settings if preset else {}), **table}
    doors = {door.key for door in kind.all_doors}
    allowed = {"kind"} | doors | field_names(Limits) | field_names(kind.options)
    for one in table.keys() - allowed:
        check.unknown((*key, one), allowed)
    limits = check.structure(Limits, {**_good(defaults), **own}, key)
    listens = {one: list(texts) for one, texts in preset.listens().items()} if preset else {}
    listen = _doors(check, key, kind, {**listens, **own}, runtime, limits.required)
    mistakes = len(check.mistakes)
    options = check.structure(kind.options, own, key)
    if kind.check is not None and len(check.mistakes) == mistakes:
        try:
            kind.check(options)
        except ValueError as error:
            check.mistake(key, str(error))
    return InstanceSettings(name, kind, listen, limits, options)


def _doors(
    check: _Checker, key: Key, kind: Kind, table: dict[str, Any], runtime: str, required: bool
) -> tuple[Listen, ...]:
    """Where every door of an instance listens; the main one has to."""
    found: list[Listen] = []
    for door in kind.all_doors:
        if door.key in table or not door.role:
            name = f"{kind.name} ({door.role})" if door.role else kind.name
            texts = table.get(door.key)
            found += _listen(check, (*key, door.key), texts, door, name, runtime, required)
    return tuple(found)


def _good(defaults: dict[str, Any]) -> dict[str, Any]:
    """The defaults that are right: the others are mistakes of `[defaults]`, said there once."""
    silent = _Checker(Document())
    return {
        name: value
        for name, value in defaults.items()
        if silent.structure(Limits, {name: value}, ()) is not None and not _drain(silent.mistakes)
    }


def _drain(mistakes: list[Mistake]) -> bool:
    had = bool(mistakes)
    mistakes.clear()
    return had


def _listen(
    check: _Checker, key: Key, value: Any, door: Door, name: str, runtime: str, required: bool
) -> tuple[Listen, ...]:
    if value is None:
        check.mistake(key, f"missing; {name} can be listened on over {', '.join(door.transports)}")
        return ()
    if not isinstance(value, list) or not value:
        check.mistake(
            key, f'expected a list such as ["tcp:7800:interface=127.0.0.1"], got {value!r}'
        )
        return ()
    result: list[Listen] = []
    for index, text in enumerate(value):
        if not isinstance(text, str):
            check.mistake((*key, index), f"expected a text, got {text!r}")
            continue
        try:
            expanded = expand(text.replace("${RUNTIME}", runtime.replace(":", "\\:")))
        except ValueError as error:
            check.mistake((*key, index), str(error))
            continue
        transport = expanded[0].transport
        if transport not in door.transports:
            usable = ", ".join(door.transports)
            message = f"{name} does not work over {transport}, only over {usable}"
            check.mistake((*key, index), message)
            continue
        if required and (why := _tls_failure(expanded[0])):
            check.mistake((*key, index), why)
            continue
        result += (evolve(one, role=door.role) for one in expanded)
    return tuple(result)


def _tls_failure(listen: Listen) -> str:
    """Why TLS cannot be had from the files that a listen string names, or nothing."""
    if listen.transport == "tls":
        try:
            tls.load(listen.terms)
        except ValueError as error:
            return str(error)
    return ""


def _find_conflicts(check: _Checker, instances: Sequence[InstanceSettings]) -> None:
    taken: dict[tuple[bool, int, int, str], dict[str, str]] = {}
    for instance in instances:
        told: set[str] = set()
        for listen in instance.listen:
            if (
                listen.transport == "multicast"
                or listen.systemd
                or (listen.port == 0 and not listen.path)
            ):
                continue
            is_datagram = listen.transport in ("udp", "unixgram")
            version = 0 if listen.path else 6 if ":" in listen.host else 4
            owners = taken.setdefault((is_datagram, version, listen.port, listen.path), {})
            # nobody shares a port with a socket that listens on all addresses
            rivals = owners if listen.host in ("0.0.0.0", "::") else (listen.host, "0.0.0.0", "::")
            owner = next((owners[host] for host in rivals if host in owners), None)
            owners.setdefault(listen.host, instance.name)
            if owner is not None and listen.text not in told:
                told.add(listen.text)  # which may stand for two addresses
                check.mistake(
                    ("service", instance.name, "listen"),
                    f"{listen.text}: service.{owner} listens there already",
                )


def _warnings(instances: Sequence[InstanceSettings], found: Found) -> Iterator[str]:
    for name, reason in found.broken.items():
        yield f"{name} is disabled: {reason}"
    for instance in instances:
        limits = instance.limits
        # one that stands for two addresses is warned of once
        for listen in {listen.text: listen for listen in instance.listen}.values():
            if not limits.required and (why := _tls_failure(listen)):
                yield f"service.{instance.name}: {listen.text}: {why}"
            if listen.transport == "udp" and listen.scope == "wildcard" and not limits.allow:
                yield (
                    f"service.{instance.name}: {listen.text} answers datagrams of everybody, and "
                    "their sources can be forged: listen on one address, or set allow"
                )
