"""`sockd status`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from sockd.formats.text import escape
from sockd.ops.cli.asking import ask, control_option, json_option, show


@click.command()
@control_option
@json_option
def status(control: str | None, as_json: bool) -> None:
    """Tell how the running daemon is."""
    show(ask(control, "status", as_json=as_json), _text, as_json=as_json)


def _text(answer: Mapping[str, Any]) -> str:
    lines = [f"sockd {answer['version']}, process {answer['pid']}, on the {answer['reactor']}"]
    for service in answer["services"]:
        places = [f"{one['transport']} {one['address']}" for one in service["addresses"]]
        lines.append(f"{service['name']}: {', '.join(places)}; {service['connections']} open")
    return "".join(f"{escape(line)}\n" for line in lines)


COMMANDS = (status,)
