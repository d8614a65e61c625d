"""What holds: every setting of a configuration, and where its value came from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from sockd.config.settings import InstanceSettings, Settings, Source
from sockd.config.toml import plain, toml
from sockd.config.uses import limits_for, uses_at
from sockd.formats.text import escape
from sockd.service import listen_key

Rows = list[tuple[str, Any, Source]]
"""Key, value, and where it came from."""


def _tables(settings: Settings) -> Iterator[tuple[str, Rows]]:
    """Each table with its name, and all that holds in it."""
    daemon = attrs.fields(type(settings.daemon))
    yield "sockd", _rows(settings.daemon, [field.name for field in daemon], settings.sources)
    for instance in (*settings.instances, *settings.disabled):
        yield f"service.{instance.name}", _instance_rows(instance)


def _instance_rows(instance: InstanceSettings) -> Rows:
    sources = instance.sources
    texts: dict[str, list[str]] = {door.key: [] for door in instance.kind.all_doors}
    for listen in instance.listen:
        strings = texts.setdefault(listen_key(listen.role), [])
        if listen.text not in strings:  # one may stand for two addresses
            strings.append(listen.text)
    limits = [field.name for field in limits_for(uses_at(instance.kind, instance.listen))]
    options = [field.name for field in attrs.fields(instance.kind.options)]
    return [
        ("kind", instance.kind.name, sources.get("kind", Source())),
        ("enabled", instance.enabled, sources.get("enabled", Source())),
        *((key, strings, sources.get(key, Source())) for key, strings in texts.items()),
        *_rows(instance.options, options, sources),
        *_rows(instance.limits, limits, sources),
    ]


def _rows(values: Any, names: list[str], sources: Mapping[str, Source]) -> Rows:
    return [(name, getattr(values, name), sources.get(name, Source())) for name in names]


def effective_toml(settings: Settings) -> str:
    """A configuration that holds the same, each value with where it came from behind it."""
    lines = [
        "# What holds, and where each value came from. A relative path in `listen` starts at the",
        "# folder of the file that is named behind it.",
    ]
    for table, rows in _tables(settings):
        lines += ["", f"[{table}]"]
        texts = [f"{name} = {toml(value)}" for name, value, _ in rows]
        width = min(max(map(len, texts), default=0), 40)
        lines += [
            f"{text:{width}}  # {escape(str(source))}"
            for text, (_, _, source) in zip(texts, rows, strict=True)
        ]
    return "\n".join(lines) + "\n"


def effective_json(settings: Settings) -> dict[str, Any]:
    """The same for programs: files, and each table's keys with value, file and line."""
    return {
        "files": list(settings.files),
        **{
            table: {
                name: {
                    "value": plain(value),
                    "from": str(source),
                    "file": None if source.place.folder is None else source.place.name,
                    "line": source.place.line or None,
                }
                for name, value, source in rows
            }
            for table, rows in _tables(settings)
        },
    }
