"""Users, channels and the rules between them: what each event of a user has sent to whom.

Nothing here knows of sockets or clocks: each call is told the time and returns effects, to be
carried out in order. Who a datagram is from is the desk's business (`sockd.chat.desk`).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping

from sockd.access.reasons import Reason, because
from sockd.chat.effects import (
    Arrived,
    Effect,
    Entered,
    Gone,
    Left,
    Listing,
    Moved,
    ToChannel,
    ToUser,
)
from sockd.chat.heartbeat import Heartbeat
from sockd.chat.members import Channel, Moment, Patience, Place, Session, User
from sockd.chat.secret import Secret
from sockd.chat.settings import ChannelSettings, Settings
from sockd.formats.chat.events import MAX_TEXT, Code, pack
from sockd.formats.chat.names import fold
from sockd.formats.chat.texts import Coming, Said, UserText, Whispered, harmless
from sockd.formats.chat.trailer import Stamp, stamp

NOT_CHANNEL = b"there is no channel %s"
NO_CURRENT = b"you are in no channel: join one"
NOT_USER = b"there is no user %s"
NO_RECIPIENT = b"to whom?"
MUTED = b"you are muted"
IS_LISTING = b"a list is on its way"
MANY_LISTS = b"too many lists are on their way: ask again"
MOST_LISTS = 1_000
"""Lists on their way at once: each remembers all who were in its channel, 8 bytes for each."""
TOO_LONG = b"too long: %d bytes more than an event holds"
SHOWN = 64
"""Bytes of a name that nobody has that its user is told: enough to see what was typed."""
SILENT = because("silent")
SILENT_AT_ONCE = 500
"""Users that are logged off at once for their silence: each has all in its channels told, and a
network that has gone takes thousands with it. The others go a tick later."""


class Rooms:
    """All users and channels of one server."""

    def __init__(self, settings: Settings, secret: Secret, epoch: int) -> None:
        self.settings = settings
        self.secret = secret
        self.epoch = epoch
        self.heartbeat = Heartbeat(secret, epoch)
        self.users: dict[bytes, User] = {}
        """By folded nickname."""
        self.at: dict[Place, User] = {}
        self.channels: dict[bytes, Channel] = {}
        """By folded title."""
        self._lists = 0  # on their way
        self.muted: set[bytes] = set()
        """Folded nicknames of who may not speak, here or not."""
        self._silent: Mapping[Patience, OrderedDict[User, None]] = {
            patience: OrderedDict() for patience in Patience
        }
        """Who was heard longest ago comes first."""
        self._do: Mapping[int, Callable[[User, bytes, Moment, int], list[Effect]]] = {
            Code.JOIN_REQ: self._join,
            Code.PART_REQ: self._part,
            Code.SEND_PUBLIC: self._say,
            Code.SEND_PRIVATE: self._whisper,
            Code.LIST_CHANNELS: self._list_channels,
            Code.LIST_USERS: self._list_users,
            Code.STILL_HERE: self._still_here,
            Code.UNICAST: self._by_unicast,
        }
        self.apply(settings, Moment(0.0, 0))

    def apply(self, settings: Settings, moment: Moment) -> list[Effect]:
        """Have other settings. A channel that is there no more is left by all, and one that has
        another group is joined anew."""
        self.settings = settings
        wanted = {fold(one.title.encode()): one for one in settings.channels}
        effects: list[Effect] = []
        for folded, channel in self.channels.items():
            if folded not in wanted:
                effects += self._empty(channel, moment)
        channels: dict[bytes, Channel] = {}
        for folded, one in wanted.items():
            if (known := self.channels.get(folded)) is None:
                key = self.secret.channel_key(one.title.encode(), self.epoch)
                known = Channel(one, key, self.epoch)
            channels[folded] = known
        self.channels = channels
        changed = {one: wanted[folded] for folded, one in channels.items()}
        return effects + self._change(changed, moment)

    def _empty(self, channel: Channel, moment: Moment) -> list[Effect]:
        """All are out of a channel, and each is told, but not of the others: they all know."""
        effects: list[Effect] = []
        for user in tuple(channel.members):
            del channel.members[user]
            effects.append(Left(channel, user))
            effects += self._parted(user, channel, moment, 0)
        return effects

    def _change(self, to: Mapping[Channel, ChannelSettings], moment: Moment) -> list[Effect]:
        """Channels have other settings. Who hears one by a group that is another now is told: of
        all old groups first, for one may be the new one of another channel."""
        moved: list[tuple[User, Channel]] = []
        effects: list[Effect] = []
        for channel, settings in to.items():
            for user in channel.members:
                gate = user.place.gate
                if gate.group(channel.settings) != gate.group(settings):
                    moved.append((user, channel))
                    effects.append(self.answer(user, Code.PART_ACK, channel.text(gate), moment))
        for channel, settings in to.items():
            channel.use(settings)
        effects += [self._welcome(user, channel, moment, 0) for user, channel in moved]
        for user, last in dict(moved).items():
            if (current := user.channels[0]) is not last:
                effects.append(self._welcome(user, current, moment, 0))
        return effects

    # who is here

    def log_in(
        self, place: Place, nickname: bytes, moment: Moment, session: Session | None = None
    ) -> list[Effect]:
        """Somebody whose name is free is here from now on."""
        now = moment.seconds
        user = User(nickname, place, now, now, session, tokens=self.settings.burst, tokens_at=now)
        self.users[fold(nickname)] = self.at[place] = user
        self._silent[user.patience][user] = None
        return [Arrived(user)]

    def log_off(self, user: User, moment: Moment, reason: Reason) -> list[Effect]:
        """Somebody is gone; those who remain are told."""
        self.listed(user)
        effects: list[Effect] = []
        for channel in user.channels:
            effects += self._withdraw(user, channel, moment)
        user.channels.clear()
        del self.users[fold(user.nickname)], self.at[user.place]
        del self._silent[user.patience][user]
        return [*effects, Gone(user, reason)]

    def move(self, user: User, place: Place) -> list[Effect]:
        """A user is somewhere else from now on."""
        if place == user.place:
            return []
        before = user.place
        del self.at[before]
        user.place = place
        user.by_unicast = False  # groups may reach it there
        self.at[place] = user
        return [Moved(user, before)]

    def alive(self, user: User, now: float) -> None:
        """Something has come from a user."""
        user.heard = now
        if user.patience is Patience.SUSPECT:
            self._be(user, Patience.SHORT if user.has_signs else Patience.LONG)
        else:
            self._silent[user.patience].move_to_end(user)

    def suspect(self, place: Place, now: float) -> None:
        """The network says that nobody is there. Anybody can have it say so: it is not believed,
        but who is silent from now on has less time. Nobody has more of it, and nobody none."""
        user = self.at.get(place)
        if user is None or user.patience is Patience.SUSPECT:
            return
        if user.heard + self._limit(user.patience) > now + self.settings.suspect_patience:
            user.heard = now
            self._be(user, Patience.SUSPECT)

    def silence(self, moment: Moment) -> list[Effect]:
        """Log off who has not been heard for too long."""
        effects: list[Effect] = []
        left = SILENT_AT_ONCE
        for patience, users in self._silent.items():
            limit = self._limit(patience)
            while users and left:
                user = next(iter(users))
                if moment.seconds - user.heard < limit:
                    break
                effects += self.log_off(user, moment, SILENT)
                left -= 1
        return effects

    def _limit(self, patience: Patience) -> float:
        settings = self.settings
        return {
            Patience.LONG: settings.long_patience,
            Patience.SHORT: settings.patience,
            Patience.SUSPECT: settings.suspect_patience,
        }[patience]

    def _be(self, user: User, patience: Patience) -> None:
        del self._silent[user.patience][user]
        user.patience = patience
        self._silent[patience][user] = None

    # what a user wants

    def event(
        self, user: User, code: int, text: bytes, moment: Moment, number: int = 0
    ) -> list[Effect]:
        """An event of somebody who is logged in. `number`: the one that its client gave it."""
        do = self._do.get(code)
        if do is None:
            return self.error(user, b"unknown code %d" % code, moment, number)
        return do(user, text, moment, number)

    def _by_unicast(self, user: User, text: bytes, moment: Moment, number: int) -> list[Effect]:
        """Groups do not reach this user."""
        user.by_unicast = True
        again = [
            effect for one in user.channels for effect in (Left(one, user), Entered(one, user))
        ]
        return [*again, *self._acknowledge(user, moment, number)]

    def _still_here(self, user: User, text: bytes, moment: Moment, number: int) -> list[Effect]:
        if not user.has_signs:
            user.has_signs = True
            user.heard = moment.seconds
            self._be(user, Patience.SHORT)
        return self._acknowledge(user, moment, number)

    def _join(self, user: User, text: bytes, moment: Moment, number: int) -> list[Effect]:
        channel = self._channel(text)
        if channel is None:
            return self.error(user, NOT_CHANNEL % _name(text.strip()), moment, number)
        effects: list[Effect] = []
        if channel not in user.channels:
            if channel.is_closed:
                return self.error(user, b"%s is closed" % channel.title, moment, number)
            if len(user.channels) >= self.settings.max_channels:
                limit = self.settings.max_channels
                return self.error(user, b"you are in %d channels already" % limit, moment, number)
            if moment.seconds >= user.quiet_until:
                effects += self._tell(Code.USER_JOINS, user, channel, moment)
            channel.members[user] = None
            effects.append(Entered(channel, user))
        else:
            user.channels.remove(channel)
        user.channels.insert(0, channel)
        return [*effects, self._welcome(user, channel, moment, number)]

    def _part(self, user: User, text: bytes, moment: Moment, number: int) -> list[Effect]:
        title = text.strip()
        channel = self._channel(title) if title else self._current(user)
        if channel is None:
            why = NOT_CHANNEL % _name(title) if title else NO_CURRENT
            return self.error(user, why, moment, number)
        if channel not in user.channels:
            return self.error(user, b"you are not in %s" % channel.title, moment, number)
        effects = self._withdraw(user, channel, moment)
        return effects + self._parted(user, channel, moment, number)

    def _parted(self, user: User, channel: Channel, moment: Moment, number: int) -> list[Effect]:
        """Tell a user that it is out of a channel, and which one is the current one now."""
        was_current = channel is self._current(user)
        user.channels.remove(channel)
        text = channel.text(user.place.gate)
        effects: list[Effect] = [self.answer(user, Code.PART_ACK, text, moment, number)]
        if was_current and (current := self._current(user)) is not None:
            effects.append(self._welcome(user, current, moment, 0))
        return effects

    def _say(self, user: User, text: bytes, moment: Moment, number: int) -> list[Effect]:
        channel = self._current(user)
        if channel is None:
            return self.error(user, NO_CURRENT, moment, number)
        said = Said(channel.title, user.nickname, harmless(text)).write()
        if why := self._unspeakable(user, said):
            return self.error(user, why, moment, number)
        return [ToChannel(channel, channel.stamped(Code.PUBLIC_MSG, said, moment, user, number))]

    def _whisper(self, user: User, text: bytes, moment: Moment, number: int) -> list[Effect]:
        to, _, words = text.partition(b" ")
        peer = self.users.get(fold(to))
        if peer is None:
            why = NOT_USER % _name(to) if to else NO_RECIPIENT
            return self.error(user, why, moment, number)
        whispered = Whispered(user.nickname, harmless(words)).write()
        if unspeakable := self._unspeakable(user, whispered):
            return self.error(user, unspeakable, moment, number)
        told = self.answer(peer, Code.PRIVATE_MSG, whispered, moment, label=user.label)
        return [told, *self._acknowledge(user, moment, number)]

    def _unspeakable(self, user: User, text: bytes) -> bytes | None:
        """Why a text is not handed on."""
        if self.muted and fold(user.nickname) in self.muted:
            return MUTED
        return TOO_LONG % (len(text) - MAX_TEXT) if len(text) > MAX_TEXT else None

    def _list_channels(self, user: User, text: bytes, moment: Moment, number: int) -> list[Effect]:
        texts = (one.text(user.place.gate) for one in tuple(self.channels.values()))
        return self._list(user, Code.CHANNEL_ITEM, texts, moment, number)

    def _list_users(self, user: User, text: bytes, moment: Moment, number: int) -> list[Effect]:
        channel = self._current(user)
        if channel is None:
            return self.error(user, NO_CURRENT, moment, number)
        return self._list(user, Code.USER_ITEM, _members(channel, moment.seconds), moment, number)

    def _list(
        self, user: User, code: Code, texts: Iterator[bytes], moment: Moment, number: int
    ) -> list[Effect]:
        if user.is_listing or self._lists >= MOST_LISTS:
            why = IS_LISTING if user.is_listing else MANY_LISTS
            return self.error(user, why, moment, number)
        user.is_listing = True
        self._lists += 1
        events = (self.answer(user, code, text, moment).data for text in texts)
        return [*self._acknowledge(user, moment, number), Listing(user, events)]

    def listed(self, user: User) -> None:
        """All of a list has been sent, or its user is gone."""
        self._lists -= user.is_listing
        user.is_listing = False

    # what a user is told

    def answer(
        self,
        user: User,
        code: int,
        text: bytes,
        moment: Moment,
        number: int = 0,
        *,
        label: int = 0,
        key: bytes = b"",
        last: int = 0,
    ) -> ToUser:
        """An event for one user; for a new client with its trailer.

        `number`: of the event that it answers. `label`: of who said it. `key`: of a channel;
        `last`: the sequence number of what went to it last.
        """
        data = pack(code, text)
        session = user.session
        if session is not None:
            session.sent += 1
            facts = Stamp(self.epoch, session.sent, moment.wall_ms, label, number, key, last)
            data = stamp(data, facts, session.key)
        return ToUser(user, data)

    def error(self, user: User, text: bytes, moment: Moment, number: int = 0) -> list[Effect]:
        """What is wrong with what a user wants."""
        if user.session is not None:
            user.session.refuse(number, text)
        return [self.answer(user, Code.ERROR, text[:MAX_TEXT], moment, number)]

    def _acknowledge(self, user: User, moment: Moment, number: int) -> list[Effect]:
        """What a new client sent has come; an old one knows no such event."""
        return [self.answer(user, Code.ACK, b"", moment, number)] if number else []

    def _welcome(self, user: User, channel: Channel, moment: Moment, number: int) -> ToUser:
        text, key, last = channel.text(user.place.gate), channel.key, channel.sequence
        return self.answer(user, Code.JOIN_ACK, text, moment, number, key=key, last=last)

    # channels

    def _channel(self, title: bytes) -> Channel | None:
        return self.channels.get(fold(title.strip()))

    def _current(self, user: User) -> Channel | None:
        return user.channels[0] if user.channels else None

    def _withdraw(self, user: User, channel: Channel, moment: Moment) -> list[Effect]:
        del channel.members[user]
        return [Left(channel, user), *self._tell(Code.USER_PARTS, user, channel, moment)]

    def _tell(self, code: Code, user: User, channel: Channel, moment: Moment) -> list[Effect]:
        """Who is in a channel that somebody comes or goes; not where it has too many."""
        if not 0 < len(channel.members) <= self.settings.quiet_above:
            return []
        text = Coming(channel.title, user.nickname).write()
        return [ToChannel(channel, channel.stamped(code, text, moment, user))]


def _name(typed: bytes) -> bytes:
    """A name as it was typed, or the beginning of it."""
    return harmless(typed, SHOWN)


def _members(channel: Channel, now: float) -> Iterator[bytes]:
    """Who is in a channel, as it is when each is asked for."""
    for user in tuple(channel.members):
        if user in channel.members:
            titles = [one.title for one in user.channels]
            yield UserText(user.nickname, int(now - user.since), titles).write()
