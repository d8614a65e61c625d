"""Who an event is from, and whether it is: hellos, log-ins, sessions, and what strangers may have.

New clients prove their address with a cookie and each datagram with a MAC. Old clients can prove
nothing: they are bound to the link that they are on, to few sessions and to a budget of bytes.
"""

from __future__ import annotations

from collections import Counter

from attrs import evolve

from sockd.access.reasons import Reason, because
from sockd.chat.effects import Effect, Gone, ToPlace
from sockd.chat.heartbeat import group_of
from sockd.chat.legacy import GUESSES, Legacy
from sockd.chat.members import Moment, Place, Session, User
from sockd.chat.rooms import Rooms
from sockd.chat.settings import Settings
from sockd.chat.threshold import Threshold
from sockd.chat.words import ANSWERS, FULL, HELLO_FIRST, NEWER, OFF_LINK, PLEASE_LOG_IN
from sockd.formats.chat import trailer
from sockd.formats.chat.events import Code, Event, pack, unpack
from sockd.formats.chat.hello import Hello, Welcome
from sockd.formats.chat.names import fold
from sockd.formats.chat.session import Open, Opened
from sockd.formats.chat.window import NUMBERS, Arrival, Window

_OPEN = pack(Code.OPEN)
FEATURES = ("session", "ack", "stamp")
LOGGED_OFF = because("logged_off")
RENAMED = because("renamed")
CONNECTION_OVER = because("connection_over")
_LEGACY_OFF = because("legacy_off")
_OFF_LINK = because("off_link")


class Desk:
    """Everything that comes goes through here. `counts`: what was dropped, by reason."""

    def __init__(self, rooms: Rooms, name: str, counts: Counter[str] | None = None) -> None:
        self.rooms = rooms
        self.name = name
        self.counts: Counter[str] = Counter() if counts is None else counts
        self.threshold = Threshold(rooms, self.counts)
        self.began = 0.0
        """When the server has started."""
        self._sessions: dict[bytes, User] = {}

    def apply(self, settings: Settings, moment: Moment) -> list[Effect]:
        """Have other settings. Old clients go that are not to be served any more."""
        before = self.rooms.settings
        if settings != before:
            self.threshold.allowances.apply(settings)
        effects = self.rooms.apply(settings, moment)
        for user in self._sessions.values():
            gate = user.place.gate
            if group_of(gate, before) != group_of(gate, settings):
                effects += self._beats(user, moment)
        for user in [user for user in self.rooms.users.values() if user.session is None]:
            if unserved := self._unserved(user.is_on_link):
                text, reason = unserved
                effects += self.rooms.error(user, text, moment)
                effects += self.log_off(user, moment, reason)
        return effects

    # what comes

    def received(
        self, place: Place, data: bytes, moment: Moment, is_on_link: bool = True, interface: int = 0
    ) -> list[Effect]:
        """One event, as it came. `is_on_link`: its source is of a subnet of the interface that it
        came in by; `interface`: the number of that."""
        signed = trailer.signed(data)
        user = self._sessions.get(signed.session) if signed is not None else None
        if signed is not None and user is not None and data[:2] != _OPEN:
            return self._signed(place, user, data, signed.number, moment)
        event = unpack(data)
        if event is None:
            return self.threshold.drop("short")
        if event.code == Code.NOTHING and (hello := Hello.read(event.text)) is not None:
            return self._hello(place, hello, moment)
        if event.code == Code.OPEN:
            return self._open(place, event, moment, data, signed, is_on_link)
        if signed is not None:
            if end := self.threshold.ended.find(signed.session, moment.seconds):
                return self.threshold.late(place, data, end, signed, moment, is_on_link)
            # shorter than what was asked; and after a start all need it
            return self.threshold.stranger(place, PLEASE_LOG_IN, moment, is_proven=is_on_link)
        if event.code in ANSWERS:
            return self.threshold.drop("answer")
        return self._plain(place, event, moment, is_on_link, interface)

    @property
    def names(self) -> list[bytes]:
        """Folded nicknames of those who can come back after a start."""
        users = self.rooms.users.items()
        return [folded for folded, user in users if user.session is not None]

    def left(self, place: Place, moment: Moment) -> list[Effect]:
        """A connection has ended: who came by it is gone."""
        user = self.rooms.at.get(place)
        return [] if user is None else self.log_off(user, moment, CONNECTION_OVER)

    def log_off(
        self, user: User, moment: Moment, reason: Reason, told: bytes = b""
    ) -> list[Effect]:
        """Somebody is gone. `told`: it was sent away, and hears this again if it still comes."""
        effects = self.rooms.log_off(user, moment, reason)
        self._forget(user, moment, told)
        return effects

    def _forget(self, user: User, moment: Moment, told: bytes = b"") -> None:
        """The rooms have logged somebody off."""
        if user.session is not None:
            self._sessions.pop(user.session.id, None)
            self.threshold.ended.add(user, moment.seconds, told)
        self.threshold.allowances.go(user)

    def tick(self, moment: Moment) -> list[Effect]:
        """Time has passed: who was silent for too long is gone."""
        if self.threshold.held and moment.seconds >= self.began + self.rooms.settings.held:
            self.threshold.held = set()
        effects = self.rooms.silence(moment)
        for effect in effects:
            if isinstance(effect, Gone):
                self._forget(effect.user, moment)
        return effects

    def may_send(self, user: User, size: int, now: float) -> bool:
        """Whether an old client's address may be sent so many bytes more."""
        return self.threshold.allowances.may_send(user, size, now)

    # new clients

    def _hello(self, place: Place, hello: Hello, moment: Moment) -> list[Effect]:
        rooms, secret = self.rooms, self.rooms.secret
        cookie = secret.cookie(place.name, hello.nonce, rooms.epoch, moment.seconds)
        welcome = Welcome(hello.nonce, secret.server, rooms.epoch, cookie, FEATURES, self.name)
        return [ToPlace(place, welcome.write())]

    def _open(
        self,
        place: Place,
        event: Event,
        moment: Moment,
        data: bytes,
        signed: trailer.Signed | None,
        is_on_link: bool,
    ) -> list[Effect]:
        """A new client logs in, or takes up a session that it had."""
        asked = Open.read(event.text)
        secret = self.rooms.secret
        if asked is None or not secret.is_cookie(
            asked.cookie, place.name, asked.nonce, self.rooms.epoch, moment.seconds
        ):
            return self.threshold.stranger(place, HELLO_FIRST, moment, is_proven=is_on_link)
        if self.threshold.bans(place.host, moment.seconds):
            return self.threshold.banned(place)
        if why := self.threshold.name_fault(asked.nickname):
            return self.threshold.stranger(place, why, moment)
        if signed is not None:
            key = secret.session_key(signed.session, asked.nickname)
            if trailer.is_genuine(data, key):
                return self._resume(place, asked, moment, signed, key)
            self.counts["forged"] += 1
        id = secret.session(place.name, asked.cookie, asked.nickname)
        key = secret.session_key(id, asked.nickname)
        opened = Opened(asked.nickname, id, key, secret.label(id), asked.nonce)
        user = self._sessions.get(id)
        if user is not None and user.place == place:  # our answer was lost
            self.rooms.alive(user, moment.seconds)
            return [ToPlace(place, _gone_on(opened, user)), *self._port(user, moment)]
        if why := self.threshold.not_free(asked.nickname):
            return self.threshold.occupied(place, why)
        if self.threshold.ended.find(id, moment.seconds):
            return self.threshold.stranger(place, HELLO_FIRST, moment)  # its cookie is used up
        if told := self.threshold.crowded(place):
            return told
        return self._enter(place, asked.nickname, moment, Session(id, key, opened.label), opened)

    def _resume(
        self, place: Place, asked: Open, moment: Moment, signed: trailer.Signed, key: bytes
    ) -> list[Effect]:
        """Whoever has the session's key is its owner: at another address, or after a start."""
        secret = self.rooms.secret
        id = signed.session
        opened = Opened(asked.nickname, id, b"", secret.label(id), asked.nonce)
        user = self._sessions.get(signed.session)
        if user is not None and user.session is not None:
            arrival = user.session.window.arrive(signed.number)
            if arrival is not Arrival.NEW and place != user.place:
                return self.threshold.drop("old")  # it is not moved back to where it once was
            self.rooms.alive(user, moment.seconds)
            self.threshold.allowances.move(user.place.host, place.host)
            return [
                *self._clear(place, user, moment),
                *self.rooms.move(user, place),
                ToPlace(place, _gone_on(opened, user)),
                *self._port(user, moment),
            ]
        if end := self.threshold.ended.find(id, moment.seconds):
            if end.why:
                return self.threshold.tell_end(place, end, moment)
            if signed.number <= end.session.window.highest:
                return self.threshold.drop("old")  # it was recorded before the session ended
        if why := self.threshold.not_free(asked.nickname, is_owner=True):
            return self.threshold.occupied(place, why)
        if told := self.threshold.crowded(place):
            return told
        self.threshold.ended.discard(id)
        session = Session(signed.session, key, opened.label, Window(signed.number))
        session.first = signed.number
        is_back = fold(asked.nickname) in self.threshold.held
        quiet_until = moment.seconds + self.rooms.settings.held if is_back else 0.0
        return self._enter(place, asked.nickname, moment, session, opened, quiet_until)

    def _enter(
        self,
        place: Place,
        nickname: bytes,
        moment: Moment,
        session: Session,
        opened: Opened,
        quiet_until: float = 0.0,
    ) -> list[Effect]:
        effects = self._clear(place, None, moment)
        effects += self.rooms.log_in(place, nickname, moment, session)
        user = self.rooms.at[place]
        user.quiet_until = quiet_until
        self._sessions[session.id] = user
        self.threshold.allowances.come(user, moment.seconds)
        self.threshold.held.discard(fold(nickname))
        return [*effects, ToPlace(place, opened.write()), *self._port(user, moment)]

    def _signed(
        self, place: Place, user: User, data: bytes, number: int, moment: Moment
    ) -> list[Effect]:
        """An event of a session, if its MAC says so."""
        session = user.session
        if session is None or place != user.place or not trailer.is_genuine(data, session.key):
            return self.threshold.forged(place)
        arrival = session.window.arrive(number)
        if arrival is Arrival.OLD or number < session.first:
            return self.threshold.drop("old")
        self.rooms.alive(user, moment.seconds)
        if arrival is Arrival.DOUBLE:
            self.counts["double"] += 1
            if (why := session.refused.get(number)) is not None:
                return self.rooms.error(user, why, moment, number)
            return [self.rooms.answer(user, Code.ACK, b"", moment, number)]
        event = Event(int.from_bytes(data[:2], "big"), data[2 : -trailer.CLIENT_BYTES])
        if event.code == Code.LOGOFF:
            acknowledged = self.rooms.answer(user, Code.ACK, b"", moment, number)
            return [acknowledged, *self.log_off(user, moment, LOGGED_OFF)]
        if event.code == Code.NOTHING:  # what is asked to know that all before it is done
            return [self.rooms.answer(user, Code.ACK, b"", moment, number)]
        return self._do(user, event, moment, number)

    # old clients

    def _plain(
        self, place: Place, event: Event, moment: Moment, is_on_link: bool, interface: int
    ) -> list[Effect]:
        """An event without a trailer: an old client's, or a forger's."""
        user = self.rooms.at.get(place)
        if user is not None and user.session is not None:
            if event.code == Code.NOTHING:
                return self.threshold.stranger(place, PLEASE_LOG_IN, moment, is_proven=is_on_link)
            return self.threshold.drop("unsigned")
        if unserved := self._unserved(is_on_link):
            text, reason = unserved
            return self.threshold.stranger(place, text, moment, reason, is_proven=is_on_link)
        if user is not None and user.interface != interface:
            return self.threshold.drop("interface")
        if event.code == Code.LOGIN_REQ:
            effects = self._log_in_old(place, user, event.text, moment)
            if (user := self.rooms.at.get(place)) is not None:
                user.is_on_link, user.interface = is_on_link, interface
            return effects
        if user is None and event.code == Code.LOGOFF:
            return []  # it comes before each log-in, and an ERROR would count as the answer to that
        if user is None:
            return [ToPlace(place, pack(Code.ERROR, PLEASE_LOG_IN))]
        if event.code == Code.LOGOFF:
            return self._log_off_old(user, event.text, moment)
        self.rooms.alive(user, moment.seconds)
        return self._do(user, event, moment, 0)

    def _unserved(self, is_on_link: bool) -> tuple[bytes, Reason] | None:
        """Why an old client is not served: for itself, and for those who look after the server."""
        legacy = self.rooms.settings.legacy
        if legacy is Legacy.OFF:
            return NEWER, _LEGACY_OFF
        return None if is_on_link or legacy is Legacy.EVERYWHERE else (OFF_LINK, _OFF_LINK)

    def _log_in_old(
        self, place: Place, user: User | None, text: bytes, moment: Moment
    ) -> list[Effect]:
        typed = nickname = text.strip()
        is_strict = self.rooms.settings.is_strict and place.host
        if is_strict:
            nickname, _, number = typed.partition(b"/")
        if self.threshold.bans(place.host, moment.seconds):
            return self.threshold.banned(place)
        if why := self.threshold.name_fault(nickname):
            return [ToPlace(place, pack(Code.ERROR, why))]
        if user is not None and self._is_guessed(user) and typed != user.typed:
            return self.threshold.drop("forged")
        if is_strict and number != (wanted := self._number(place, nickname)):
            if user is not None and number:
                user.guesses += 1
            return [ToPlace(place, pack(Code.ERROR, b"log in as %s/%s" % (nickname, wanted)))]
        ack = pack(Code.LOGIN_ACK, typed)
        if user is not None and fold(user.nickname) == fold(nickname):  # our answer was lost
            self.rooms.alive(user, moment.seconds)
            user.typed = typed
            return [ToPlace(place, ack), *self._port(user, moment)]
        if why := self.threshold.not_free(nickname):
            return self.threshold.occupied(place, why)
        if user is None and not self.threshold.allowances.has_room_for_old:
            return self.threshold.occupied(place, FULL)
        if user is None and not self.threshold.allowances.has_room(place.host):
            limit = self.rooms.settings.old_sessions
            why = b"%d old clients at your address are enough" % limit
            return self.threshold.turn_away(place, because("old_clients", limit=limit), why)
        effects = self._clear(place, None, moment)
        effects += self.rooms.log_in(place, nickname, moment)
        user = self.rooms.at[place]
        user.typed = typed
        self.threshold.allowances.come(user, moment.seconds)
        return [*effects, ToPlace(place, ack), *self._port(user, moment)]

    def _log_off_old(self, user: User, text: bytes, moment: Moment) -> list[Effect]:
        """The name has to be there: who forges a log-off may not know it."""
        if fold(text.strip()) != fold(user.typed) or self._is_guessed(user):
            user.guesses += 1
            return self.threshold.drop("forged")
        return self.log_off(user, moment, LOGGED_OFF)

    def _is_guessed(self, user: User) -> bool:
        """Whether somebody has guessed too much about an old client."""
        return self.rooms.settings.is_strict and user.guesses >= GUESSES

    def _number(self, place: Place, nickname: bytes) -> bytes:
        """What an old client has to put behind its name, where that is asked."""
        return b"%06d" % self.rooms.secret.number(place.name, nickname)

    # both

    def _do(self, user: User, event: Event, moment: Moment, number: int) -> list[Effect]:
        """An event of somebody who is logged in, unless there are too many of them."""
        rooms, settings = self.rooms, self.rooms.settings
        if event.code != Code.STILL_HERE:
            tokens = user.tokens + (moment.seconds - user.tokens_at) * settings.rate
            if tokens > settings.burst:  # `min` would take as long as all the rest
                tokens = settings.burst
            user.tokens, user.tokens_at = tokens, moment.seconds
            if tokens < 1:
                self.counts["too_fast"] += 1
                why = b"too fast: %d at once, then %g a second" % (settings.burst, settings.rate)
                return rooms.error(user, why, moment, number)
            user.tokens -= 1
        return rooms.event(user, event.code, event.text, moment, number)

    def _clear(self, place: Place, but: User | None, moment: Moment) -> list[Effect]:
        """Somebody else comes at a place: who was there is gone."""
        user = self.rooms.at.get(place)
        if user is None or user is but:
            return []
        return self.log_off(user, moment, RENAMED)

    def _port(self, user: User, moment: Moment) -> list[Effect]:
        """Where groups are heard, for who comes by a gate that has some: after the log-in."""
        port = user.place.gate.group_port
        if port is None:
            return []
        # part of the log-in, which no budget holds up: without it nothing would ever be heard
        told = self.rooms.answer(user, Code.SET_MCAST_PORT, b"%d" % port, moment)
        return [ToPlace(user.place, told.data), *self._beats(user, moment)]

    def _beats(self, user: User, moment: Moment) -> list[Effect]:
        """Where a new client hears that groups reach it."""
        rooms = self.rooms
        text = rooms.heartbeat.place(user.place.gate, rooms.settings)
        if text is None or user.session is None:
            return []
        return [rooms.answer(user, Code.HEARTBEAT_AT, text, moment, key=rooms.heartbeat.key)]


def _gone_on(opened: Opened, user: User) -> bytes:
    """The answer to who has a session: it goes on."""
    return evolve(opened, last=user.session.sent % NUMBERS if user.session else 0).write()
