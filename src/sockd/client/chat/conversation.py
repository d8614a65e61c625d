"""One user's side of a chat, without sockets: told what comes and the time, it returns what to do.

It finds out by a hello whether the server is a new one. With an old one it speaks as the tutorial's
client does; with a new one it has a session, signs what it sends, has it confirmed, and comes back
by itself where the server has started anew.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sockd.client.chat.channels import Channels
from sockd.client.chat.heard import Hearing
from sockd.client.chat.hearing import Ears
from sockd.client.chat.login import Kept, Login, Phase, silent
from sockd.client.chat.outbox import Outbox, unsaid
from sockd.client.chat.signs import Signs
from sockd.client.chat.told import (
    Done,
    Ended,
    Level,
    LoggedIn,
    Notice,
    Send,
    shown,
)
from sockd.client.chat.wishes import Wish
from sockd.formats.chat import trailer
from sockd.formats.chat.events import Code, Event, pack, unpack
from sockd.formats.chat.hello import Welcome

__all__ = ["Conversation", "Phase"]

SUSPECT_SECONDS = 1.5
"""Until a server that has said, without a MAC, that it does not know us is believed: the sign of
life that it is sent then brings a genuine answer, or none."""
CALM_SECONDS = 5.0
"""Between two times that this is looked into: anybody may forge such an ERROR."""
LEAVE_SECONDS = 2.0
"""Until we are gone though the log-off is not confirmed."""
MOST_WAITING = 20
"""Wishes that wait, from which on whoever pipes a file in is to wait too."""


class Conversation:
    """One user's side. `random` gives bytes of chance, `chance` a number from 0 to below 1."""

    def __init__(
        self,
        nickname: str,
        random: Callable[[int], bytes],
        chance: Callable[[], float],
        recall: Callable[[bytes, bytes], Kept | None] = lambda *_: None,
    ) -> None:
        self._login = Login(random, chance, recall, _bytes(nickname))
        self._channels = Channels()
        self._outbox = Outbox(self._login, self._channels)
        self._ears = Ears(self._login, self._channels, self._outbox)
        self._signs = Signs()
        self._here: tuple[int, bytes] | None = None
        """The epoch and our session when we were in last, nothing of an old server; None where we
        never were."""
        self._suspect_until: float | None = None
        self._calm_until = 0.0
        self._leave_at = 0.0
        self._has_asked_port = False
        self._is_quiet = False
        """We come back for a reason that is nobody's business."""

    # what others see of it

    @property
    def phase(self) -> Phase:
        """Where it stands."""
        return self._login.phase

    @property
    def nickname(self) -> bytes:
        """Who we are."""
        return self._login.nickname

    @property
    def channels(self) -> Sequence[Hearing]:
        """Those that we are in, the current one first."""
        return self._channels.here

    @property
    def welcome(self) -> Welcome | None:
        """What a new server has said of itself."""
        return self._login.welcome

    @property
    def kept(self) -> Kept | None:
        """Our session, to be taken up again; None at an old server."""
        return self._outbox.kept

    @property
    def heartbeats(self) -> int:
        """Genuine heartbeats that have come by a group."""
        return self._ears.pulse.heard

    @property
    def forged(self) -> int:
        """Events whose MAC was wrong, or that had none."""
        return self._ears.forged

    @property
    def has_room(self) -> bool:
        """Whether few wishes wait, and whoever has many more may go on."""
        return len(self._outbox.wishes) < MOST_WAITING or self.phase is Phase.OVER

    @property
    def is_idle(self) -> bool:
        """Whether all that was wished is sent, and confirmed where the server confirms."""
        return self.phase is Phase.OVER or self._outbox.is_empty

    # life

    def start(self, now: float, family: int | None = None) -> list[Done]:
        """Begin: who is there? `family`: 4 or 6, of the groups that can be heard; None for any."""
        self._ears.pulse.family = family
        return self._login.start(self.nickname, now)

    def rename(self, nickname: str, now: float) -> list[Done]:
        """Log in by another name: at first, after a refusal, or later."""
        if self.phase is Phase.OVER:
            return []
        done: list[Done] = []
        if self.phase in (Phase.IN, Phase.AWAY):
            done += self._log_off()
        done += [*self._outbox.give_up(), *self._leave_all()]
        self._channels.forget()
        self._here = None
        return [*done, *self._login.start(_bytes(nickname), now)]

    def quit(self, now: float) -> list[Done]:
        """Log off, and be gone: once the server has confirmed it, or soon."""
        if self.phase is Phase.OVER:
            return []
        if self.phase is not Phase.IN or not self._login.is_new:
            done = self._log_off() if self.phase in (Phase.IN, Phase.AWAY) else []
            return [*done, *self._end()]
        done = unsaid(self._outbox.wishes.clear())
        done += self._outbox.send(Wish(Code.LOGOFF, self.nickname), now)
        self._login.leave()
        self._leave_at = now + LEAVE_SECONDS
        return done

    def unreachable(self, now: float) -> list[Done]:
        """The network says that nobody hears us there, as anybody may: that is looked into."""
        return self._suspect(now) if self.phase is Phase.IN else []

    def disconnected(self, now: float) -> list[Done]:
        """The way to the server has ended: there will be another one."""
        if self.phase is Phase.LEAVING:
            return self._end()
        if self.phase is Phase.OVER or not self._login.is_linked:
            return []
        if self.phase is Phase.REFUSED:
            self._login.is_linked = False
            return []
        was_away = self.phase is Phase.AWAY
        self._login.disconnected(now)
        self._suspect_until = None
        ended = Notice("the connection has ended; trying again", Level.WARNING)
        return [] if was_away else [ended]

    def connected(self, now: float, family: int | None = None) -> list[Done]:
        """There is a way to the server, maybe by another door. `family` as for `start`."""
        self._has_asked_port = False
        groups = self._ears.change_door(family)
        return [*groups, *self._login.connected(now)]

    def tick(self, now: float) -> list[Done]:
        """Time has passed; to be called at `next_at`."""
        done = self._login.tick(now)
        if self.phase is Phase.OVER:
            return [*self._outbox.end(), *done]
        if self.phase in (Phase.IN, Phase.LEAVING):
            done += self._retry(now)
        if self.phase is Phase.LEAVING and now >= self._leave_at:
            return [*done, *self._end()]
        if self.phase is Phase.IN:
            done += self._ears.lost(now)
            self._ask_port(now)
            if self._ears.pulse.is_lost(now):
                done += self._ears.ask_alone(now)
            if self._suspect_until is not None and now >= self._suspect_until:
                done += self._away(now)
        if self.phase is Phase.IN:
            if now >= self._signs.next_at:
                done += self._sign_of_life(now)
            done += self._outbox.pump(now)
        return done

    @property
    def next_at(self) -> float | None:
        """When `tick` is to be called next."""
        if self.phase is Phase.OVER:
            return None
        times = [self._login.again_at]
        if self.phase in (Phase.IN, Phase.LEAVING):
            times.append(self._outbox.unconfirmed.next_at)
        if self.phase is Phase.LEAVING:
            times.append(self._leave_at)
        if self.phase is Phase.IN:
            times += [self._signs.next_at, self._outbox.echoes.next_at, self._outbox.ready_at]
            times += [self._ears.next_at, self._suspect_until]
        return min((at for at in times if at is not None), default=None)

    # what the user wants

    def say(self, text: str, now: float) -> list[Done]:
        """Something for the current channel."""
        return self._outbox.wish(Wish(Code.SEND_PUBLIC, _bytes(text), text), now)

    def whisper(self, user: str, text: str, now: float) -> list[Done]:
        """Something for one user."""
        return self._outbox.wish(Wish(Code.SEND_PRIVATE, _bytes(f"{user} {text}"), text), now)

    def join(self, title: str, now: float) -> list[Done]:
        """Be in a channel, and speak there."""
        return self._outbox.wish(Wish(Code.JOIN_REQ, _bytes(title)), now)

    def part(self, title: str, now: float) -> list[Done]:
        """Be in a channel no more; the current one where none is named."""
        return self._outbox.wish(Wish(Code.PART_REQ, _bytes(title)), now)

    def list_channels(self, now: float) -> list[Done]:
        """Ask which channels there are."""
        return self._outbox.wish(Wish(Code.LIST_CHANNELS, b""), now)

    def list_users(self, now: float) -> list[Done]:
        """Ask who is in the current channel."""
        return self._outbox.wish(Wish(Code.LIST_USERS, b""), now)

    # what comes

    def deaf(self, why: str, now: float) -> list[Done]:
        """A group cannot be heard here."""
        return self._ears.deaf(why, now)

    def heard(self, data: bytes, now: float, *, is_servers: bool) -> list[Done]:
        """Something has come by a group. `is_servers`: from the server's address, which is all that
        can be asked of an old one."""
        event = unpack(data)
        if event is None or event.code not in _OF_GROUPS or not (is_servers or self._login.is_new):
            return []
        return self.received(data, now)

    def received(self, data: bytes, now: float) -> list[Done]:
        """An event from the server has come, to us alone."""
        event = unpack(data)
        if event is None or self.phase in (Phase.OVER, Phase.REFUSED):
            return []
        return [*self._received(data, event, now), *self._outbox.pump(now)]

    def _received(self, data: bytes, event: Event, now: float) -> list[Done]:
        login = self._login
        is_in = self.phase in (Phase.IN, Phase.LEAVING)
        if is_in and not login.is_new:
            return self._from_old(event, now)
        if event.code in _BEFORE or (event.code == Code.ERROR and not trailer.stamped(data)):
            if is_in:
                return self._suspect(now) if event.code == Code.ERROR else []
            was = self.phase
            done = login.take(event, now)
            if login.phase is not Phase.IN:
                return done
            done += self._enter(was, now)
            for early in login.early():
                done += self.received(early, now)
            return done
        if self.phase is Phase.OPEN and event.code != Code.LOGOFF:
            login.comes_early(data)
            return []
        if login.session is not None and login.is_new:
            return self._from_new(data, now)
        return self._ears.plain(event, now) if self.phase is Phase.AWAY else []

    def _from_new(self, data: bytes, now: float) -> list[Done]:
        done = self._ears.checked(data, now)
        if done is None:
            return []
        self._suspect_until = None
        if self.phase is Phase.LEAVING and not len(self._outbox.unconfirmed):
            self._login.end()
            return [*done, Ended()]
        self._ask_port(now)
        return done

    def _ask_port(self, now: float) -> None:
        """Where groups are is told after a log-in, and may have been lost: so we log in again."""
        if self._ears.wants_port and not self._has_asked_port and self.phase is Phase.IN:
            self._has_asked_port = self._is_quiet = True
            self._login.away(now)

    def _from_old(self, event: Event, now: float) -> list[Done]:
        if event.code != Code.ERROR:
            return self._ears.plain(event, now)
        if event.text == self._login.not_in:
            return self._away(now) if now >= self._calm_until else []  # it has started anew
        if self._signs.is_answer(event.text, self._outbox.sent_at, now):
            return []
        return self._ears.plain(event, now)

    def _suspect(self, now: float) -> list[Done]:
        """A server that has forgotten us says so without a MAC, as anybody may."""
        if self.phase is Phase.LEAVING:
            return self._end()
        if now < self._calm_until:
            return []
        self._suspect_until = now + SUSPECT_SECONDS
        self._calm_until = now + CALM_SECONDS
        return self._sign_of_life(now)

    # in, and away

    def _enter(self, was: Phase, now: float) -> list[Done]:
        """We are in; and back in the channels that we were in before."""
        login = self._login
        epoch, session, last = 0, b"", 0
        if login.is_new and login.welcome is not None and login.session is not None:
            epoch, session = login.welcome.epoch, login.session.session
            last = login.session.last
        is_again = self._here is not None
        is_same = self._here == (epoch, session) and (login.is_new or was is Phase.AWAY)
        self._here = epoch, session
        self._signs.begin(now)
        self._suspect_until = None
        self._calm_until = now + CALM_SECONDS  # what it said before comes late
        self._ears.hear_again(last, now)
        self._outbox.come_in()
        done: list[Done] = []
        if is_same and login.is_new:
            done += self._outbox.not_sent(self._outbox.unconfirmed.begin_again(now))
            self._outbox.wishes.add_first(self._outbox.rejoins(is_again=True))
        elif not is_same:
            done += [*self._outbox.give_up(), *self._leave_all()]
            self._ears.begin(last)
        is_quiet, self._is_quiet = self._is_quiet and is_same, False
        if not is_quiet and (login.is_new or not is_same):
            server = login.welcome.name if login.welcome is not None else ""
            has_missed = is_again and not is_same
            done.insert(0, LoggedIn(shown(self.nickname), server, is_again, has_missed))
        return done

    def _away(self, now: float) -> list[Done]:
        """The server is silent, or has forgotten us. What is not confirmed waits: it may know us
        still."""
        self._login.away(now)
        self._suspect_until = None
        return [*unsaid(self._outbox.echoes.clear()), silent()]

    def _leave_all(self) -> list[Done]:
        """Hear no channel; wish to be back in them, the current one last."""
        self._outbox.wishes.add_first(self._outbox.rejoins(is_again=False))
        return self._channels.leave_all()

    def _end(self) -> list[Done]:
        """It is over, and what is not confirmed by now is not sent."""
        self._login.end()
        return [*self._outbox.end(), Ended()]

    def _log_off(self) -> list[Done]:
        return [Send(self._login.sign(pack(Code.LOGOFF, self.nickname)))]

    def _sign_of_life(self, now: float) -> list[Done]:
        self._signs.sent(now)
        return self._outbox.send(Wish(Code.STILL_HERE, b""), now)

    def _retry(self, now: float) -> list[Done]:
        again, over = self._outbox.unconfirmed.due(now)
        for one in again:
            self._ears.excuses.add(now)
            self._outbox.wishes.charge(one.wish.code != Code.STILL_HERE)
        done: list[Done] = [Send(one.data) for one in again]
        done += self._outbox.unanswered(over)
        for wish in self._outbox.echoes.due(now):
            done += [*unsaid([wish]), *self._ears.unechoed(now)]
        is_silent = over or (self._ears.has_missed_much and not self._login.is_new)
        if is_silent and self.phase is Phase.IN and not (self._ears.pulse.has_port and not over):
            done += self._away(now)
        return done


_OF_GROUPS = (Code.PUBLIC_MSG, Code.USER_JOINS, Code.USER_PARTS, Code.HEARTBEAT)
_BEFORE = (Code.WELCOME, Code.OPENED, Code.LOGIN_ACK)
"""What comes before there is a key."""


def _bytes(text: str) -> bytes:
    """What somebody has typed: it may hold bytes that are not UTF-8, and what has no bytes."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace")
