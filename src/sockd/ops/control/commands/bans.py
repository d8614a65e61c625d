"""Who is banned: `ban`, `unban`, `bans`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from attrs import evolve
from twisted.internet.defer import Deferred

from sockd.access.bans import EVERYWHERE, Ban, Bans, NotBanned, make_ban
from sockd.access.guard import Session
from sockd.access.prefixes import Prefix, parse_prefix
from sockd.access.reasons import Reason
from sockd.chat.server import ChatServer
from sockd.ops.control.arguments import Arguments
from sockd.ops.control.command import Answer, Command
from sockd.ops.control.frames import ControlError
from sockd.ops.control.parts import in_parts
from sockd.ops.ending import end_sessions, expel_users

if TYPE_CHECKING:
    from sockd.ops.operations import Operations

MOST_AT_ONCE = 500
"""Prefixes of a request: they are taken in one turn of the loop, in some 20 ms."""


def ban(operations: Operations, arguments: Arguments) -> Deferred[Answer]:
    """Nobody comes from `prefixes`, for `duration` seconds or until that is taken back.

    Connections from there are ended, unless `leave_open`. `note` says what it is for.
    """
    made = asked_bans(operations, arguments)
    leave_open = arguments.take("leave_open", bool, False)
    arguments.done()
    return Deferred.fromCoroutine(_ban(operations, made, leave_open))


async def _ban(operations: Operations, made: Sequence[Ban], leave_open: bool) -> Answer:
    daemon = operations.daemon
    kept = hold(operations, made)
    ended = users = 0
    if not leave_open:
        asked = Asked(made)
        for _, instance in daemon.instances:
            if isinstance(chat := instance.context.shared, ChatServer):
                users += await expel_users(daemon, chat, asked.has)  # of datagrams, too
        ended = await end_sessions(daemon, asked.reason)
    return {**told(operations, made, await kept), "ended": ended, "users": users}


class Asked:
    """These bans, and no others, which may have left connections open."""

    def __init__(self, made: Sequence[Ban]) -> None:
        self._bans = Bans()
        self._now = made[0].since
        self._bans.add(self._now, *(evolve(ban, scope=EVERYWHERE) for ban in made))

    def has(self, host: str) -> bool:
        """Whether they have this address."""
        return self._bans.find(host, self._now) is not None

    def reason(self, session: Session) -> Reason | None:
        """Why a session is to end; None if it is not."""
        host = session.peer.host
        ban = self._bans.find(host, self._now) if host else None
        return None if ban is None else ban.reason


def unban(operations: Operations, arguments: Arguments) -> Deferred[Answer]:
    """Take the bans of `prefixes` back: all of them, or none where one is not banned."""
    return take_back(operations, arguments, EVERYWHERE)


def bans(operations: Operations, arguments: Arguments) -> Iterator[Answer]:
    """All bans that hold, those of single services too."""
    arguments.done()
    world = operations.daemon.world
    found = world.state.bans.now(world.reactor.seconds())
    return in_parts("bans", found, lambda ban: ban_told(operations, ban))


# what the bans of a chat have in common with these


def asked_bans(operations: Operations, arguments: Arguments, scope: str = EVERYWHERE) -> list[Ban]:
    """The bans that are asked for. Raises ControlError."""
    now = operations.daemon.world.reactor.seconds()
    seconds = arguments.take("duration", float, math.inf)
    note = arguments.take("note", str, "")
    try:
        return [
            make_ban(text, now, seconds, scope=scope, note=note) for text in _prefixes(arguments)
        ]
    except ValueError as error:
        raise ControlError(str(error), "usage") from None


def hold(operations: Operations, made: Sequence[Ban]) -> Deferred[str]:
    """Have them hold; see `BanKeeper.ban`. Raises ControlError."""
    try:
        return operations.bans.ban(made)
    except ValueError as error:
        raise ControlError(str(error), "refused") from None


def take_back(operations: Operations, arguments: Arguments, scope: str) -> Deferred[Answer]:
    """Take bans back, those of a service or those of all."""
    try:
        prefixes: list[Prefix] = [parse_prefix(text) for text in _prefixes(arguments)]
        arguments.done()
        kept = operations.bans.unban(dict.fromkeys(prefixes), scope)
    except NotBanned as error:
        raise ControlError(str(error), "refused") from None
    except ValueError as error:
        raise ControlError(str(error), "usage") from None
    plain = [str(prefix) for prefix in prefixes]
    return kept.addCallback(lambda why: {"prefixes": plain, "is_kept": not why, "why": why})


def _prefixes(arguments: Arguments) -> tuple[str, ...]:
    if not (found := arguments.texts("prefixes")):
        raise ControlError("`prefixes` is missing: a list of addresses and prefixes", "usage")
    if len(found) > MOST_AT_ONCE:
        raise ControlError(f"{MOST_AT_ONCE} prefixes at most at once, not {len(found)}", "usage")
    return found


def told(operations: Operations, made: Sequence[Ban], why: str) -> dict[str, Any]:
    """What is answered: the bans, and whether a start will know them."""
    return {
        "bans": [ban_told(operations, ban) for ban in made],
        "is_kept": not why,
        "why": why,
    }


def ban_told(operations: Operations, ban: Ban) -> dict[str, Any]:
    world = operations.daemon.world
    now, wall = world.reactor.seconds(), world.wall()
    has_end = ban.until < math.inf
    return {
        "prefix": str(ban.prefix),
        "service": ban.scope or None,
        "since": round(wall + ban.since - now, 3),
        "until": round(wall + ban.until - now, 3) if has_end else None,
        "seconds_left": round(max(0.0, ban.until - now), 3) if has_end else None,
        "note": ban.note,
    }


COMMANDS = {
    "ban": Command(ban, changes=True),
    "unban": Command(unban, changes=True),
    "bans": Command(bans),
}
