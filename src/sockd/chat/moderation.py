"""What an administrator may see and do: users, mute, kick, ban, close. For the control socket."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from attrs import frozen

from sockd.access.bans import Bans
from sockd.access.reasons import Reason, because
from sockd.chat.desk import Desk
from sockd.chat.effects import Effect
from sockd.chat.members import Channel, Moment, User
from sockd.chat.words import BANNED
from sockd.formats.chat.events import MAX_TEXT, Code
from sockd.formats.chat.names import fold, nickname_fault
from sockd.formats.chat.texts import harmless


class NotHere(ValueError):
    """There is no such user or channel."""


@frozen
class Seen:
    """A user, for people who look after the server."""

    nickname: str
    host: str
    """Empty for a Unix socket."""
    door: str
    seconds: int
    """Since the log-in."""
    silent: int
    """Seconds since anything came from it."""
    channels: Sequence[str]
    """The current one first."""
    is_new: bool
    """Whether it proves what it sends."""
    is_muted: bool


class Moderation:
    """Each call takes names as they are typed. Raises NotHere, and ValueError for what is no
    nickname, or too long: then nothing is changed."""

    def __init__(self, desk: Desk, bans: Bans | None = None, scope: str = "chat") -> None:
        """`scope`: which of the bans are this chat's."""
        self._desk = desk
        bans = Bans() if bans is None else bans
        desk.threshold.bans = lambda host, now: (
            bool(host) and bans.find(host, now, scope) is not None
        )

    def users(self, moment: Moment) -> list[Seen]:
        """All who are here, by nickname."""
        rooms, now = self._desk.rooms, moment.seconds
        return [
            Seen(
                user.nickname.decode(),
                user.place.host,
                user.place.gate.name,
                int(now - user.since),
                int(now - user.heard),
                [one.settings.title for one in user.channels],
                user.session is not None,
                folded in rooms.muted,
            )
            for folded, user in sorted(rooms.users.items())
        ]

    @property
    def muted(self) -> list[str]:
        """Who may not speak, folded."""
        return sorted(name.decode() for name in self._desk.rooms.muted)

    @property
    def closed(self) -> list[str]:
        """Channels that nobody new may join."""
        return [one.settings.title for one in self._desk.rooms.channels.values() if one.is_closed]

    def mute(self, nickname: str) -> None:
        """This name may say nothing, in channels or to users, whoever has it."""
        if fault := nickname_fault(nickname.encode()):
            raise ValueError(fault)
        self._desk.rooms.muted.add(fold(nickname.encode()))

    def unmute(self, nickname: str) -> None:
        """It may speak again."""
        folded = fold(nickname.encode())
        if folded not in self._desk.rooms.muted:
            raise NotHere(f"'{nickname}' is not muted")
        self._desk.rooms.muted.discard(folded)

    def kick(self, nickname: str, moment: Moment, why: str = "") -> list[Effect]:
        """Log a user off. It may come back: ban its address, if it is not to.

        Raises ValueError where there are too many words for an event.
        """
        user = self._desk.rooms.users.get(fold(nickname.encode()))
        if user is None:
            raise NotHere(f"there is no user '{nickname}'")
        words = harmless(why.encode()).decode() or "you were sent away"
        if len(words.encode()) > MAX_TEXT:
            raise ValueError(f"an event has no room for more than {MAX_TEXT} bytes")
        told = words.encode()
        return self._remove(user, moment, told, because("sent_away", detail=words), told)

    def those(self, is_meant: Callable[[str], bool]) -> list[User]:
        """The users whose address is meant; none of a Unix socket."""
        users = self._desk.rooms.users.values()
        return [user for user in users if user.place.host and is_meant(user.place.host)]

    def expel(self, users: Iterable[User], moment: Moment) -> list[Effect]:
        """Those of them who are still here go, because their address was banned."""
        here = self._desk.rooms.users
        return [
            effect
            for user in users
            if here.get(fold(user.nickname)) is user
            for effect in self._remove(user, moment, BANNED, because("banned"))
        ]

    def close(self, title: str) -> None:
        """Nobody new joins a channel; who is in it stays."""
        self._channel(title).is_closed = True

    def open(self, title: str) -> None:
        """It may be joined again."""
        self._channel(title).is_closed = False

    def _channel(self, title: str) -> Channel:
        channel = self._desk.rooms.channels.get(fold(title.encode()))
        if channel is None:
            raise NotHere(f"there is no channel {title}")
        return channel

    def _remove(
        self, user: User, moment: Moment, why: bytes, reason: Reason, again: bytes = b""
    ) -> list[Effect]:
        """An old client is told by an error, a new one that it is not to come back by itself.
        `again`: what its session is told if it does."""
        code = Code.ERROR if user.session is None else Code.LOGOFF
        told = self._desk.rooms.answer(user, code, why, moment)
        return [told, *self._desk.log_off(user, moment, reason, again)]
