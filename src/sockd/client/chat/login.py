"""How a conversation gets in: a hello first, then as the server is: with a session at a new one, as
the tutorial's clients do at an old one.

Whoever has met a new server never speaks as an old client with it again: a forged ERROR would take
its session. An old server cannot tell a log-in that came twice from one of somebody else, so a
refusal of one is looked into with another hello.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum

from attrs import define, field, frozen

from sockd.client.chat.told import Done, Ended, Level, Notice, Refused, Send
from sockd.formats.chat import trailer
from sockd.formats.chat.events import Code, Event, pack
from sockd.formats.chat.hello import NONCE_BYTES, Hello, Welcome
from sockd.formats.chat.names import fold
from sockd.formats.chat.session import Open, Opened

LOGIN_TRIES = 5
LOGIN_SECONDS = 6.0
"""Between two tries to log in with an old server, as the tutorial's clients have it."""
HELLO_WAITS = (0.5, 1.0, 2.0, 4.0, 6.0)
"""Seconds from each hello to the next; what did not come then is not to be had."""
FIRST_AWAY_SECONDS = 2.0
"""Within which, by chance, the first hello goes to a server that is back: many clients do not all
come at once."""
AWAY_WAITS = (2.0, 4.0, 8.0)
"""Seconds from each hello to the next to a server that has fallen silent; by chance up to twice as
long. A server that is back is noticed well before a second sign of life would have been due."""
REFUSED_AGAIN = 2
"""Tries that are refused, until it is believed: an answer to an earlier event may come late, and
whoever forges one has to do it while we wait for the genuine one, twice."""
MOST_EARLY = 4
"""Events that overtake the answer to a log-in and are kept: two follow it where it has groups."""
NOT_IN = (b"please log in", b"say hello first")
"""What a server says to who is not logged in: not a refusal, but the answer to something before."""


class Phase(Enum):
    """Where a conversation stands."""

    HELLO = "hello"
    LOGIN = "login"
    OPEN = "open"
    IN = "in"
    AWAY = "away"
    REFUSED = "refused"
    """Until there is another nickname."""
    LEAVING = "leaving"
    OVER = "over"


@frozen
class Kept:
    """A session as it can be taken up again, by another process too."""

    server: bytes
    session: bytes
    key: bytes = field(repr=False)
    number: int
    """Of what was signed last."""
    channels: Sequence[bytes] = ()
    """Those that we are in, the current one first."""


def _nothing(_server: bytes, _nickname: bytes) -> None:
    return None


@define(eq=False)
class Login:
    """The way in, and who we are there."""

    random: Callable[[int], bytes]
    chance: Callable[[], float]
    recall: Callable[[bytes, bytes], Kept | None] = _nothing
    """The session that we have had, before this conversation, at a server by a nickname."""
    nickname: bytes = b""
    phase: Phase = Phase.HELLO
    is_new: bool = False
    """Whether the server is one that has sessions."""
    welcome: Welcome | None = None
    session: Opened | None = None
    is_linked: bool = True
    """Whether there is a way to the server."""
    number: int = 0
    """Of what was sent last."""
    recalled: Sequence[bytes] = ()
    """The channels of a session that is taken up, the current one first: to be joined again."""
    not_in: bytes | None = None
    """What an old server says to who is not logged in."""
    again_at: float | None = None
    _key: bytes = field(default=b"", repr=False)
    _nonce: bytes = b""
    _tries: int = 0
    _refusal: bytes | None = None
    _refusals: int = 0
    _early: list[bytes] = field(factory=list)
    _refused_try: int = 0
    """The last one that was."""

    @property
    def key(self) -> bytes:
        """Of the session."""
        return self._key

    @property
    def kept(self) -> Kept | None:
        """Our session, to be taken up again; None at an old server."""
        if not self.is_new or self.session is None or self.welcome is None:
            return None
        return Kept(self.welcome.server, self.session.session, self._key, self.number)

    def start(self, nickname: bytes, now: float) -> list[Done]:
        """Begin: who is there?"""
        self.nickname, self.session, self._nonce = nickname, None, self.random(NONCE_BYTES)
        if not nickname or nickname.split() != [nickname]:
            return self._refuse(b"a nickname is needed, without white space")
        if not self.is_linked:
            self._be(Phase.AWAY)
            return []
        self._be(Phase.HELLO)
        return self._say_hello(now)

    def away(self, now: float) -> None:
        """The server is silent, has forgotten us, or cannot be reached."""
        self._nonce = self.random(NONCE_BYTES)
        self._be(Phase.AWAY)
        self.again_at = now + FIRST_AWAY_SECONDS * self.chance() if self.is_linked else None

    def disconnected(self, now: float) -> None:
        """There is no way to the server."""
        self.is_linked = False
        self.away(now)

    def connected(self, now: float) -> list[Done]:
        """There is one again, maybe another one."""
        self.is_linked = True
        return self._say_hello(now) if self.phase is Phase.AWAY else []

    def end(self) -> None:
        """There is nothing more to do."""
        self._be(Phase.OVER)

    def leave(self) -> None:
        """We are on our way out."""
        self._be(Phase.LEAVING)

    def sign(self, event: bytes) -> bytes:
        """An event as the server takes it."""
        self.number += 1
        if not self.is_new or self.session is None:
            return event
        return trailer.sign(event, self.session.session, self.number, self._key)

    def tick(self, now: float) -> list[Done]:
        """There was no answer in time."""
        if self.again_at is None or now < self.again_at:
            return []
        self.again_at = None
        match self.phase:
            case Phase.AWAY:
                return self._say_hello(now)
            case Phase.HELLO if self._tries < len(HELLO_WAITS):
                return self._say_hello(now)
            case Phase.OPEN if self._tries < len(HELLO_WAITS):
                return self._open(now)
            case Phase.LOGIN if self._tries < LOGIN_TRIES:
                return self._log_in(now)
            case Phase.OPEN if self.session is not None:  # it is gone again
                self.away(now)
                return []
        if self._refusal is not None:
            return self._refuse(self._refusal)
        self.end()
        return [Ended("the server does not answer")]

    def take(self, event: Event, now: float) -> list[Done]:
        """An event without a trailer, while we are not in. `phase` tells whether we are then."""
        is_error = event.code == Code.ERROR
        match self.phase:
            case Phase.HELLO | Phase.AWAY | Phase.LOGIN if event.code == Code.WELCOME:
                return self._welcomed(event, now)
            case Phase.HELLO | Phase.AWAY if is_error and self.welcome is None:
                return self._answered_as_old(event.text, now)
            case Phase.LOGIN if event.code == Code.LOGIN_ACK:
                self._be(Phase.IN)
            case Phase.LOGIN if is_error:
                return self._refused_by_old(event.text, now)
            case Phase.OPEN if event.code == Code.OPENED:
                self._opened(event)
            case Phase.OPEN if is_error:
                return self._refused(event.text, now)
        return []

    def comes_early(self, data: bytes) -> None:
        """Something that seems to be of the session that is about to begin has overtaken the answer
        that begins it."""
        if len(self._early) < MOST_EARLY:
            self._early.append(data)

    def early(self) -> list[bytes]:
        """That, once."""
        found, self._early = self._early, []
        return found

    def _be(self, phase: Phase) -> None:
        self.phase, self.again_at, self._tries = phase, None, 0
        self._refusal, self._refusals, self._refused_try = None, 0, 0

    def _say_hello(self, now: float) -> list[Done]:
        tries = min(self._tries, len(HELLO_WAITS) - 1)
        wait = HELLO_WAITS[tries]
        if self.phase is Phase.AWAY:
            wait = AWAY_WAITS[min(tries, len(AWAY_WAITS) - 1)] * (1 + self.chance())
        self._tries += 1
        self.again_at = now + wait
        return [Send(Hello(self._nonce).write())]

    def _refuse(self, why: bytes) -> list[Done]:
        self._be(Phase.REFUSED)
        self.session = None
        return [Refused(why.decode("utf-8", "surrogateescape"))]

    # at an old server

    def _answered_as_old(self, text: bytes, now: float) -> list[Done]:
        """It takes a hello for an event it does not know, or asks us to log in first."""
        if self.phase is Phase.AWAY and self.not_in is not None and text != self.not_in:
            self._be(Phase.IN)  # it was away, and knows us still
            return []
        self.not_in = text
        self.is_new = False
        self._be(Phase.LOGIN)
        return self._log_in(now)

    def _log_in(self, now: float) -> list[Done]:
        """As the tutorial's clients do."""
        self._tries += 1
        self.again_at = now + LOGIN_SECONDS
        return [Send(pack(Code.LOGIN_REQ, self.nickname))]

    def _refused_by_old(self, text: bytes, now: float) -> list[Done]:
        if text == self.not_in:  # of a hello that came twice, or of the one that looks into it
            return self._refuse(self._refusal) if self._refusal is not None else []
        if self._refusal is not None and text != self._refusal:
            self._be(Phase.IN)  # we may send events: it is us who have the name
        elif self._tries > self._refused_try:
            self._refusal, self._refused_try = text, self._tries
            return [Send(Hello(self._nonce).write())]
        return []

    # at a new server

    def _welcomed(self, event: Event, now: float) -> list[Done]:
        """It is a new one."""
        welcome = Welcome.read(event.text)
        if welcome is None or welcome.nonce != self._nonce:
            return []
        done: list[Done] = []
        if self.phase is Phase.LOGIN:  # an ERROR was forged: it has us as an old client, maybe
            done = [Send(pack(Code.LOGOFF, self.nickname))]
        self.welcome, self.is_new = welcome, True
        if self.session is None and (kept := self.recall(welcome.server, self.nickname)):
            self.session = Opened(self.nickname, kept.session, b"", 0)
            self.number, self._key, self.recalled = kept.number, kept.key, kept.channels
        self._be(Phase.OPEN)
        self._early.clear()
        return [*done, *self._open(now)]

    def _open(self, now: float) -> list[Done]:
        assert self.welcome is not None
        self.again_at = now + HELLO_WAITS[min(self._tries, len(HELLO_WAITS) - 1)]
        self._tries += 1
        event = Open(self.nickname, self.welcome.cookie, self._nonce).write()
        return [Send(self.sign(event))]

    def _opened(self, event: Event) -> None:
        opened = Opened.read(event.text)
        if opened is None or fold(opened.nickname) != fold(self.nickname):
            return
        if opened.nonce != self._nonce:
            return  # of an earlier log-in, or forged
        if opened.key:
            self.number, self._key, self.recalled = 0, opened.key, ()
        elif self.session is None or opened.session != self.session.session:
            return  # without a key it is of no use to us
        self.session = opened
        self._be(Phase.IN)

    def _refused(self, text: bytes, now: float) -> list[Done]:
        if text in NOT_IN:
            return []  # `tick` asks again, or says hello again
        if self._tries > self._refused_try:
            self._refused_try, self._refusal = self._tries, text
            self._refusals += 1
        return self._refuse(text) if self._refusals >= REFUSED_AGAIN else []


def silent() -> Notice:
    """What a user is told when the server does not answer any more."""
    return Notice("the server does not answer; trying again", Level.WARNING)
