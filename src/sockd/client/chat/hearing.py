"""What a server's events mean to who is logged in.

Of a new server only what bears the right MAC is heard, each once; an old one's events are taken as
they are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from attrs import define, evolve, field

from sockd.client.chat import reading
from sockd.client.chat.channels import Channels
from sockd.client.chat.heard import Excuses, Gaps, Hearing, Recent
from sockd.client.chat.login import Login, Phase
from sockd.client.chat.outbox import Outbox
from sockd.client.chat.pulse import Pulse
from sockd.client.chat.sending import Pending
from sockd.client.chat.told import (
    ChannelRow,
    Done,
    Ended,
    Joined,
    Level,
    Listen,
    Lost,
    Message,
    Notice,
    NotSent,
    shown,
)
from sockd.client.chat.wishes import CHANGES, Wish
from sockd.formats import ports
from sockd.formats.chat import trailer
from sockd.formats.chat.events import Code, Event
from sockd.formats.chat.names import fold
from sockd.formats.chat.texts import (
    ChannelText,
    HeartbeatText,
    Said,
    read_port,
)
from sockd.formats.chat.trailer import Stamp

UNHEARD = 2
"""Messages of ours in a row that the server has had and that no group has brought, until it is
told: one may have been lost."""
NOT_HEARD = Notice(
    "the server hears us, but what is said in channels does not come: a switch or a firewall drops "
    "it; try another door, such as --tcp",
    Level.WARNING,
)
TOO_FAST = b"too fast"
"""How a new server begins to say that it takes no more of us now: later it does."""


class Came(NamedTuple):
    """What came with an event."""

    stamp: Stamp | None
    """None from an old server."""
    pending: Pending | None
    """What it answers."""
    now: float

    @property
    def time_ms(self) -> int | None:
        """When the server had it."""
        return self.stamp.time_ms if self.stamp is not None else None


@define(eq=False)
class Ears:
    """What has come, and what of it is new."""

    login: Login
    channels: Channels
    outbox: Outbox
    forged: int = 0
    """Events whose MAC was wrong, or that had none."""
    direct: Gaps = field(factory=Gaps)
    pulse: Pulse = field(factory=Pulse)
    _changed: int = 0
    """The number of the last event that has changed where we are."""
    _join: bytes = b""
    """An old server's last answer to a join, until we leave: when it comes again, it is no news."""
    _unheard: int = 0
    _has_port: bool = False
    """Whether we have been told where groups are heard since we logged in."""
    _has_told: bool = False
    """That what is said does not come."""
    _recent: Recent = field(factory=Recent)
    excuses: Excuses = field(factory=Excuses)

    def begin(self, last: int) -> None:
        """Numbers of what is for us alone begin anew."""
        self.direct = Gaps.after(last)
        self._changed = 0
        self.excuses = Excuses()

    def hear_again(self, last: int, now: float) -> None:
        """We are in again: what did not come back before says nothing of now. `last`: the number of
        what was sent to us alone last; where that is behind us, it is counted anew."""
        self._unheard, self._has_port = 0, False
        if self.direct.is_ahead(last):
            self.begin(last)
        self.direct.reach(last, now)

    @property
    def wants_port(self) -> bool:
        """Whether a channel has a group, and where groups are heard, or heartbeats, has not come,
        and is not only late."""
        return self.pulse.is_untold and self.direct.next_at is None

    def change_door(self, family: int | None) -> list[Done]:
        """The server will tell where groups are heard, if it has any. `family`: of those that can
        be heard; None for any."""
        return [*self.channels.leave_groups(), *self.pulse.change_door(family)]

    def lost(self, now: float) -> list[Done]:
        """What did not come in time."""
        count = self.excuses.take(self.direct.lost(now), now)
        return [*([Lost("", count)] if count else []), *self.channels.lost(now)]

    @property
    def next_at(self) -> float | None:
        """When something may count as lost."""
        times = (self.direct.next_at, self.channels.next_at, self.pulse.next_at)
        return min((at for at in times if at is not None), default=None)

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
                self.pulse.beat(stamp.sequence, now)
            return None
        login = self.login
        if not trailer.is_genuine(data, login.key) or (
            login.welcome is not None and stamp.epoch != login.welcome.epoch
        ):
            self._count_forged(stamp)
            return None
        if not self.direct.arrive(stamp.sequence, now):
            return []
        pending = self.outbox.unconfirmed.settle(stamp.number) if stamp.number else None
        came = Came(stamp, pending, now)
        if event.code == Code.ACK:
            return self._acknowledged(came, now)
        if event.code == Code.HEARTBEAT_AT:
            return self._heartbeats(event.text, stamp, now)
        return self._heard(event, came)

    def plain(self, event: Event, now: float) -> list[Done]:
        """An event of an old server, or of anybody who says that it is one."""
        if event.code == Code.LOGOFF:
            return []  # no old server sends one
        if event.code in _OF_CHANNEL and self.channels.find(event.text.partition(b" ")[0]) is None:
            return []  # of a channel that another client on this host has joined
        if event.code in _SAID and self._recent.is_double(event, now) and not self._is_echo(event):
            return []
        return self._heard(event, Came(None, self.outbox.unconfirmed.answered(event), now))

    def unechoed(self, now: float) -> list[Done]:
        """Something of ours that the server should have had has not come back."""
        self._unheard += 1
        if self._unheard == UNHEARD and self.login.is_new and self.pulse.has_port:
            return self.ask_alone(now)
        if self._unheard == UNHEARD or self._unheard == 2 * UNHEARD:
            has_told, self._has_told = self._has_told, True
            return [] if has_told or not (self.pulse.has_port or self.login.is_new) else [NOT_HEARD]
        return []

    def ask_alone(self, now: float) -> list[Done]:
        """Groups do not reach us: what goes to them is to be sent to us alone."""
        return self.outbox.send(Wish(Code.UNICAST, b""), now)

    def deaf(self, why: str, now: float) -> list[Done]:
        """A group cannot be heard here, such as where a program has the port for itself."""
        told: list[Done] = [Notice(why, Level.ERROR)]
        if not self.login.is_new:
            return told
        return [*told, *self.ask_alone(now)] if self.pulse.deaf() else []

    def _heartbeats(self, text: bytes, stamp: Stamp, now: float) -> list[Done]:
        told = HeartbeatText.read(text)
        if told is None or not self.pulse.is_heard(told.group):
            return []
        done = self.pulse.begin(told, stamp.key, now)
        return [*done, *self.ask_alone(now)] if self.pulse.is_deaf else done

    @property
    def has_missed_much(self) -> bool:
        """Whether what we say does not come back any more."""
        return self._unheard >= UNHEARD

    def _of_channel(self, data: bytes, event: Event, stamp: Stamp, now: float) -> list[Done] | None:
        hearing = self.channels.find(event.text.partition(b" ")[0])
        if hearing is None:
            return None  # of a channel that another client on this host has joined
        if not trailer.is_genuine(data, hearing.key):
            self._count_forged(stamp)
            return None
        self._unheard = 0
        if not hearing.arrive(stamp.sequence, now):
            return []
        return self._heard(event, Came(stamp, None, now))

    def _count_forged(self, stamp: Stamp) -> None:
        """What has another key may be of a server that has started anew, or of the session that is
        about to begin."""
        welcome = self.login.welcome
        is_ours = welcome is not None and stamp.epoch == welcome.epoch
        self.forged += is_ours and self.login.phase in (Phase.IN, Phase.LEAVING)

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
                return self.channels.parted(wish.text)
            case Code.UNICAST:
                return self.pulse.told()
            case Code.SEND_PRIVATE:
                to = shown(wish.text.partition(b" ")[0])
                own = shown(self.login.nickname)
                return [Message(own, wish.shown, "", stamp.time_ms, is_own=True, to=to)]
            case Code.SEND_PUBLIC:
                return self._shown_early(pending, stamp, now)
        return []

    def _shown_early(self, pending: Pending, stamp: Stamp, now: float) -> list[Done]:
        """The server has had what we have said, and we have not heard it."""
        hearing = self.channels.find(pending.channel)
        if hearing is not None:
            hearing.show_early(stamp.number, pending.first, now)
        own, title = shown(self.login.nickname), shown(pending.channel)
        said = Message(own, pending.wish.shown, title, stamp.time_ms, is_own=True)
        return [said, *self.unechoed(now)]

    def _heard(self, event: Event, came: Came) -> list[Done]:
        if (read := _READS.get(event.code)) is not None:
            return read(event.text, came.time_ms)
        hear = _HEARS.get(event.code)
        return hear(self, event.text, came) if hear is not None else []

    def _error(self, text: bytes, came: Came) -> list[Done]:
        if came.pending is not None and text.startswith(TOO_FAST):
            self.outbox.wishes.answered()
            self.outbox.wishes.add_first([came.pending.wish])
            self.outbox.wishes.slow_down()
            return []
        done: list[Done] = [Notice(shown(text.rstrip(b"\n")), Level.ERROR)]
        if came.pending is None:
            return done
        wish = came.pending.wish
        if wish.code in CHANGES:  # we are not in it, or not any more
            self.outbox.wishes.answered()
            parted = self.channels.parted(wish.text) if wish.text else []
            is_done = parted and wish.code == Code.PART_REQ and came.pending.tries > 1
            done = parted if is_done else [*done, *parted]
        return [*done, NotSent(wish.shown)] if wish.shown else done

    def _is_echo(self, event: Event) -> bool:
        """Whether it is something of ours that we wait for."""
        said = Said.read(event.text) if event.code == Code.PUBLIC_MSG else None
        if said is None or fold(said.user) != fold(self.login.nickname):
            return False
        return self.outbox.echoes.awaits(said.text)

    def _said(self, text: bytes, came: Came) -> list[Done]:
        said = Said.read(text)
        hearing = self.channels.find(said.title) if said is not None else None
        if said is None or hearing is None:
            return []
        is_own = fold(said.user) == fold(self.login.nickname)
        if is_own and self._is_shown(said, came.stamp, hearing):
            return []
        return [
            Message(shown(said.user), shown(said.text), shown(said.title), came.time_ms, is_own)
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
        if came.pending is not None:
            self.outbox.wishes.answered()
        found = self._channel(text)
        if found is None:
            return []
        if came.pending is not None and came.pending.wish.is_again:
            is_last = False  # all are joined again, in their order: should that end here, it stays
        elif came.stamp is None and came.pending is None:  # doubled, or late
            is_last = self.channels.find(found.title) is None
        is_news = is_last or bool(came.stamp or came.pending) or text != self._join
        self._join = text
        done: list[Done] = []
        if came.stamp is None and found.group is not None and not self.pulse.has_port:
            done += self._listen(ports.CHAT_GROUPS)  # some old servers never tell it
        self.pulse.has_groups |= ChannelText.read(text, has_group=True) is not None
        key, last = (came.stamp.key, came.stamp.last) if came.stamp is not None else (b"", 0)
        joined = self.channels.joined(found, key, last, came.now, is_current=is_last)
        return [*done, *(one for one in joined if is_news or not isinstance(one, Joined))]

    def _parted(self, text: bytes, came: Came) -> list[Done]:
        if self._is_late(came):
            return []
        self._join = b""
        if came.pending is not None:
            self.outbox.wishes.answered()
        found = self._channel(text)
        return self.channels.parted(found.title) if found is not None else []

    def _channel(self, text: bytes) -> ChannelText | None:
        """A channel, which need not have a group though others have."""
        may_have_group = self.pulse.has_port or not self.login.is_new
        found = ChannelText.read(text, has_group=True) if may_have_group else None
        if found is None:
            return ChannelText.read(text, has_group=False)
        is_heard = found.group is not None and self.pulse.is_heard(found.group)
        return found if is_heard else evolve(found, group=None)

    def _channel_row(self, text: bytes, _: Came) -> list[Done]:
        row = self._channel(text)
        return [ChannelRow(shown(row.title), row.count, shown(row.description))] if row else []

    def _port(self, text: bytes, came: Came) -> list[Done]:
        port = read_port(text)
        if port is None or (came.stamp is None and self._has_port):
            return []  # an old server tells it after a log-in, and anybody can whenever they like
        self._has_port = True
        return self._listen(port)

    def _listen(self, port: int) -> list[Done]:
        if not self.pulse.has_port and self.channels.here:  # they were joined without their groups
            self.outbox.asks_groups = True
        self.pulse.has_port = True
        return [Listen(port)]

    def _sent_away(self, text: bytes, _: Came) -> list[Done]:
        self.login.end()
        return [*self.outbox.end(), Ended(shown(text) or "the server has logged us off")]


_OF_CHANNEL = (Code.PUBLIC_MSG, Code.USER_JOINS, Code.USER_PARTS)
_SAID = (*_OF_CHANNEL, Code.PRIVATE_MSG)
_READS: dict[int, Callable[[bytes, int | None], list[Done]]] = {
    Code.PRIVATE_MSG: reading.whispered,
    Code.USER_JOINS: reading.came,
    Code.USER_PARTS: reading.went,
    Code.USER_ITEM: reading.user_row,
}
_HEARS: dict[int, Callable[[Ears, bytes, Came], list[Done]]] = {
    Code.ERROR: Ears._error,
    Code.PUBLIC_MSG: Ears._said,
    Code.JOIN_ACK: Ears._joined,
    Code.PART_ACK: Ears._parted,
    Code.CHANNEL_ITEM: Ears._channel_row,
    Code.SET_MCAST_PORT: Ears._port,
    Code.LOGOFF: Ears._sent_away,
}
