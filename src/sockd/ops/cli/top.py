"""`sockd top`."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from typing import Any

import click

from sockd.formats.columns import columns
from sockd.formats.text import escape
from sockd.ops.cli.asking import control_option, give_up, json_option, understood
from sockd.ops.cli.printing import tell
from sockd.ops.cli.sessions import Span
from sockd.ops.cli.status import head
from sockd.ops.cli.words import amount, rate

HEADING = (
    "service",
    "transport",
    "open",
    "connections/s",
    "datagrams/s",
    "refused/s",
    "in/s",
    "out/s",
)
SIMPLE = (None, "", "dumb", "unknown")
"""Terminals on which no picture can stand still."""
SHORTEST = 0.1
"""Seconds between two looks, at least: each costs the daemon a millisecond or so."""


@click.command()
@click.option(
    "-i",
    "--interval",
    metavar="DURATION",
    type=Span(),
    default="1s",
    help="Between two looks [1s].",
)
@click.option(
    "-c", "--count", metavar="NUMBER", type=click.IntRange(1), help="Look so often, and end."
)
@control_option
@json_option
def top(interval: float, count: int | None, control: str | None, as_json: bool) -> None:
    """Watch the services live, the busiest first, until ^C.

    On a terminal the picture stands still; elsewhere one follows the other. With --json: what
    `sockd status --json` says, an object a line, its rates those since the line before.
    """
    from sockd.ops.control.frames import ControlError

    try:
        with closing(_looks(control, max(SHORTEST, interval), count)) as looks:
            if as_json:
                for look in looks:
                    tell(f"{json.dumps(look)}\n")
            elif sys.stdout.isatty() and os.environ.get("TERM") not in SIMPLE:
                _paint(looks, stays=count is not None)
            else:
                for look in looks:
                    with understood():
                        text = top_text(look)
                    tell(f"{text}\n")
    except KeyboardInterrupt:
        sys.exit(0)
    except ControlError as error:
        give_up(error, as_json=as_json)


def _looks(
    control: str | None, interval: float, count: int | None
) -> Generator[dict[str, Any], None, None]:
    """What the daemon is at, again and again."""
    from sockd.ops.control.client import ControlClient

    with ControlClient(control) as client:
        before: dict[str, Any] | None = None
        while count is None or count > 0:
            if before is not None:
                time.sleep(interval)
            now = client.ask("status")
            with understood():
                told = now if before is None else between(before, now)
            yield told
            before = now
            count = None if count is None else count - 1


def between(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """What is now, with the rates since before; a service that is new has had nothing before."""
    seconds = now["uptime"] - before["uptime"]
    if seconds <= 0:
        return dict(now)  # another daemon
    old = {one["name"]: one["totals"] for one in before["services"]}
    services = []
    for one in now["services"]:
        was = old.get(one["name"], {})
        rates = {
            name: max(0, value - was.get(name, 0)) / seconds
            for name, value in one["totals"].items()
        }
        services.append({**one, "rates": rates})
    return {**now, "services": services, "rates_of": seconds}


def busiest(answer: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The services, the one that moves most first; those that rest in their own order."""

    def work(service: Mapping[str, Any]) -> tuple[float, int]:
        rates = service["rates"]
        return -(rates["bytes_in"] + rates["bytes_out"]), -service["connections"]

    return sorted(answer["services"], key=work)


def cells(service: Mapping[str, Any]) -> tuple[str, ...]:
    """A service as a line of the table, escaped."""
    rates = service["rates"]
    over = dict.fromkeys(address["transport"] for address in service["addresses"])
    return (
        escape(service["name"]),
        escape(" ".join(over)),
        f"{service['connections']}/{service['max_connections']}",
        rate(rates["connections"]),
        rate(rates["datagrams_in"]),
        rate(rates["refused"]),
        amount(rates["bytes_in"]),
        amount(rates["bytes_out"]),
    )


def top_text(answer: Mapping[str, Any]) -> str:
    """A picture, where there is no terminal."""
    lines = [*map(escape, head(answer)), "", *columns([HEADING, *map(cells, busiest(answer))])]
    return "".join(f"{line}\n" for line in lines)


def _paint(looks: Iterator[Mapping[str, Any]], *, stays: bool) -> None:
    """Show one picture in the place of the other; the last one `stays` on the terminal."""
    from rich.console import Console
    from rich.live import Live

    with Live(console=Console(highlight=False), screen=not stays, auto_refresh=False) as live:
        for look in looks:
            with understood():
                shown = picture(look)
            live.update(shown, refresh=True)


def picture(answer: Mapping[str, Any]) -> Any:
    """The same for rich."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for number, heading in enumerate(HEADING):
        table.add_column(heading, justify="left" if number < 2 else "right", no_wrap=True)
    for service in busiest(answer):
        rests = not any(service["rates"].values())
        row = [Text(cell) for cell in cells(service)]
        table.add_row(*row, style="dim" if rests and not service["connections"] else "")
    return Group(*(Text(escape(line)) for line in head(answer)), Text(), table)


COMMANDS = (top,)
