"""`sockd refused`, `sockd test-access`."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Any

import click

from sockd.formats.columns import columns
from sockd.formats.text import escape
from sockd.ops.cli.asking import ask, control_option, give_up, json_option, read, show
from sockd.ops.cli.asking import services as service_names
from sockd.ops.cli.words import span, times

HEADING = ("times", "service", "from", "door", "last", "first", "rule")
LOCAL = ("unix", "unixgram")
"""Transports that users of this host come by, and nobody else."""
FORGEABLE = (
    "?: the source of a datagram can be forged; nobody who has that address need have sent it"
)


@click.command()
@click.option(
    "-s",
    "--service",
    "services",
    metavar="NAME",
    multiple=True,
    shell_complete=service_names,
    help="At this service; several may be.",
)
@click.option(
    "--from",
    "sources",
    metavar="PREFIX",
    multiple=True,
    help="From this address or network; several may be.",
)
@control_option
@json_option
def refused(
    services: tuple[str, ...], sources: tuple[str, ...], control: str | None, as_json: bool
) -> None:
    """List who was refused lately, where, and by which rule.

    The latest first. Refusals of one source for one reason are one line, with how often and when. A
    source is an address, or a /64 of IPv6; of datagrams a /24, or a /56.
    """
    chosen: dict[str, Any] = {"services": list(services), "from": list(sources)}
    answer = ask(control, "refused", as_json=as_json, **chosen)
    show(answer, _refused_text, as_json=as_json)


@click.command("test-access")
@click.argument("service", shell_complete=service_names)
@click.argument("address")
@click.option("-c", "--config", metavar="FILE", help="Ask this configuration, and no daemon.")
@control_option
@json_option
def test_access(
    service: str, address: str, config: str | None, control: str | None, as_json: bool
) -> None:
    """Tell whether ADDRESS may come to SERVICE, and by which rule.

    ADDRESS can be user:NAME too, a user of this host who comes over a Unix socket. A running daemon
    is asked, which knows its bans; with --config the file alone.

    Exit codes: 0 it may come; 1 it may not, or SERVICE has no address that it could come to.
    """
    if config is None:
        answer = ask(control, "test-access", as_json=as_json, service=service, address=address)
    else:
        answer = _offline(config, service, address, as_json)
    show(answer, _access_text, as_json=as_json)
    may = read(answer, lambda told: told["is_allowed"] and _leads_there(told), as_json=as_json)
    sys.exit(not may)


def _offline(file: str, service: str, address: str, as_json: bool) -> dict[str, Any]:
    from sockd.formats.nearest import near_miss
    from sockd.ops.cli.loading import load_settings
    from sockd.ops.control.access import judged
    from sockd.ops.control.frames import ControlError

    settings = load_settings(file, None, None, None, (), as_json=as_json)
    by_name = {instance.name: instance for instance in settings.instances}
    if service in {one.name for one in settings.disabled}:
        why = f"{service} is disabled: enabled = false in {file}"
        give_up(ControlError(why, "refused"), as_json=as_json)
    if service not in by_name:
        miss = near_miss(service, by_name, or_all=True)
        why = f"there is no service {service!r:.100}{miss}"
        give_up(ControlError(why, "usage"), as_json=as_json)
    try:
        return judged(by_name[service], address)
    except ValueError as error:
        give_up(ControlError(str(error), "usage"), as_json=as_json)


def _access_text(answer: Mapping[str, Any]) -> str:
    may = "may come" if answer["is_allowed"] else "may not come"
    place = f" ({answer['place']})" if answer["place"] else ""
    lines = [f"{answer['who']} {may} to {answer['service']}: {answer['rule']}{place}"]
    if answer["others"]:
        lines.append(f"that stands above {', '.join(answer['others'])}")
    if answer["is_trusted"] and answer["is_allowed"]:
        lines.append("it is trusted: limits that count each source are not for it")
    if not _leads_there(answer):
        lines.append(f"but {answer['service']} is at {', '.join(answer['transports'])} only")
    if answer.get("ban"):
        lines.append(f"it is banned {_term(answer['ban'])}")
    elif answer.get("open_connections"):
        lines.append(_open(answer["open_connections"], answer["max_connections_per_source"]))
    return "".join(f"{escape(line)}\n" for line in lines)


def _term(ban: Mapping[str, Any]) -> str:
    left = ban["seconds_left"]
    term = "until it is taken back" if left is None else f"for {span(left)} more"
    return term + f": {ban['note']}" * bool(ban["note"])


def _open(count: int, most: int | None) -> str:
    """How many connections there are, and whether one more may come."""
    are = f"{times(count, 'connection is', 'connections are')} open from there"
    if most is None:
        return are
    full = ": one more is refused" * (count >= most)
    return f"{are}, of max_connections_per_source = {most}{full}"


def _leads_there(answer: Mapping[str, Any]) -> bool:
    """Whether the service has a door of the kind that it was asked about."""
    is_user = answer["who"].startswith("user:")
    return any((one in LOCAL) == is_user for one in answer["transports"])


def _refused_text(answer: Mapping[str, Any]) -> str:
    groups = answer["groups"]
    if not groups:
        return "nobody was refused\n"
    now = time.time()
    rows = [
        tuple(
            map(
                escape,
                (
                    str(one["count"]),
                    one["service"],
                    one["source"] + ("" if one["is_proven"] else " ?"),
                    one["transport"] or "-",
                    f"{span(now - one['last'])} ago",
                    f"{span(now - one['first'])} ago",
                    one["rule"],
                ),
            )
        )
        for one in groups
    ]
    lines = columns([HEADING, *rows])
    if not all(one["is_proven"] for one in groups):
        lines.append(FORGEABLE)
    if forgotten := answer["forgotten"]:
        lines.append(f"and {times(forgotten, 'group that is', 'groups that are')} forgotten")
    return "".join(f"{line}\n" for line in lines)


COMMANDS = (refused, test_access)
