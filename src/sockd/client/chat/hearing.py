"""What a server's events mean to who is logged in.

Of a new server only what bears the right MAC is heard, each once; an old one's events are taken as
they are.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from attrs import define, field

from sockd.client.chat.channels import Channels
from sockd.client.chat.heard import Gaps, Hearing
from sockd.client.chat.login import Login, Phase
from sockd.client.chat.outbox import Outbox
from sockd.client.chat.pulse import Pulse
from sockd.client.chat.sending import Pending
from sockd.client.chat.told import (
    ChannelRow,
    Done,
    Ended,
    Level,
    Listen,
    Lost,
    Message,
    Notice,
    NotSent,
    Presence,
    UserRow,
)
from sockd.client.chat.wishes import CHANGES
from sockd.formats import ports
from sockd.formats.chat import trailer
from sockd.formats.chat.events import Code, Event
from sockd.formats.chat.names import fold
from sockd.formats.chat.texts import (
    ChannelText,
    Coming,
    HeartbeatText,
    Said,
    UserText,
    Whispered,
    read_port,
)
from sockd.formats.chat.trailer import Stamp

UNHEARD = 2
"""Messages of ours in a row that the server has had and that no group has brought, until it is
told: one may have been lost."""
NO_GROUPS = Notice(
    "the server hears us, but what it sends to groups does not come: a switch or a firewall drops "
    "it; try another door, such as --tcp",
    Level.WARNING,
)
TOO_FAST = b"too fast"
"""How a new server begins to say that it takes no more of us now: later it does."""
EXCUSE_SECONDS = 10.0
"""How long a second try explains that an answer is missing: there was one to each."""


class Came(NamedTuple):
    """What came with an event."""

    stamp: Stamp | None
    """None from an old server."""
    pending: Pending | None
    """What it answers."""

    @property
    def time_ms(self) -> int | None:
        """When the server had it."""
        return self.stamp.time_ms if self.stamp is not None else None


_NOTHING = Came(None, None)


@define(eq=False)
class Ears:
    """What has come, and what of it is new."""

    login: Login
    channels: Channels
    outbox: Outbox
    forged: int = 0
    """Events whose MAC was wrong, or that had none."""
    has_groups: bool = False
    wants_port: bool = False
    """A channel has a group, and nobody has told where groups are heard."""
    direct: Gaps = field(factory=Gaps.from_start)
    pulse: Pulse = field(factory=Pulse)
    _latest_ms: int = 0
    _changed: int = 0
    """The number of the last event that has changed where we are."""
    _unheard: int = 0
    _excuses: deque[float] = field(factory=deque)

    def begin(self) -> None:
        """Numbers of what is for us alone begin anew."""
        self.direct = Gaps.from_start()
        self._latest_ms = self._changed = 0
        self._excuses.clear()

    def hear_again(self) -> None:
        """We were away: what did not come back then says nothing of now."""
        self._unheard = 0

    def excuse(self, now: float) -> None:
        """Something was sent once more: the answer to the first may have been what was lost."""
        self._excuses.append(now)

    def lost(self, now: float) -> list[Done]:
        """What did not come in time."""
        while self._excuses and now >= self._excuses[0] + EXCUSE_SECONDS:
            self._excuses.popleft()
        count = self.direct.lost(now)
        while count and self._excuses:
            self._excuses.popleft()
            count -= 1
        return [*([Lost("", count)] if count else []), *self.channels.lost(now)]

    def checked(self, data: bytes, now: float) -> list[Done] | None:
        """An event of a new server; None where it is not one of ours, or was forged."""
        found = trailer.stamped(data)
        if found is None or len(found[0]) < 2:
            self.forged += 1
            return None
        stripped, stamp = found
        event = Event(int.from_bytes(stripped[:2], "big"), stripped[2:])
        if event.code in _OF_CHANNEL:
            return self._of_channel(data, event, stamp, now)
        if event.code == Code.HEARTBEAT:
            if trailer.is_genuine(data, self.pulse.key):
                self.pulse.beat(now)
            return None
        login = self.login
        if not trailer.is_genuine(data, login.key) or (
            login.welcome is not None and stamp.epoch != login.welcome.epoch
        ):
            self._count_forged()
            return None
        if not self._is_new(stamp, now):
            return []
        pending = self.outbox.unconfirmed.settle(stamp.number) if stamp.number else None
        came = Came(stamp, pending)
        if event.code == Code.ACK:
            return self._acknowledged(came, now)
        if event.code == Code.HEARTBEAT_AT:
            told = HeartbeatText.read(event.text)
            return self.pulse.begin(told, stamp.key, now) if told is not None else []
        return self._heard(event, came)

    def plain(self, event: Event) -> list[Done]:
        """An event of an old server."""
        if event.code in _OF_CHANNEL and self.channels.find(event.text.partition(b" ")[0]) is None:
            return []  # of a channel that another client on this host has joined
        return self._heard(event, _NOTHING)

    def unechoed(self) -> list[Done]:
        """Something of ours that the server should have had has not come back."""
        self._unheard += 1
        return [NO_GROUPS] if self.has_groups and self._unheard == UNHEARD else []

    @property
    def has_missed_much(self) -> bool:
        """Whether what we say does not come back any more."""
        return self._unheard >= UNHEARD

    def _of_channel(self, data: bytes, event: Event, stamp: Stamp, now: float) -> list[Done] | None:
        hearing = self.channels.find(event.text.partition(b" ")[0])
        if hearing is None:
            return None  # of a channel that another client on this host has joined
        if not trailer.is_genuine(data, hearing.key):
            self.forged += 1
            return None
        self._unheard = 0
        return self._heard(event, Came(stamp, None)) if hearing.arrive(stamp.sequence, now) else []

    def _count_forged(self) -> None:
        """While we come back, what has another key may be of the session that is about to begin."""
        self.forged += self.login.phase in (Phase.IN, Phase.LEAVING)

    def _is_new(self, stamp: Stamp, now: float) -> bool:
        """A number that came before, and a later time: the server has forgotten us since, and
        begun to count anew."""
        is_new = self.direct.arrive(stamp.sequence, now)
        if not is_new and stamp.time_ms > self._latest_ms:
            self.begin()
            is_new = self.direct.arrive(stamp.sequence, now)
        self._latest_ms = max(self._latest_ms, stamp.time_ms)
        return is_new

    def _acknowledged(self, came: Came, now: float) -> list[Done]:
        """The server has had it; what it answered, if anything, was lost or is late."""
        pending, stamp = came.pending, came.stamp
        if pending is None or stamp is None:
            return []
        wish = pending.wish
        match wish.code:
            case Code.JOIN_REQ:  # to ask again does no harm
                self.outbox.wishes.answered()
                self.outbox.wishes.add_first([wish])
            case Code.PART_REQ:
                self.outbox.wishes.answered()
                self._changed = max(self._changed, stamp.sequence)
                return self.channels.parted(wish.text or pending.channel)
            case Code.SEND_PRIVATE:
                to = _text(wish.text.partition(b" ")[0])
                own = _text(self.login.nickname)
                return [Message(own, wish.shown, "", stamp.time_ms, is_own=True, to=to)]
            case Code.SEND_PUBLIC:
                return self._shown_early(pending, stamp, now)
        return []

    def _shown_early(self, pending: Pending, stamp: Stamp, now: float) -> list[Done]:
        """The server has had what we have said, and we have not heard it."""
        hearing = self.channels.find(pending.channel)
        if hearing is not None:
            hearing.show_early(stamp.number, pending.first, now)
        own, title = _text(self.login.nickname), _text(pending.channel)
        said = Message(own, pending.wish.shown, title, stamp.time_ms, is_own=True)
        return [said, *self.unechoed()]

    def _heard(self, event: Event, came: Came) -> list[Done]:
        hear = _HEARS.get(event.code)
        return hear(self, event.text, came) if hear is not None else []

    def _error(self, text: bytes, came: Came) -> list[Done]:
        if came.pending is not None and text.startswith(TOO_FAST):
            self.outbox.wishes.answered()
            self.outbox.wishes.add_first([came.pending.wish])
            self.outbox.wishes.slow_down()
            return []
        done: list[Done] = [Notice(_text(text.rstrip(b"\n")), Level.ERROR)]
        if came.stamp is None:
            self.outbox.wishes.answered()  # an old server does not say what it refuses
        if came.pending is None:
            return done
        wish = came.pending.wish
        if wish.code in CHANGES:
            self.outbox.wishes.answered()
        if wish.code == Code.JOIN_REQ:  # one that we were in before, and are not to be in again
            done += self.channels.parted(wish.text) if self.channels.find(wish.text) else []
        return [*done, NotSent(wish.shown)] if wish.shown else done

    def _said(self, text: bytes, came: Came) -> list[Done]:
        said = Said.read(text)
        hearing = self.channels.find(said.title) if said is not None else None
        if said is None or hearing is None:
            return []
        is_own = fold(said.user) == fold(self.login.nickname)
        if is_own and self._is_shown(said, came.stamp, hearing):
            return []
        return [
            Message(_text(said.user), _text(said.text), _text(said.title), came.time_ms, is_own)
        ]

    def _is_shown(self, said: Said, stamp: Stamp | None, hearing: Hearing) -> bool:
        """What we have said comes back: it is confirmed, or was before and is shown already."""
        session = self.login.session
        self._unheard = 0
        if stamp is None:
            self.outbox.echoes.came(said.text)
        elif session is not None and stamp.label == session.label:
            self.outbox.unconfirmed.settle(stamp.number)
            return hearing.came_back(stamp.number)
        return False

    def _whispered(self, text: bytes, came: Came) -> list[Done]:
        private = Whispered.read(text)
        if private is None:
            return []
        return [Message(_text(private.user), _text(private.text), "", came.time_ms)]

    def _came(self, text: bytes, _: Came) -> list[Done]:
        return self._presence(text, is_here=True)

    def _went(self, text: bytes, _: Came) -> list[Done]:
        return self._presence(text, is_here=False)

    def _presence(self, text: bytes, *, is_here: bool) -> list[Done]:
        """Somebody else has come or gone. We hear it of ourselves by a group that we still hear."""
        coming = Coming.read(text)
        if coming is None or fold(coming.user) == fold(self.login.nickname):
            return []
        return [Presence(_text(coming.title), _text(coming.user), is_here)]

    def _is_late(self, came: Came) -> bool:
        """Whether we have been told of a later change already; what we wait for is not late."""
        if came.stamp is None:
            return False
        is_late = came.pending is None and (
            came.stamp.number != 0 or came.stamp.sequence < self._changed
        )
        self._changed = max(self._changed, came.stamp.sequence)
        return is_late

    def _joined(self, text: bytes, came: Came) -> list[Done]:
        is_last = came.stamp is None or came.stamp.sequence >= self._changed
        if self._is_late(came):
            return []
        if came.stamp is None or came.pending is not None:
            self.outbox.wishes.answered()
        found = self._channel(text, came)
        if found is None:
            return []
        done: list[Done] = []
        if came.stamp is None and found.group is not None and not self.has_groups:
            self.has_groups = True  # some old servers never tell the port
            done.append(Listen(ports.CHAT_GROUPS))
        elif not self.has_groups and ChannelText.read(text, has_group=True) is not None:
            self.wants_port = True
        key = came.stamp.key if came.stamp is not None else b""
        return [*done, *self.channels.joined(found, key, is_current=is_last)]

    def _parted(self, text: bytes, came: Came) -> list[Done]:
        if self._is_late(came):
            return []
        self.outbox.wishes.answered()
        found = self._channel(text, came)
        return self.channels.parted(found.title) if found is not None else []

    def _channel(self, text: bytes, came: Came) -> ChannelText | None:
        """A channel, which need not have a group though others have. A new server tells the port of
        groups before any group; an old one may tell groups only."""
        may_have_group = self.has_groups or came.stamp is None
        grouped = ChannelText.read(text, has_group=True) if may_have_group else None
        return grouped or ChannelText.read(text, has_group=False)

    def _channel_row(self, text: bytes, came: Came) -> list[Done]:
        row = self._channel(text, came)
        return [ChannelRow(_text(row.title), row.count, _text(row.description))] if row else []

    def _user_row(self, text: bytes, _: Came) -> list[Done]:
        user = UserText.read(text)
        if user is None:
            return []
        return [UserRow(_text(user.user), user.seconds, [_text(one) for one in user.channels])]

    def _port(self, text: bytes, _: Came) -> list[Done]:
        port = read_port(text)
        if port is None:
            return []
        if not self.has_groups:  # what was joined before did not tell its group
            self.outbox.asks_groups = True
        self.has_groups, self.wants_port = True, False
        return [Listen(port)]

    def _sent_away(self, text: bytes, _: Came) -> list[Done]:
        self.login.end()
        return [Ended(_text(text) or "the server has logged us off")]


_OF_CHANNEL = (Code.PUBLIC_MSG, Code.USER_JOINS, Code.USER_PARTS)
_HEARS: dict[int, Callable[[Ears, bytes, Came], list[Done]]] = {
    Code.ERROR: Ears._error,
    Code.PUBLIC_MSG: Ears._said,
    Code.PRIVATE_MSG: Ears._whispered,
    Code.USER_JOINS: Ears._came,
    Code.USER_PARTS: Ears._went,
    Code.JOIN_ACK: Ears._joined,
    Code.PART_ACK: Ears._parted,
    Code.CHANNEL_ITEM: Ears._channel_row,
    Code.USER_ITEM: Ears._user_row,
    Code.SET_MCAST_PORT: Ears._port,
    Code.LOGOFF: Ears._sent_away,
}


def _text(data: bytes) -> str:
    """What came, as it may be shown to nobody yet: whoever shows it escapes it."""
    return data.decode("utf-8", "surrogateescape")
