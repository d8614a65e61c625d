"""`sockd ban`, `sockd unban`, `sockd bans`."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

import click

from sockd.formats.columns import columns
from sockd.formats.text import escape
from sockd.ops.cli.asking import ask, banned, control_option, json_option, show
from sockd.ops.cli.sessions import Span
from sockd.ops.cli.words import span, times

HEADING = ("from", "where", "since", "ends in", "note")
_WHOLE = ("/32", "/128")
"""How a prefix ends that is one address."""


prefixes_argument = click.argument("prefixes", metavar="PREFIX...", nargs=-1, required=True)
for_option = click.option(
    "--for",
    "duration",
    type=Span(),
    metavar="DURATION",
    help="How long, as 10m or 1d [default: until it is taken back].",
)
note_option = click.option("--note", metavar="TEXT", help="What it is for; `sockd bans` shows it.")


@click.command()
@prefixes_argument
@for_option
@note_option
@click.option("--leave-open", is_flag=True, help="Leave connections from there that are open.")
@control_option
@json_option
def ban(
    prefixes: tuple[str, ...],
    duration: float | None,
    note: str | None,
    leave_open: bool,
    control: str | None,
    as_json: bool,
) -> None:
    """Ban PREFIX, an address or a network, from every service.

    It stands above `allow` and `trusted`, and holds over a restart. Connections from there are
    ended, and users of a chat logged off. A ban of the same PREFIX is replaced.

    The source of a datagram can be forged: that one was refused is no reason to ban it.
    """
    answer = ask(
        control,
        "ban",
        as_json=as_json,
        prefixes=list(prefixes),
        duration=duration,
        note=note,
        leave_open=leave_open,
    )
    show(answer, ban_text, as_json=as_json)


@click.command()
@click.argument("prefixes", metavar="PREFIX...", nargs=-1, required=True, shell_complete=banned)
@control_option
@json_option
def unban(prefixes: tuple[str, ...], control: str | None, as_json: bool) -> None:
    """Take the ban of PREFIX back, as `sockd bans` shows it.

    Of several all are taken back, or none.
    """
    answer = ask(control, "unban", as_json=as_json, prefixes=list(prefixes))
    show(answer, unban_text, as_json=as_json)


@click.command()
@control_option
@json_option
def bans(control: str | None, as_json: bool) -> None:
    """List who is banned, where, for how long yet, and what for."""
    show(ask(control, "bans", as_json=as_json), _table, as_json=as_json)


def ban_text(answer: Mapping[str, Any]) -> str:
    """What has come of a ban."""
    lines = [_banned(one) for one in answer["bans"]]
    ended, users = answer.get("ended", 0), answer["users"]
    gone = [times(users, "user of a chat", "users of a chat")] if users else []
    gone += [times(ended, "connection", "connections")] if ended else []
    if gone:
        lines.append(f"gone from there: {', '.join(gone)}")
    lines += _wider(answer["bans"])
    return "".join(f"{line}\n" for line in [*lines, *_unkept(answer)])


def unban_text(answer: Mapping[str, Any]) -> str:
    """What has come of taking bans back."""
    lines = [f"{_plain(one)} is not banned any more" for one in answer["prefixes"]]
    return "".join(f"{line}\n" for line in [*lines, *_unkept(answer)])


def _banned(ban: Mapping[str, Any]) -> str:
    left = ban["seconds_left"]
    term = "until it is taken back" if left is None else f"for {span(round(left))}"
    where = f" from {escape(ban['service'])}" if ban["service"] else ""
    return f"{_plain(ban['prefix'])} is banned{where} {term}"


def _wider(bans: Iterable[Mapping[str, Any]]) -> list[str]:
    """A host has 2^64 addresses of IPv6: to ban one of them keeps nobody away."""
    from ipaddress import ip_network

    alone = [one["prefix"] for one in bans if one["prefix"].endswith("/128")]
    nets = dict.fromkeys(str(ip_network(one).supernet(new_prefix=64)) for one in alone)
    return [f"its host can have other addresses of {net}: ban that to be sure" for net in nets]


def _unkept(answer: Mapping[str, Any]) -> list[str]:
    return [] if answer["is_kept"] else [f"not known after a restart: {escape(answer['why'])}"]


def _plain(prefix: str) -> str:
    """As people write it: one address without its length."""
    text = escape(prefix)
    for end in _WHOLE:
        if text.endswith(end) and (":" in text) == (end == "/128"):
            return text.removesuffix(end)
    return text


def _table(answer: Mapping[str, Any]) -> str:
    now = time.time()
    rows = [
        (
            _plain(one["prefix"]),
            escape(one["service"] or "everywhere"),
            f"{span(now - one['since'])} ago",
            "-" if one["seconds_left"] is None else span(one["seconds_left"]),
            escape(one["note"]),
        )
        for one in answer["bans"]
    ]
    lines = columns([HEADING, *rows]) if rows else ["nobody is banned"]
    return "".join(f"{line}\n" for line in lines)


COMMANDS = (ban, unban, bans)
