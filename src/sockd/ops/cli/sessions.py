"""`sockd sessions` and `sockd kill`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

import click

from sockd.formats.columns import columns
from sockd.formats.text import escape
from sockd.ops.cli.asking import ask, control_option, follow, json_option, show
from sockd.ops.cli.asking import services as service_names
from sockd.ops.cli.words import amount, span, times

F = TypeVar("F", bound=Callable[..., Any])
HEADING = ("id", "service", "peer", "door", "state", "age", "idle", "in", "out")


class Span(click.ParamType):  # type: ignore[type-arg]  # only newer versions have one
    """A duration, as the configuration has it."""

    name = "duration"

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        """Seconds."""
        from sockd.options.units import Duration

        try:
            return float(Duration.parse(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


def selecting(command: F) -> F:
    """The options that choose connections."""
    for decorate in reversed(
        (
            click.argument("ids", metavar="[ID]...", type=int, nargs=-1),
            click.option(
                "-s",
                "--service",
                "services",
                metavar="NAME",
                shell_complete=service_names,
                multiple=True,
                help="Of this service; several may be.",
            ),
            click.option(
                "--from",
                "sources",
                metavar="PREFIX",
                multiple=True,
                help="From this address or network, such as 192.0.2.0/24; several may be.",
            ),
            click.option(
                "--age", metavar="DURATION", type=Span(), help="That began so long ago, or longer."
            ),
            click.option(
                "--idle", metavar="DURATION", type=Span(), help="Without a byte for so long."
            ),
        )
    ):
        command = decorate(command)
    return command


def _chosen(
    ids: Sequence[int],
    services: Sequence[str],
    sources: Sequence[str],
    age: float | None,
    idle: float | None,
) -> dict[str, Any]:
    """What was said, as arguments of a request."""
    return {
        "ids": list(ids) or None,
        "services": list(services) or None,
        "from": list(sources) or None,
        "age": age,
        "idle": idle,
    }


@click.command()
@selecting
@click.option("-f", "--follow", "follows", is_flag=True, help="Tell who comes and goes, until ^C.")
@control_option
@json_option
def sessions(
    ids: tuple[int, ...],
    services: tuple[str, ...],
    sources: tuple[str, ...],
    age: float | None,
    idle: float | None,
    follows: bool,
    control: str | None,
    as_json: bool,
) -> None:
    """List the open connections, or those with an ID.

    What is said of them must all be true. With --follow: those that begin and end from now on, a
    line each, of services with `log_connections`.
    """
    chosen = _chosen(ids, services, sources, age, idle)
    if follows:
        follow(control, "sessions", event_text, as_json=as_json, **chosen)
    else:
        show(ask(control, "sessions", as_json=as_json, **chosen), sessions_text, as_json=as_json)


@click.command()
@selecting
@click.option("--all", "has_all", is_flag=True, help="Every connection there is.")
@control_option
@json_option
def kill(
    ids: tuple[int, ...],
    services: tuple[str, ...],
    sources: tuple[str, ...],
    age: float | None,
    idle: float | None,
    has_all: bool,
    control: str | None,
    as_json: bool,
) -> None:
    """End open connections at once, and say how many.

    Those with an ID, or of which all is true that is said; `sockd sessions` takes the same and
    shows them. They may come back: `sockd ban` is for those that should not.

    Exit codes: 0; 1 there was none, or no daemon answers.
    """
    chosen = _chosen(ids, services, sources, age, idle)
    if not has_all and not any(chosen.values()):
        raise click.UsageError("say which: an ID, --service, --from, --age, --idle; or --all")
    answer = ask(control, "kill", as_json=as_json, all=has_all or None, **chosen)
    show(answer, _killed_text, as_json=as_json)
    sys.exit(not answer.get("killed"))


def sessions_text(answer: Mapping[str, Any]) -> str:
    """The table of connections."""
    rows = [HEADING, *map(row, answer["sessions"])]
    return "".join(f"{line}\n" for line in columns(rows))


def row(session: Mapping[str, Any]) -> tuple[str, ...]:
    """A connection as a line of the table, escaped."""
    return (
        str(session["id"]),
        escape(session["service"]),
        escape(session["peer"]),
        escape(session["door"]),
        escape(session["state"]),
        span(session["age"]),
        span(session["idle"]),
        amount(session["bytes_in"]),
        amount(session["bytes_out"]),
    )


def event_text(item: Mapping[str, Any]) -> str:
    """One of what is followed, as a line."""
    if "missed" in item:
        return f"({item['missed']} more were not read in time)\n"
    if item["event"] == "silent":
        return f"(without log_connections, and not told: {escape(', '.join(item['services']))})\n"
    moment = datetime.fromtimestamp(item["time"]).strftime("%H:%M:%S")
    line = f"{moment} {item['event']} {item['id']} {item['service']} {item['peer']} {item['door']}"
    if item["event"] == "closed":
        line += (
            f": {item['duration']:.1f} s, {amount(item['bytes_in'])} in, "
            f"{amount(item['bytes_out'])} out: {item['why']}"
        )
    return f"{escape(line)}\n"


def _killed_text(answer: Mapping[str, Any]) -> str:
    return f"{times(answer['killed'], 'connection', 'connections')} ended\n"


COMMANDS = (sessions, kill)
