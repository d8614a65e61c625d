"""`sockd chat`: looking after a chat."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from sockd.formats.columns import columns
from sockd.formats.text import escape
from sockd.ops.cli.asking import ask, control_option, json_option, services, show
from sockd.ops.cli.bans import (
    ban_text,
    for_option,
    note_option,
    prefixes_argument,
    unban_text,
)
from sockd.ops.cli.words import span, times

HEADING = ("nickname", "from", "door", "since", "silent", "channels")

_service = click.option(
    "-s",
    "--service",
    metavar="NAME",
    shell_complete=services,
    help="Which chat, where the daemon runs several.",
)
_nickname = click.argument("nickname")


@click.group()
def chat() -> None:
    """Look after a chat: who is there, who may speak, who must go."""


@chat.command()
@_service
@control_option
@json_option
def who(service: str | None, control: str | None, as_json: bool) -> None:
    """List who is in the chat, from where, and in which channels.

    And by which door, for how long, and silent for how long. The first channel is the one that a
    user speaks in. `old` is a client that can prove nothing.
    """
    show(ask(control, "chat-who", as_json=as_json, service=service), _table, as_json=as_json)


@chat.command()
@_nickname
@_service
@control_option
@json_option
def mute(nickname: str, service: str | None, control: str | None, as_json: bool) -> None:
    """Have NICKNAME say nothing, until unmute or a restart.

    Whoever has that name says nothing then.
    """
    answer = ask(control, "chat-mute", as_json=as_json, service=service, nickname=nickname)
    show(answer, lambda told: _done(told, "is muted"), as_json=as_json)


@chat.command()
@_nickname
@_service
@control_option
@json_option
def unmute(nickname: str, service: str | None, control: str | None, as_json: bool) -> None:
    """Let NICKNAME speak again."""
    answer = ask(control, "chat-unmute", as_json=as_json, service=service, nickname=nickname)
    show(answer, lambda told: _done(told, "may speak again"), as_json=as_json)


@chat.command()
@_nickname
@click.argument("why", required=False)
@_service
@control_option
@json_option
def kick(
    nickname: str, why: str | None, service: str | None, control: str | None, as_json: bool
) -> None:
    """Log NICKNAME off, and tell it WHY.

    It can come back: ban its address, if it is not to.
    """
    answer = ask(control, "chat-kick", as_json=as_json, service=service, nickname=nickname, why=why)
    show(answer, lambda told: _done(told, "is logged off"), as_json=as_json)


@chat.command()
@prefixes_argument
@for_option
@note_option
@_service
@control_option
@json_option
def ban(
    prefixes: tuple[str, ...],
    duration: float | None,
    note: str | None,
    service: str | None,
    control: str | None,
    as_json: bool,
) -> None:
    """Keep PREFIX away from a chat, and log off who is there.

    Who tries is told. Other services are not closed to it: that is `sockd ban`. It holds over a
    restart; `sockd bans` shows it, and `sockd chat unban` takes it back.
    """
    answer = ask(
        control,
        "chat-ban",
        as_json=as_json,
        service=service,
        prefixes=list(prefixes),
        duration=duration,
        note=note,
    )
    show(answer, ban_text, as_json=as_json)


@chat.command()
@prefixes_argument
@_service
@control_option
@json_option
def unban(
    prefixes: tuple[str, ...], service: str | None, control: str | None, as_json: bool
) -> None:
    """Let people come to a chat from PREFIX again.

    Of several all may, or none.
    """
    answer = ask(control, "chat-unban", as_json=as_json, service=service, prefixes=list(prefixes))
    show(answer, unban_text, as_json=as_json)


def _done(answer: Mapping[str, Any], what: str) -> str:
    return f"'{escape(answer['nickname'])}' {what}\n"


def _table(answer: Mapping[str, Any]) -> str:
    rows = [
        tuple(
            map(
                escape,
                (
                    one["nickname"] + (" (muted)" if one["is_muted"] else ""),
                    (one["address"] or "this host") + ("" if one["is_proven"] else " (old)"),
                    one["door"],
                    span(one["seconds"]),
                    span(one["silent"]),
                    ", ".join(one["channels"]) or "-",
                ),
            )
        )
        for one in answer["users"]
    ]
    lines = columns([HEADING, *rows]) if rows else []
    lines.append(f"{times(len(rows), 'user', 'users')} in {escape(answer['service'])}")
    for what in ("muted", "closed"):
        if answer[what]:
            lines.append(f"{what}: {escape(', '.join(answer[what]))}")
    return "".join(f"{line}\n" for line in lines)


COMMANDS = (chat,)
