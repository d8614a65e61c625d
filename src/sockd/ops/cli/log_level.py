"""`sockd log-level`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from sockd.ops.cli.asking import ask, control_option, json_option, show

LEVELS = ("debug", "info", "warn", "error", "critical")
"""Only for a shell that completes; the daemon says which there are."""


def _levels(_: click.Context, __: click.Parameter, incomplete: str) -> list[str]:
    return [level for level in LEVELS if level.startswith(incomplete)]


@click.command("log-level")
@click.argument("level", required=False, shell_complete=_levels)
@control_option
@json_option
def log_level(level: str | None, control: str | None, as_json: bool) -> None:
    """Tell the least level that the log has, or make it LEVEL.

    debug, info, warn, error, critical: each has the others after it too. Connections are info. It
    holds until the daemon ends.
    """
    command = "log-level" if level is None else "set-log-level"
    show(ask(control, command, as_json=as_json, level=level), _text, as_json=as_json)


def _text(answer: Mapping[str, Any]) -> str:
    level, before = answer["level"], answer.get("before")
    return f"{level}\n" if before in (None, level) else f"{level}, no longer {before}\n"


COMMANDS = (log_level,)
