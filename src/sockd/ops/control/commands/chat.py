"""Looking after a chat: `chat-who` and what can be done to those who are there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred

from sockd.access.bans import Ban
from sockd.chat.moderation import Seen
from sockd.chat.server import ChatServer
from sockd.ops.control.arguments import Arguments
from sockd.ops.control.command import Answer, Command
from sockd.ops.control.commands.access import find_instance
from sockd.ops.control.commands.bans import Asked, asked_bans, hold, take_back, told
from sockd.ops.control.frames import ControlError
from sockd.ops.control.parts import in_parts
from sockd.ops.ending import expel_users

if TYPE_CHECKING:
    from sockd.ops.operations import Operations


def who(operations: Operations, arguments: Arguments) -> Iterator[Answer]:
    """All users by nickname, who is muted, and which channels are closed."""
    name, chat = _chat(operations, arguments)
    arguments.done()
    rest = {"muted": chat.moderation.muted, "closed": chat.moderation.closed}
    return in_parts("users", chat.users(), _seen, service=name, **rest)


def mute(operations: Operations, arguments: Arguments) -> Answer:
    """`nickname` may say nothing, whoever has it, until the daemon ends."""
    return _do(operations, arguments, lambda chat, nickname: chat.moderation.mute(nickname))


def unmute(operations: Operations, arguments: Arguments) -> Answer:
    """It may speak again."""
    return _do(operations, arguments, lambda chat, nickname: chat.moderation.unmute(nickname))


def kick(operations: Operations, arguments: Arguments) -> Answer:
    """Log `nickname` off; it is told `why`."""
    why = arguments.take("why", str, "")
    return _do(operations, arguments, lambda chat, nickname: chat.kick(nickname, why))


def ban(operations: Operations, arguments: Arguments) -> Deferred[Answer]:
    """Nobody comes to the chat from `prefixes`, and who is there goes; see `ban`."""
    name, chat = _chat(operations, arguments)
    made = asked_bans(operations, arguments, name)
    arguments.done()
    return Deferred.fromCoroutine(_ban(operations, chat, made))


async def _ban(operations: Operations, chat: ChatServer, made: Sequence[Ban]) -> Answer:
    kept = hold(operations, made)
    users = await expel_users(operations.daemon, chat, Asked(made).has)
    return {**told(operations, made, await kept), "users": users}


def unban(operations: Operations, arguments: Arguments) -> Deferred[Answer]:
    """They may come to the chat again; see `unban`."""
    name, _ = _chat(operations, arguments)
    return take_back(operations, arguments, name)


def _do(
    operations: Operations, arguments: Arguments, what: Callable[[ChatServer, str], None]
) -> Answer:
    name, chat = _chat(operations, arguments)
    nickname = arguments.take("nickname", str)
    arguments.done()
    try:
        what(chat, nickname)
    except ValueError as error:
        raise ControlError(str(error), "refused") from None
    return {"service": name, "nickname": nickname}


def _chat(operations: Operations, arguments: Arguments) -> tuple[str, ChatServer]:
    """The chat that is meant: `service`, or the only one. Raises ControlError."""
    wanted = arguments.take("service", str, "")
    if wanted:
        _, instance = find_instance(operations, wanted)
        if not isinstance(instance.context.shared, ChatServer):
            raise ControlError(f"{wanted} is no chat", "usage")
        return wanted, instance.context.shared
    chats = {
        settings.name: instance.context.shared
        for settings, instance in operations.daemon.instances
        if isinstance(instance.context.shared, ChatServer)
    }
    if len(chats) == 1:
        return chats.popitem()
    if not chats:
        raise ControlError("the daemon runs no chat", "refused")
    raise ControlError(f"`service` is missing: the chats are {', '.join(chats)}", "usage")


def _seen(user: Seen) -> Answer:
    return {
        "nickname": user.nickname,
        "address": user.host or None,
        "door": user.door,
        "seconds": user.seconds,
        "silent": user.silent,
        "channels": list(user.channels),
        "is_proven": user.is_new,
        "is_muted": user.is_muted,
    }


COMMANDS = {
    "chat-who": Command(who),
    "chat-mute": Command(mute, changes=True),
    "chat-unmute": Command(unmute, changes=True),
    "chat-kick": Command(kick, changes=True),
    "chat-ban": Command(ban, changes=True),
    "chat-unban": Command(unban, changes=True),
}
