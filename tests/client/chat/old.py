"""A server as the tutorial has it: it knows no hello, no session and no confirmation."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TypeVar

from attrs import define, field

from sockd.client.chat.conversation import Conversation
from sockd.client.chat.told import Done, Send
from sockd.formats.chat.events import Code, pack, unpack

Kind = TypeVar("Kind")
TITLES = {"weather": "Weather", "pets": "Pets"}
PATIENCE = 120.0
"""Seconds of silence after which it logs somebody off."""
Sent = tuple[Hashable, int, bytes]
"""Where to, the code, the text."""


@define(eq=False)
class OldUser:
    """Somebody who is logged in."""

    name: bytes
    heard: float
    channels: list[str] = field(factory=list)
    """The current one first."""


class OldServer:
    """One that many talk to. `loses`: codes of what it sends in vain."""

    def __init__(
        self, *, knows_signs: bool = True, group: str = "", tells_port: bool = True
    ) -> None:
        self.users: dict[Hashable, OldUser] = {}
        self.taken: set[bytes] = set()
        self.had: list[tuple[int, bytes]] = []
        self.is_deaf = False
        self.loses: set[int] = set()
        self._knows_signs = knows_signs
        self._group = group
        self._tells_port = tells_port

    @property
    def user(self) -> bytes | None:
        """Who is logged in, where only one can be."""
        return next((one.name for one in self.users.values()), None)

    @property
    def channels(self) -> list[str]:
        """Where that one is, the current channel first."""
        return next((one.channels for one in self.users.values()), [])

    def answers(self, data: bytes) -> list[bytes]:
        """What it sends back for an event, where only one talks to it."""
        return [answer for _, answer in self.received(0, data, 0.0)]

    def received(self, place: Hashable, data: bytes, now: float) -> list[tuple[Hashable, bytes]]:
        """What it sends for an event, and where."""
        event = unpack(data)
        assert event is not None
        self.had.append((event.code, event.text))
        if self.is_deaf:
            return []
        if place in self.users:
            self.users[place].heard = now
        sent = self._answers(place, event.code, event.text, now)
        return [(to, pack(code, text)) for to, code, text in sent if code not in self.loses]

    def tick(self, now: float) -> list[bytes]:
        """Log off who is silent."""
        silent = [place for place, user in self.users.items() if now - user.heard >= PATIENCE]
        return [self.users.pop(place).name for place in silent]

    def forget(self) -> None:
        """It has started anew."""
        self.users.clear()

    def members(self, title: str) -> set[str]:
        """Who is in a channel."""
        users = self.users.values()
        return {user.name.decode() for user in users if TITLES[title] in user.channels}

    def _answers(self, place: Hashable, code: int, text: bytes, now: float) -> Sequence[Sent]:
        user = self.users.get(place)
        if code == Code.LOGIN_REQ:
            names = self.taken | {one.name for one in self.users.values()}
            if text in names or user is not None:
                return [(place, Code.ERROR, b"nickname already in use")]
            self.users[place] = OldUser(text, now)
            tells_port = self._group and self._tells_port
            port = [(place, Code.SET_MCAST_PORT, b"2028")] if tells_port else []
            return [(place, Code.LOGIN_ACK, text), *port]
        if user is None:
            return [(place, Code.ERROR, b"please log in")]
        if code == Code.STILL_HERE and self._knows_signs:
            return []
        return self._of_user(place, user, code, text)

    def _of_user(self, place: Hashable, user: OldUser, code: int, text: bytes) -> Sequence[Sent]:
        match code:
            case Code.LOGOFF:
                del self.users[place]
                return []
            case Code.JOIN_REQ:
                title = TITLES.get(text.decode().casefold())
                if title is None:
                    return [(place, Code.ERROR, b"no channel named " + text)]
                user.channels = [title, *(one for one in user.channels if one != title)]
                return [(place, Code.JOIN_ACK, self._info(title))]
            case Code.PART_REQ:
                title = TITLES.get(text.decode().casefold(), text.decode()) or user.channels[0]
                if title not in user.channels:
                    return [(place, Code.ERROR, b"not in " + text)]
                user.channels.remove(title)
                return [(place, Code.PART_ACK, self._info(title))]
            case Code.SEND_PUBLIC if user.channels:
                said = b"%s %s %s" % (user.channels[0].encode(), user.name, text)
                to = [one for one, who in self.users.items() if user.channels[0] in who.channels]
                return [(one, Code.PUBLIC_MSG, said) for one in to]
            case Code.LIST_CHANNELS:
                return [(place, Code.CHANNEL_ITEM, self._info(one)) for one in TITLES.values()]
            case Code.LIST_USERS:
                return [(place, Code.USER_ITEM, b"%s 5 Weather" % user.name)]
        return [(place, Code.ERROR, b"unimplemented event code")]

    def _info(self, title: str) -> bytes:
        group = f"{self._group} " if self._group else ""
        return f"{title} 1 {group}about {title}".encode()


class Talk:
    """A conversation with such a server, on a wire without faults."""

    def __init__(self, server: OldServer, nickname: str = "anna") -> None:
        self.server = server
        self.now = 100.0
        self.shown: list[Done] = []
        self.conversation = Conversation(nickname, lambda count: b"n" * count, lambda: 0.5)
        self.do(self.conversation.start(self.now))

    def do(self, dones: Sequence[Done]) -> None:
        """Carry out what the conversation wants done."""
        for done in dones:
            if isinstance(done, Send):
                for _, data in self.server.received(0, done.data, self.now):
                    self.hear(data)
            else:
                self.shown.append(done)

    def hear(self, data: bytes) -> None:
        """Something comes."""
        self.do(self.conversation.received(data, self.now))

    def run(self, seconds: float) -> None:
        """Let time pass."""
        until = self.now + seconds
        while (at := self.conversation.next_at) is not None and at <= until:
            self.now = max(self.now, at)
            self.do(self.conversation.tick(self.now))
        self.now = until

    def had(self, code: int) -> list[bytes]:
        """Texts of what the server has had with a code."""
        return [text for one, text in self.server.had if one == code]

    def of(self, kind: type[Kind]) -> list[Kind]:
        """What was shown of a kind."""
        return [one for one in self.shown if isinstance(one, kind)]
