"""One user's side of a chat, without sockets: told what comes and the time, it returns what to do.

It finds out by a hello whether the server is a new one. With an old one it speaks as the tutorial's
client does; with a new one it has a session, signs what it sends, has it confirmed, and comes back
by itself where the server has started anew.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from enum import Enum

from sockd.client.chat.heard import Hearing
from sockd.client.chat.sending import Unconfirmed
from sockd.client.chat.told import (
    ChannelRow,
    Done,
    Ended,
    Joined,
    JoinGroup,
    LeaveGroup,
    Level,
    Listen,
    LoggedIn,
    Lost,
    Message,
    Notice,
    NotSent,
    Parted,
    Presence,
    Refused,
    Send,
    UserRow,
)
from sockd.client.chat.wishes import CHANGES, Wish, Wishes
from sockd.formats.chat import trailer
from sockd.formats.chat.events import Code, Event, pack, unpack
from sockd.formats.chat.hello import NONCE_BYTES, Hello, Welcome
from sockd.formats.chat.names import fold
from sockd.formats.chat.session import Open, Opened
from sockd.formats.chat.texts import (
    ChannelText,
    Coming,
    Said,
    UserText,
    Whispered,
    read_port,
)
from sockd.formats.chat.trailer import Stamp
from sockd.formats.chat.window import Arrival, Window

LOGIN_TRIES = 5
LOGIN_SECONDS = 6.0
"""Between two tries to log in with an old server, as the tutorial's clients have it."""
HELLO_WAITS = (0.5, 1.0, 2.0, 4.0, 6.0)
"""Seconds from each hello to the next; what did not come then is not to be had."""
ALIVE_SECONDS = 30.0
"""Between two signs of life."""
AWAY_SECONDS = 2.0
"""Between two hellos to a server that has fallen silent; by chance up to twice as long, so that
many clients do not all come back at once."""
ECHO_SECONDS = 3.0
"""Until what was said by an old server, which confirms nothing, counts as not sent."""
MOST_WAITING = 20
"""Wishes that wait, from which on whoever pipes a file in is to wait too."""
UNHEARD = 2
"""Messages of ours that the server has had and that no group has brought, until it is told."""


class Phase(Enum):
    """Where it stands."""

    HELLO = "hello"
    LOGIN = "login"
    OPEN = "open"
    IN = "in"
    AWAY = "away"
    OVER = "over"


class Conversation:
    """One user's side. `random` gives bytes of chance, `chance` a number from 0 to below 1."""

    def __init__(
        self, nickname: str, random: Callable[[int], bytes], chance: Callable[[], float]
    ) -> None:
        self.nickname = nickname.encode()
        self.phase = Phase.HELLO
        self.is_new = False
        """Whether the server is one that has sessions."""
        self.welcome: Welcome | None = None
        self.channels: list[Hearing] = []
        """Those that we are in, the current one first."""
        self.forged = 0
        """Events whose MAC was wrong, or that had none."""
        self.has_groups = False
        self._random = random
        self._chance = chance
        self._nonce = b""
        self._session: Opened | None = None
        self._key = b""
        self._number = 0
        self._direct = Window()
        self._unconfirmed = Unconfirmed()
        self._echoes: deque[tuple[bytes, float]] = deque()
        self._shown_early: set[int] = set()
        self._unheard = 0
        self._tries = 0
        self._again_at: float | None = None
        self._alive_at = 0.0
        self._wishes = Wishes()

    # life

    def start(self, now: float) -> list[Done]:
        """Begin: who is there?"""
        self.phase = Phase.HELLO
        self._tries = 0
        return self._say_hello(now)

    def rename(self, nickname: str, now: float) -> list[Done]:
        """Log in by another name: at first, after a refusal, or later."""
        done: list[Done] = []
        if self.phase in (Phase.IN, Phase.AWAY):
            done = [*self._log_off(), *self._leave_all()]
        self.nickname = nickname.encode()
        self._session = None
        return [*done, *self.start(now)]

    def quit(self) -> list[Done]:
        """Log off, and be gone."""
        done = self._log_off() if self.phase in (Phase.IN, Phase.AWAY) else []
        self.phase = Phase.OVER
        return [*done, Ended()]

    def tick(self, now: float) -> list[Done]:
        """Time has passed; to be called at `next_at`."""
        done: list[Done] = []
        if self._again_at is not None and now >= self._again_at:
            done += self._again(now)
        if self.phase is Phase.IN:
            done += self._retry(now)
            done += self._missing(now)
            if now >= self._alive_at:
                done += self._send(Wish(Code.STILL_HERE, b""), now)
            done += self._pump(now)
        return done

    @property
    def next_at(self) -> float | None:
        """When `tick` is to be called next."""
        if self.phase is Phase.OVER:
            return None
        times = [self._again_at]
        if self.phase is Phase.IN:
            times += [self._alive_at, self._unconfirmed.next_at, self._wishes.ready_at]
            times += [one.next_at for one in self.channels]
            times += [at for _, at in list(self._echoes)[:1]]
        return min((at for at in times if at is not None), default=None)

    # what the user wants

    def say(self, text: str, now: float) -> list[Done]:
        """Something for the current channel."""
        return self._wish(Wish(Code.SEND_PUBLIC, text.encode(), text), now)

    def whisper(self, user: str, text: str, now: float) -> list[Done]:
        """Something for one user."""
        return self._wish(Wish(Code.SEND_PRIVATE, f"{user} {text}".encode(), text), now)

    def join(self, title: str, now: float) -> list[Done]:
        """Be in a channel, and speak there."""
        return self._wish(Wish(Code.JOIN_REQ, title.encode()), now)

    def part(self, title: str, now: float) -> list[Done]:
        """Be in a channel no more; the current one where none is named."""
        return self._wish(Wish(Code.PART_REQ, title.encode()), now)

    def list_channels(self, now: float) -> list[Done]:
        """Ask which channels there are."""
        return self._wish(Wish(Code.LIST_CHANNELS, b""), now)

    def list_users(self, now: float) -> list[Done]:
        """Ask who is in the current channel."""
        return self._wish(Wish(Code.LIST_USERS, b""), now)

    @property
    def has_room(self) -> bool:
        """Whether few wishes wait, and whoever has many more may go on."""
        return len(self._wishes) < MOST_WAITING

    @property
    def is_idle(self) -> bool:
        """Whether all that was wished is sent, and confirmed where the server confirms."""
        return not (self._wishes or self._unconfirmed or self._echoes)

    # what comes

    def received(self, data: bytes, now: float) -> list[Done]:
        """An event, from the server or by a group."""
        done = self._received(data, now)
        return [*done, *self._pump(now)]

    def _received(self, data: bytes, now: float) -> list[Done]:
        event = unpack(data)
        if event is None or self.phase is Phase.OVER:
            return []
        if event.code == Code.WELCOME:
            return self._welcomed(event, now)
        if self.phase is Phase.HELLO:
            is_old = event.code == Code.ERROR
            return self._log_in(now) if is_old else []
        if self.phase is Phase.LOGIN:
            return self._logged_in(event, now)
        if self.phase is Phase.OPEN:
            return self._opened(event, now)
        if not self.is_new:
            return self._heard(event, None, now)
        return self._checked(data, event, now)

    # logging in

    def _say_hello(self, now: float) -> list[Done]:
        self._nonce = self._nonce or self._random(NONCE_BYTES)
        wait = HELLO_WAITS[min(self._tries, len(HELLO_WAITS) - 1)]
        if self.phase is Phase.AWAY:
            wait = AWAY_SECONDS * (1 + self._chance())
        self._tries += 1
        self._again_at = now + wait
        return [Send(Hello(self._nonce).write())]

    def _again(self, now: float) -> list[Done]:
        """There was no answer in time."""
        self._again_at = None
        if self.phase is Phase.AWAY:
            return self._say_hello(now)
        if self.phase is Phase.HELLO and self._tries < len(HELLO_WAITS):
            return self._say_hello(now)
        if self.phase is Phase.OPEN and self._tries < len(HELLO_WAITS):
            return self._open(now)
        if self.phase is Phase.LOGIN and self._tries < LOGIN_TRIES:
            return self._log_in(now)
        if self.phase is Phase.IN:
            return []
        self.phase = Phase.OVER
        return [Ended("the server does not answer")]

    def _log_in(self, now: float) -> list[Done]:
        """As the tutorial's clients do."""
        if self.phase is not Phase.LOGIN:
            self.phase, self._tries, self.is_new = Phase.LOGIN, 0, False
        self._tries += 1
        self._again_at = now + LOGIN_SECONDS
        return [Send(pack(Code.LOGIN_REQ, self.nickname))]

    def _logged_in(self, event: Event, now: float) -> list[Done]:
        if event.code == Code.ERROR:
            return self._refused(event)
        if event.code != Code.LOGIN_ACK:
            return []
        return self._enter(now, is_again=False)

    def _welcomed(self, event: Event, now: float) -> list[Done]:
        """The server is a new one."""
        welcome = Welcome.read(event.text)
        if welcome is None or welcome.nonce != self._nonce:
            return []
        if self.phase in (Phase.IN, Phase.OPEN, Phase.LOGIN):
            return []  # of a hello that was sent twice
        self.welcome, self.is_new = welcome, True
        self.phase, self._tries = Phase.OPEN, 0
        return self._open(now)

    def _open(self, now: float) -> list[Done]:
        assert self.welcome is not None
        self._again_at = now + HELLO_WAITS[min(self._tries, len(HELLO_WAITS) - 1)]
        self._tries += 1
        event = Open(self.nickname, self.welcome.cookie, self._nonce).write()
        if self._session is not None:
            self._number += 1
            event = trailer.sign(event, self._session.session, self._number, self._key)
        return [Send(event)]

    def _opened(self, event: Event, now: float) -> list[Done]:
        if event.code == Code.ERROR:
            self._session = None
            return self._refused(event)
        if event.code != Code.OPENED or (opened := Opened.read(event.text)) is None:
            return []
        is_again = self._session is not None
        if not is_again:
            self._number, self._key = 0, opened.key
        self._session = opened
        self._direct = Window()
        return self._enter(now, is_again)

    def _refused(self, event: Event) -> list[Done]:
        self._again_at = None
        self._nonce = b""
        return [Refused(_text(event.text))]

    def _enter(self, now: float, is_again: bool) -> list[Done]:
        """We are in; and back in the channels that we were in before."""
        self.phase, self._again_at, self._nonce = Phase.IN, None, b""
        self._alive_at = now + ALIVE_SECONDS
        server = self.welcome.name if self.welcome is not None and self.is_new else ""
        done: list[Done] = [LoggedIn(self._name, server, is_again)]
        return [*done, *self._leave_all(), *self._pump(now)]

    def _leave_all(self) -> list[Done]:
        """Hear no channel; wish to be back in them, the current one last."""
        self._wishes.add_first([Wish(Code.JOIN_REQ, one.title) for one in reversed(self.channels)])
        groups = [LeaveGroup(one.group) for one in self.channels if one.group is not None]
        self.channels = []
        return list(groups)

    def _log_off(self) -> list[Done]:
        return [Send(self._signed(pack(Code.LOGOFF, self.nickname)))]

    def _away(self, now: float) -> list[Done]:
        """The server is silent, or has forgotten us."""
        if self.phase is Phase.AWAY:
            return []
        self.phase, self._tries = Phase.AWAY, 0
        self._nonce = self._random(NONCE_BYTES)
        lost = [NotSent(one.text) for one in self._unconfirmed.clear() if one.text]
        self._wishes.answered()
        self._again_at = now + AWAY_SECONDS * self._chance()
        return [*lost, Notice("the server does not answer; trying again", Level.WARNING)]

    # sending

    def _signed(self, event: bytes) -> bytes:
        if not self.is_new or self._session is None:
            return event
        self._number += 1
        return trailer.sign(event, self._session.session, self._number, self._key)

    def _wish(self, wish: Wish, now: float) -> list[Done]:
        if not self._wishes.add(wish):
            return [Notice("too much waits to be sent", Level.ERROR), NotSent(wish.shown)]
        return self._pump(now)

    def _pump(self, now: float) -> list[Done]:
        """Send what may be sent now."""
        done: list[Done] = []
        self._wishes.is_paced = self.is_new
        while self.phase is Phase.IN and (wish := self._wishes.take(now)) is not None:
            if wish.code == Code.SEND_PUBLIC and not self.channels:
                why = "you are in no channel: /join one, /channels lists them"
                done.append(Notice(why, Level.ERROR))
            else:
                done += self._send(wish, now)
        return done

    def _send(self, wish: Wish, now: float) -> list[Done]:
        self._alive_at = now + ALIVE_SECONDS
        try:
            data = self._signed(pack(wish.code, wish.text))
        except ValueError:
            return [Notice("that is too long for one event", Level.ERROR), NotSent(wish.shown)]
        done: list[Done] = [Send(data)]
        if self.is_new:
            self._unconfirmed.add(self._number, data, wish.code, wish.shown, now)
        elif wish.code == Code.SEND_PUBLIC:
            self._echoes.append((wish.text, now + ECHO_SECONDS))
        elif wish.code == Code.SEND_PRIVATE:
            to = _text(wish.text.partition(b" ")[0])
            done.append(Message(self._name, wish.shown, is_own=True, to=to))
        return done

    def _retry(self, now: float) -> list[Done]:
        again, over = self._unconfirmed.due(now)
        done: list[Done] = [Send(one.data) for one in again]
        done += [NotSent(one.text) for one in over if one.text]
        while self._echoes and now >= self._echoes[0][1]:
            text, _ = self._echoes.popleft()
            done.append(NotSent(_text(text)))
        return [*done, *self._away(now)] if over else done

    def _missing(self, now: float) -> list[Done]:
        found = [(one, one.lost(now)) for one in self.channels]
        return [Lost(_text(one.title), count) for one, count in found if count]

    # hearing

    def _checked(self, data: bytes, event: Event, now: float) -> list[Done]:
        """An event of a new server: of ours only if its MAC says so."""
        found = trailer.stamped(data)
        if found is None:
            if event.code == Code.ERROR and self.phase is Phase.IN:
                return self._away(now)  # it has forgotten us, or somebody forges: a hello tells
            self.forged += 1
            return []
        stripped, stamp = found
        event = Event(event.code, stripped[2:])
        if event.code in _OF_CHANNEL:
            hearing = self._hearing(event.text.partition(b" ")[0])
            if hearing is None or not trailer.is_genuine(data, hearing.key):
                self.forged += hearing is not None
                return []
            return self._heard(event, stamp, now) if hearing.arrive(stamp.sequence, now) else []
        if not trailer.is_genuine(data, self._key):
            self.forged += 1
            return []
        if self._direct.arrive(stamp.sequence) is not Arrival.NEW:
            return []
        return [*self._settled(event, stamp, now), *self._heard(event, stamp, now)]

    def _settled(self, event: Event, stamp: Stamp, now: float) -> list[Done]:
        """An answer confirms what it answers."""
        pending = self._unconfirmed.settle(stamp.number) if stamp.number else None
        if pending is None:
            return []
        if pending.code in CHANGES and event.code == Code.ERROR:
            self._wishes.answered()
        if event.code != Code.ACK:
            return []
        if pending.code == Code.JOIN_REQ:  # the answer was lost: to ask again does no harm
            again = Wish(Code.JOIN_REQ, pending.data[2 : -trailer.CLIENT_BYTES])
            return self._send(again, now)
        if pending.code == Code.SEND_PRIVATE:
            to = Whispered.read(pending.data[2 : -trailer.CLIENT_BYTES])
            user = _text(to.user) if to is not None else ""
            return [Message(self._name, pending.text, time_ms=stamp.time_ms, is_own=True, to=user)]
        if pending.code == Code.SEND_PUBLIC and self.channels:
            return self._unechoed(pending.text, stamp)
        return []

    def _unechoed(self, text: str, stamp: Stamp) -> list[Done]:
        """The server has had what we have said, and we have not heard it."""
        self._shown_early.add(stamp.number)
        title = _text(self.channels[0].title)
        done: list[Done] = [Message(self._name, text, title, stamp.time_ms, is_own=True)]
        self._unheard += 1
        if self.has_groups and self._unheard == UNHEARD:
            done.append(
                Notice(
                    "the server hears us, but what it sends to groups does not come: a switch or a "
                    "firewall drops it; try another door, such as --tcp",
                    Level.WARNING,
                )
            )
        return done

    def _heard(self, event: Event, stamp: Stamp | None, now: float) -> list[Done]:
        match event.code:
            case Code.ERROR:
                if stamp is None:  # an old server does not say what it refuses
                    self._wishes.answered()
                return [Notice(_text(event.text), Level.ERROR)]
            case Code.PUBLIC_MSG:
                return self._said(event, stamp)
            case Code.PRIVATE_MSG:
                private = Whispered.read(event.text)
                time_ms = stamp.time_ms if stamp else None
                return (
                    [Message(_text(private.user), _text(private.text), "", time_ms)]
                    if private
                    else []
                )
            case Code.USER_JOINS | Code.USER_PARTS:
                coming = Coming.read(event.text)
                is_here = event.code == Code.USER_JOINS
                return (
                    [Presence(_text(coming.title), _text(coming.user), is_here)] if coming else []
                )
            case Code.JOIN_ACK:
                return self._joined(event, stamp)
            case Code.PART_ACK:
                return self._parted(event)
            case Code.CHANNEL_ITEM:
                row = ChannelText.read(event.text, self.has_groups)
                return (
                    [ChannelRow(_text(row.title), row.count, _text(row.description))] if row else []
                )
            case Code.USER_ITEM:
                user = UserText.read(event.text)
                titles = [_text(one) for one in user.channels] if user else []
                return [UserRow(_text(user.user), user.seconds, titles)] if user else []
            case Code.SET_MCAST_PORT:
                port = read_port(event.text)
                self.has_groups = port is not None
                return [Listen(port)] if port is not None else []
            case Code.LOGOFF:
                self.phase = Phase.OVER
                return [Ended(_text(event.text) or "the server has logged us off")]
        return []

    def _said(self, event: Event, stamp: Stamp | None) -> list[Done]:
        said = Said.read(event.text)
        if said is None or self._hearing(said.title) is None:
            return []  # of a channel that another client on this host has joined
        is_own = fold(said.user) == fold(self.nickname)
        if stamp is not None and self._session is not None and stamp.label == self._session.label:
            self._unheard = 0
            self._unconfirmed.settle(stamp.number)
            if stamp.number in self._shown_early:
                self._shown_early.discard(stamp.number)
                return []
        elif is_own:
            self._echoes = deque(one for one in self._echoes if one[0] != said.text)
        time_ms = stamp.time_ms if stamp is not None else None
        return [Message(_text(said.user), _text(said.text), _text(said.title), time_ms, is_own)]

    def _joined(self, event: Event, stamp: Stamp | None) -> list[Done]:
        self._wishes.answered()
        found = ChannelText.read(event.text, self.has_groups)
        if found is None:
            return []
        key = stamp.key if stamp is not None else b""
        hearing = self._hearing(found.title)
        done: list[Done] = []
        is_new = hearing is None
        if hearing is None:
            hearing = Hearing(found.title, key, found.group)
            done = [JoinGroup(found.group)] if found.group is not None else []
        else:
            self.channels.remove(hearing)
            hearing.key = key
        self.channels.insert(0, hearing)
        return [*done, Joined(_text(found.title), found.count, is_new)]

    def _parted(self, event: Event) -> list[Done]:
        self._wishes.answered()
        found = ChannelText.read(event.text, self.has_groups)
        hearing = self._hearing(found.title) if found is not None else None
        if hearing is None:
            return []
        self.channels.remove(hearing)
        done: list[Done] = [LeaveGroup(hearing.group)] if hearing.group is not None else []
        return [*done, Parted(_text(hearing.title))]

    def _hearing(self, title: bytes) -> Hearing | None:
        folded = fold(title)
        return next((one for one in self.channels if fold(one.title) == folded), None)

    @property
    def _name(self) -> str:
        return self.nickname.decode("utf-8", "replace")


_OF_CHANNEL = (Code.PUBLIC_MSG, Code.USER_JOINS, Code.USER_PARTS)


def _text(data: bytes) -> str:
    """What came, as it may be shown to nobody yet: whoever shows it escapes it."""
    return data.decode("utf-8", "surrogateescape")
