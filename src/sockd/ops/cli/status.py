"""`sockd status`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Any

import click

from sockd.formats.columns import columns
from sockd.formats.text import escape
from sockd.ops.cli.asking import ask, control_option, json_option, show
from sockd.ops.cli.words import amount, milliseconds, rate, span, times

HEADING = ("service", "transport", "address", "open", "arrivals/s", "refused", "in/s", "out/s")
DATAGRAMS = ("udp", "unixgram", "multicast")
"""Transports without connections."""


@click.command()
@click.option(
    "--ready",
    is_flag=True,
    help="Print nothing but what is missing; exit code 0: all that is required is served.",
)
@control_option
@json_option
def status(ready: bool, control: str | None, as_json: bool) -> None:
    """Tell how the daemon is, and what each service does.

    Its addresses, connections, rates and refusals.
    Rates are those of the last minute. Why the last reload failed is told until one succeeds.

    Exit codes: 0; 1 no daemon answers or, with --ready, something is missing.
    """
    answer = ask(control, "status", as_json=as_json)
    if not ready:
        show(answer, status_text, as_json=as_json)
        return
    show({name: answer.get(name) for name in ("ready", "missing")}, missing_text, as_json=as_json)
    sys.exit(answer.get("ready") is not True)


def missing_text(answer: Mapping[str, Any]) -> str:
    return "".join(f"{escape(line)}\n" for line in answer["missing"] or ())


def status_text(answer: Mapping[str, Any]) -> str:
    """All of it, for people."""
    return "\n".join([*map(escape, head(answer)), "", *table(answer)]) + "\n"


def head(answer: Mapping[str, Any]) -> Iterator[str]:
    """What there is to say of the daemon as a whole, a line each, not escaped."""
    yield (
        f"sockd {answer['version']}, process {answer['pid']}, up {span(answer['uptime'])}, "
        f"on the {answer['reactor']}: {'ready' if answer['ready'] else 'not ready'}"
    )
    yield from (f"missing: {text}" for text in answer["missing"])
    yield from _configuration(answer["configuration"], answer["time"])
    lag = answer["lag"]
    yield (
        f"loop: {milliseconds(lag['now'])} late now; in the last minute "
        f"{milliseconds(lag['p99'])} or less in 99 %, {milliseconds(lag['worst'])} at worst"
    )
    total = sum(one["totals"]["connections"] for one in answer["services"])
    refused = sum(one["totals"]["refused"] for one in answer["services"])
    draining = f" and {answer['draining']} that drain" if answer["draining"] else ""
    bans = f"; {times(answer['bans'], 'ban', 'bans')}" if answer["bans"] else ""
    opened = f"{answer['connections']} open{draining}, {total} so far"
    yield f"connections: {opened}; {refused} refused{bans}"
    for heading, until_reload in (("disabled", False), ("disabled until the next reload", True)):
        off = [one["name"] for one in answer["disabled"] if one["until_reload"] == until_reload]
        if off:
            yield f"{heading}: {', '.join(off)}"


def _configuration(answer: Mapping[str, Any], now: float) -> Iterator[str]:
    files = ", ".join(answer["files"]) or "built in"
    reloads = answer["reloads"]
    read = f"; read anew {times(reloads, 'time', 'times')}" if reloads else ""
    yield f"configuration: {files}{read}"
    if answer["restart"]:
        yield f"a restart is needed for: {', '.join(answer['restart'])}"
    if (failure := answer["failure"]) is not None:
        yield f"the last reload failed {span(now - failure['at'])} ago; all is as it was before:"
        yield from (f"    {reason}" for reason in failure["reasons"])


def table(answer: Mapping[str, Any]) -> list[str]:
    """A line an address; a service's figures stand in its first."""
    lines: list[tuple[str, ...]] = [HEADING]
    for one in answer["services"]:
        cells = figures(one)
        name = one["name"]
        for address in one["addresses"]:
            lines.append((escape(name), *map(escape, place(address)), *cells))
            name, cells = "", ("",) * len(cells)
    return columns(lines)


def place(address: Mapping[str, Any]) -> tuple[str, str]:
    """The transport of an address, and where it is."""
    text = address["address"] + f" ({address['role']})" * bool(address["role"])
    if not address["is_listening"]:
        text += f" (not yet: {address['waits_for']})" if address["waits_for"] else " (left out)"
    return address["transport"], text


def figures(service: Mapping[str, Any]) -> tuple[str, ...]:
    """What a service does, in the columns of the table."""
    rates = service["rates"]
    is_open = f"{service['connections']}/{service['max_connections']}"
    if all(address["transport"] in DATAGRAMS for address in service["addresses"]):
        is_open = "-"
    return (
        is_open,
        rate(rates["connections"] + rates["datagrams_in"]),
        str(service["totals"]["refused"]),
        amount(rates["bytes_in"]),
        amount(rates["bytes_out"]),
    )


COMMANDS = (status,)
