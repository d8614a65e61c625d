"""The built-in configuration as an annotated TOML file, made from the declarations.

What runs without a configuration file is exactly this text, read as any other file.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator

import attrs

from sockd.access.limits import Limits
from sockd.config.settings import DaemonSettings, field_names
from sockd.config.toml import toml
from sockd.service import Found, Instance, Kind

COLUMNS = 100


def default_config(found: Found) -> str:
    """The text: every kind's default instances, every setting with its default and its reason."""
    lines = [
        "# sockd's built-in configuration: every service, on loopback, on unprivileged ports.",
        "# `#key = value`, without a space, is a setting and its default: to change it, take the",
        "# `#` away. Behind `# `, with a space, stands what it means. `enabled = false` in the",
        "# table of a service switches that off.",
        "",
        *_table("sockd", "what concerns the process", DaemonSettings),
        "",
        *_table("defaults", "what holds for every service; each can set it for itself", Limits),
    ]
    for name in sorted(found.kinds):
        for instance in found.kinds[name].instances:
            lines += ["", *_instance(found.kinds[name], instance)]
    return "\n".join(lines) + "\n"


def _table(name: str, purpose: str, settings: type) -> Iterator[str]:
    yield f"[{name}]"
    yield f"# {purpose}"
    yield from _options(settings, ())


def _options(settings: type, given: Iterable[str]) -> Iterator[str]:
    for field in attrs.fields(settings):
        if field.name in given:
            continue
        yield from _comment(field.metadata["help"])
        yield f"#{field.name} = {toml(field.default)}"


def _instance(kind: Kind, instance: Instance) -> Iterator[str]:
    yield f"[service.{instance.name}]"
    yield from _comment(kind.summary)
    if instance.name != kind.name:
        yield f"kind = {toml(kind.name)}"
    for key, listen in instance.listens().items():
        yield f"{key} = {toml(list(listen))}"
    for name, value in instance.settings.items():
        yield f"{name} = {toml(value)}"
    yield from _options(kind.options, field_names(kind.options) & set(instance.settings))


def _comment(text: str) -> Iterator[str]:
    for line in textwrap.wrap(text, COLUMNS - 2):
        yield f"# {line}"
