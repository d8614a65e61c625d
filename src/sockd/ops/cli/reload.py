"""`sockd reload`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import click

from sockd.formats.text import escape
from sockd.ops.cli.asking import ask, control_option, json_option, show


@click.command()
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@control_option
@json_option
def reload(dry_run: bool, control: str | None, as_json: bool) -> None:
    """Have the daemon read its configuration anew, and wait for it.

    All of it holds, or nothing of it: then the exit code is 1, and the reasons are printed.
    """
    answer = ask(control, "reload", as_json=as_json, seconds=None, dry_run=dry_run)
    if not (answer["ok"] or as_json):
        lines = ["sockd: not reloaded: the daemon goes on as it was", *answer["reasons"]]
        click.echo("".join(f"{escape(line)}\n" for line in lines), nl=False, err=True)
    else:
        show(answer, _text, as_json=as_json)
    sys.exit(not answer["ok"])


def _text(answer: Mapping[str, Any]) -> str:
    lines = answer["steps"] or ["nothing is different"]
    lines = [*lines, *(f"warning: {text}" for text in answer["warnings"])]
    return "".join(f"{escape(line)}\n" for line in lines)


COMMANDS = (reload,)
