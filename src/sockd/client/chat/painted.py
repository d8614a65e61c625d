"""What is shown on a terminal, with its colours. All of it is escaped."""

from __future__ import annotations

from datetime import datetime
from hashlib import blake2b

from sockd.client.chat import lines
from sockd.client.chat.lines import visible
from sockd.client.chat.told import Level, Lost, Message, Notice, NotSent, Refused, Shown

COLOURS = (
    "ansired",
    "ansigreen",
    "ansiyellow",
    "ansiblue",
    "ansimagenta",
    "ansicyan",
    "ansibrightred",
    "ansibrightgreen",
    "ansibrightyellow",
    "ansibrightblue",
    "ansibrightmagenta",
    "ansibrightcyan",
)
"""One of them is a nickname's, always the same."""
DIM = "ansibrightblack"
UNREAD = " unread "

Parts = list[tuple[str, str]]
"""Styles, as prompt_toolkit has them, and texts."""


def colour(nickname: str) -> str:
    """The colour of a nickname."""
    digest = blake2b(nickname.casefold().encode("utf-8", "replace"), digest_size=2).digest()
    return COLOURS[int.from_bytes(digest, "big") % len(COLOURS)]


def rule(columns: int) -> Parts:
    """The mark above what is unread."""
    dashes = max(0, columns - 1 - len(UNREAD))
    return [("ansired", f"{'-' * (dashes // 2)}{UNREAD}{'-' * (dashes - dashes // 2)}\n")]


def painted(event: Shown, is_marked: bool, now: datetime) -> Parts:
    """One line, with its end."""
    clock = lines.clock_time(event.time_ms if isinstance(event, Message) else None, now)
    return [(DIM, f"{clock} "), *_parts(event, is_marked), ("", "\n")]


def _parts(event: Shown, is_marked: bool) -> Parts:
    match event:
        case Message():
            return _message(event, "bold" if is_marked else "")
        case Notice(level=Level.ERROR) | NotSent() | Refused():
            style = "ansired"
        case Notice(level=Level.WARNING) | Lost():
            style = "ansiyellow"
        case _:
            style = "bold" if is_marked else DIM
    return [(style, lines.shown(event))]


def _message(event: Message, style: str) -> Parts:
    who = event.to or event.user
    name = f"to {visible(who)}" if event.to else visible(who)
    where = visible(event.channel) if event.channel else "private"
    if not event.channel:
        style = f"italic {style}".strip()
    return [
        (DIM, f"[{where}] "),
        (f"{colour(who)} {style}", f"{name}: "),
        (style, visible(event.text)),
    ]
