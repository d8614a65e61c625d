"""`sockd reload`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import click

from sockd.formats.text import escape
from sockd.ops.cli.asking import ask, control_option, json_option, read, show
from sockd.ops.cli.printing import complain


@click.command()
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@control_option
@json_option
def reload(dry_run: bool, control: str | None, as_json: bool) -> None:
    """Have the daemon read its configuration anew, and wait for it.

    All of it holds, or nothing of it: then the exit code is 1, and the reasons are printed.
    """
    answer = ask(control, "reload", as_json=as_json, for_long=True, dry_run=dry_run)
    is_done = read(answer, lambda told: told["ok"] is True, as_json=as_json)
    if is_done or as_json:
        show(answer, _text, as_json=as_json)
    else:
        complain(read(answer, _reasons, as_json=False))
    sys.exit(not is_done)


def _reasons(answer: Mapping[str, Any]) -> str:
    lines = ["sockd: not reloaded: the daemon goes on as it was", *answer["reasons"]]
    return "\n".join(map(escape, lines))


def _text(answer: Mapping[str, Any]) -> str:
    lines = answer["steps"] or ["nothing is different"]
    lines = [*lines, *(f"warning: {text}" for text in answer["warnings"])]
    return "".join(f"{escape(line)}\n" for line in lines)


COMMANDS = (reload,)
