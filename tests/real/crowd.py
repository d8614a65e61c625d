"""Many users of the chat in one process, each with the client's own core and a socket of its own.

    python -m tests.real.crowd HOST PORT COUNT FILE

Each is in two channels, speaks in the second one, and keeps what it is shown. It is told lines:
`talk`, from then on each says something every two seconds; `end`, then each says that it ends, and
all of them write FILE. It tells lines: `all are in N`, as soon as each is in its channels at the
Nth server that it has met; `written`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import LoopingCall

from sockd.client.chat.driver import Chat, conversation
from sockd.client.chat.links import DatagramLink, Groups
from sockd.client.chat.told import Joined, LoggedIn, Lost, Message, NotSent, Presence, Shown
from sockd.client.process import install_reactor
from sockd.client.talk.input import Input

CHANNELS = ("CurrentEvents", "Weather", "Gardening", "Hobbies", "Pets")
EVERY = 2.0
"""Seconds between two things that one says."""
LOOK = 0.05
END = "ends"


@define(eq=False)
class User:
    """One user: the screen of its chat, too."""

    number: int
    now: Callable[[], float]
    shown: list[tuple[str, str, str, int]] = field(factory=list)
    """Channel, who, what, and when the server had it."""
    said: list[str] = field(factory=list)
    not_sent: list[str] = field(factory=list)
    lost: dict[str, int] = field(factory=dict)
    logins: list[tuple[float, bool]] = field(factory=list)
    """When, and whether it was told that something may be lost."""
    presences: list[tuple[float, str, str, bool]] = field(factory=list)
    others: list[str] = field(factory=list)
    here: set[str] = field(factory=set)
    """Joined since the last log-in."""
    ended: set[str] = field(factory=set)
    """Who has been heard to end."""
    chat: Any = None

    @property
    def nickname(self) -> str:
        """Its name."""
        return f"user{self.number}"

    @property
    def channels(self) -> list[str]:
        """The two that it is in."""
        return [CHANNELS[(self.number + more) % len(CHANNELS)] for more in (0, 1)]

    def show(self, event: Shown, is_marked: bool) -> None:
        """The client's screen."""
        match event:
            case Message(user, text, channel, time_ms):
                self.shown.append((channel, user, text, time_ms or 0))
                if text == f"{user} {END}":
                    self.ended.add(user)
            case LoggedIn(has_missed=has_missed):
                self.logins.append((self.now(), has_missed))
                self.here.clear()
            case Joined(channel):
                self.here.add(channel)
            case Presence(channel, user, is_here):
                self.presences.append((self.now(), channel, user, is_here))
            case Lost(channel, count):
                self.lost[channel] = self.lost.get(channel, 0) + count
            case NotSent(text):
                self.not_sent.append(text)
            case _:
                self.others.append(str(event))

    def name(self) -> Deferred[str]:
        """No other name."""
        return succeed("")

    def say(self, what: object) -> None:
        """Say something that nobody has said."""
        self.said.append(f"{self.nickname} {what}")
        self.chat.line(self.said[-1])

    def report(self) -> dict[str, Any]:
        """What it has seen."""
        names = ("shown", "said", "not_sent", "lost", "logins", "presences", "others", "channels")
        return {name: getattr(self, name) for name in names}


@define(eq=False)
class Crowd:
    """All of them."""

    reactor: Any
    users: list[User]
    file: Path
    _times_in: int = 0
    _is_ending: bool = False

    def enter(self, host: str, port: int) -> None:
        """All come."""
        for user in self.users:
            self._enter(user, host, port)
        LoopingCall(self._look).start(LOOK)
        Deferred.fromCoroutine(self._read())

    def _enter(self, user: User, host: str, port: int) -> None:
        groups = Groups(self.reactor, "", _nothing)
        chat = Chat(self.reactor, conversation(user.nickname), user, groups)
        chat.tells_all = True
        user.chat = chat
        chat.start(DatagramLink(self.reactor, (host, port), "", chat.heard))
        for channel in user.channels:
            chat.line(f"/join {channel}")

    async def _read(self) -> None:
        source = Input(self.reactor)
        while line := await source.read():
            if line == b"talk\n":
                for user in self.users:
                    self._talk(user, 0)
            else:
                self._is_ending = True
        self.reactor.stop()

    def _talk(self, user: User, number: int) -> None:
        if self._is_ending:
            return
        if number:
            user.say(number)
        wait = EVERY if number else EVERY * user.number / len(self.users)
        self.reactor.callLater(wait, self._talk, user, number + 1)

    def _look(self) -> None:
        if all(user.here >= set(user.channels) for user in self.users):
            times = 1 + min(sum(missed for _, missed in user.logins) for user in self.users)
            if times > self._times_in:
                self._times_in = times
                tell(f"all are in {times}")
        if self._is_ending and all(user.chat.conversation.is_idle for user in self.users):
            self._end()

    def _end(self) -> None:
        for user in self.users:
            if END not in user.said[-1]:
                user.say(END)
        if all(self._has_heard_all(user) for user in self.users):
            self.file.write_text(json.dumps([user.report() for user in self.users]))
            tell("written")
            self._is_ending = False

    def _has_heard_all(self, user: User) -> bool:
        """It has heard all end, and waits for nothing that may be late."""
        speakers = {one.nickname for one in self.users if one.channels[1] in user.channels}
        return user.ended >= speakers and all(
            one.next_at is None for one in user.chat.conversation.channels
        )


def _nothing(data: bytes, host: str) -> None:
    """By datagrams nothing comes to a group."""


def tell(line: str) -> None:
    """To who has started us."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    """Run."""
    host, port, count, file = sys.argv[1:]
    reactor = install_reactor()
    users = [User(number, reactor.seconds) for number in range(int(count))]
    reactor.callWhenRunning(Crowd(reactor, users, Path(file)).enter, host, int(port))
    reactor.run()


if __name__ == "__main__":
    main()
