"""A server as the tutorial has it: it knows no hello, no session and no confirmation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from sockd.client.chat.conversation import Conversation
from sockd.client.chat.told import Done, Send
from sockd.formats.chat.events import Code, pack, unpack

Kind = TypeVar("Kind")
TITLES = {"weather": "Weather", "pets": "Pets"}


class OldServer:
    """One that one client talks to; what it sends comes at once, unless it is to be lost."""

    def __init__(
        self, *, knows_signs: bool = True, group: str = "", tells_port: bool = True
    ) -> None:
        self.user: bytes | None = None
        self.taken: set[bytes] = set()
        self.channels: list[str] = []
        self.had: list[tuple[int, bytes]] = []
        self.is_deaf = False
        self.loses: set[int] = set()
        """Codes of what it sends in vain."""
        self._knows_signs = knows_signs
        self._group = group
        self._tells_port = tells_port

    def answers(self, data: bytes) -> list[bytes]:
        """What it sends back for an event."""
        event = unpack(data)
        assert event is not None
        self.had.append((event.code, event.text))
        if self.is_deaf:
            return []
        sent = self._answers(event.code, event.text)
        return [pack(code, text) for code, text in sent if code not in self.loses]

    def _answers(self, code: int, text: bytes) -> Sequence[tuple[int, bytes]]:
        if code == Code.LOGIN_REQ:
            if text in self.taken or self.user is not None:
                return [(Code.ERROR, b"nickname already in use")]
            self.user = text
            tells_port = self._group and self._tells_port
            port = [(Code.SET_MCAST_PORT, b"2028")] if tells_port else []
            return [(Code.LOGIN_ACK, text), *port]
        if self.user is None:
            return [(Code.ERROR, b"please log in")]
        if code == Code.STILL_HERE and self._knows_signs:
            return []
        return self._of_user(self.user, code, text)

    def _of_user(self, user: bytes, code: int, text: bytes) -> Sequence[tuple[int, bytes]]:
        match code:
            case Code.LOGOFF:
                self.user = None
                self.channels.clear()
                return []
            case Code.JOIN_REQ:
                title = TITLES.get(text.decode().casefold())
                if title is None:
                    return [(Code.ERROR, b"no channel named " + text)]
                self.channels = [title, *(one for one in self.channels if one != title)]
                return [(Code.JOIN_ACK, self._info(title))]
            case Code.PART_REQ:
                title = TITLES.get(text.decode().casefold(), text.decode()) or self.channels[0]
                self.channels.remove(title)
                return [(Code.PART_ACK, self._info(title))]
            case Code.SEND_PUBLIC:
                title = self.channels[0]
                return [(Code.PUBLIC_MSG, b"%s %s %s" % (title.encode(), user, text))]
            case Code.LIST_CHANNELS:
                return [(Code.CHANNEL_ITEM, self._info(one)) for one in TITLES.values()]
            case Code.LIST_USERS:
                return [(Code.USER_ITEM, b"%s 5 Weather" % user)]
        return [(Code.ERROR, b"unimplemented event code")]

    def _info(self, title: str) -> bytes:
        group = f"{self._group} " if self._group else ""
        return f"{title} 1 {group}about {title}".encode()


class Talk:
    """A conversation with such a server."""

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
                for data in self.server.answers(done.data):
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
