"""`sockd enable` and `sockd disable`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from sockd.formats.text import escape
from sockd.ops.cli.asking import ask, control_option, json_option, services, show
from sockd.ops.cli.words import span, times


@click.command()
@click.argument("service", shell_complete=services)
@control_option
@json_option
def disable(service: str, control: str | None, as_json: bool) -> None:
    """Stop SERVICE, until the next reload or `sockd enable`.

    Its addresses are let go of, and its connections end as when it stops: within its `drain`. What
    was counted of it is forgotten. `enabled = false` in the configuration is for good.
    """
    answer = ask(control, "disable", as_json=as_json, service=service)
    show(answer, disabled_text, as_json=as_json)


@click.command()
@click.argument("service", shell_complete=services)
@control_option
@json_option
def enable(service: str, control: str | None, as_json: bool) -> None:
    """Start SERVICE, which was disabled.

    One that `enabled = false` in the configuration keeps from running is ended by the next reload.
    """
    answer = ask(control, "enable", as_json=as_json, service=service)
    show(answer, enabled_text, as_json=as_json)


def disabled_text(answer: Mapping[str, Any]) -> str:
    """That a service is disabled, or was."""
    name = escape(answer["service"])
    if not answer["changed"]:
        return f"{name} is disabled already\n"
    count = answer["connections"]
    open_ones = times(count, "open connection", "open connections")
    ends = f"; {open_ones} may take {span(answer['drain'])} to end" if count else ""
    return f"{name} is disabled until the next reload{ends}\n"


def enabled_text(answer: Mapping[str, Any]) -> str:
    """That a service runs, or did."""
    name = escape(answer["service"])
    return f"{name} runs\n" if answer["changed"] else f"{name} is not disabled\n"


COMMANDS = (enable, disable)
