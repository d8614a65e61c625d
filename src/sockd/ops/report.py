"""What is said of a configuration: its mistakes, or what it would listen on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sockd.config.document import ConfigError, Mistake
from sockd.config.settings import InstanceSettings, Settings
from sockd.formats.text import escape


def error_text(error: ConfigError) -> str:
    """All mistakes of a configuration, as the user sees them."""
    count = len(error.mistakes)
    heading = "a mistake" if count == 1 else f"{count} mistakes"
    return "\n".join([f"sockd: {heading} in the configuration", *map(str, error.mistakes)])


def check_text(settings: Settings) -> str:
    """The files that were read; what they would have listen, a line an address; the warnings."""
    lines = [f"read {escape(file)}" for file in settings.files]
    lines += [
        f"{instance.name}: {escape(str(listen))}" + f" ({listen.role})" * bool(listen.role)
        for instance in settings.instances
        for listen in instance.listen
    ]
    lines += [f"{instance.name}: off (enabled = false)" for instance in settings.disabled]
    lines += [f"warning: {escape(warning)}" for warning in _warnings(settings)]
    return "\n".join(lines) + "\n"


def error_json(error: ConfigError) -> str:
    """The same for programs, of a configuration that cannot be used."""
    return _report(error.files, mistakes=[_mistake(mistake) for mistake in error.mistakes])


def check_json(settings: Settings, failures: Sequence[str]) -> str:
    """The same for programs; `failures` are the addresses that cannot be bound."""
    instances = [_instance(instance) for instance in settings.instances]
    return _report(
        settings.files,
        instances=instances,
        disabled=[instance.name for instance in settings.disabled],
        warnings=_warnings(settings),
        failures=list(failures),
    )


def _warnings(settings: Settings) -> list[str]:
    return [*settings.warnings, *settings.unavailable]


def _report(files: Sequence[str], **found: list[Any]) -> str:
    lists = {
        "instances": [],
        "disabled": [],
        "warnings": [],
        "mistakes": [],
        "failures": [],
        **found,
    }
    is_ok = not lists["mistakes"] and not lists["failures"]
    return json.dumps({"ok": is_ok, "files": list(files), **lists})


def _instance(instance: InstanceSettings) -> dict[str, Any]:
    listens = [
        {"transport": listen.transport, "address": str(listen.address), "text": listen.text}
        for listen in instance.listen
    ]
    return {"name": instance.name, "kind": instance.kind.name, "listen": listens}


def _mistake(mistake: Mistake) -> dict[str, Any]:
    place = mistake.place
    return {
        "place": str(place),
        "file": None if place.folder is None else place.name,
        "line": place.line or None,
        "key": mistake.key,
        "message": mistake.message,
    }
