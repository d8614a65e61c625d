"""Connections and users of a chat that an administrator has sent away."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.task import deferLater

from sockd.access.guard import Session
from sockd.access.reasons import Reason
from sockd.chat.server import ChatServer
from sockd.daemon.daemon import Daemon
from sockd.ops.control.selection import guards

AT_ONCE = 200
"""Connections that are looked at in one pass of the loop, some milliseconds where all are ended."""


async def end_sessions(daemon: Daemon, why: Callable[[Session], Reason | None]) -> int:
    """Cut off those that there is a reason for, of all services; how many there were."""
    ended = 0
    for _, guard in guards(daemon):
        every = guard.sessions
        for start in range(0, len(every), AT_ONCE):
            if start:
                await deferLater(daemon.world.reactor, 0)
            for session in every[start : start + AT_ONCE]:
                if guard.has(session) and (reason := why(session)) is not None:
                    session.abort(reason)
                    ended += 1
    return ended


async def expel_users(daemon: Daemon, chat: ChatServer, is_meant: Callable[[str], bool]) -> int:
    """Log off those from addresses that are meant; how many there were."""
    users = chat.moderation.those(is_meant)
    gone = 0
    for start in range(0, len(users), AT_ONCE):
        if start:
            await deferLater(daemon.world.reactor, 0)
        gone += chat.expel(users[start : start + AT_ONCE])
    return gone
