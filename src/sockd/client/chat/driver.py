"""A chat as a user has it: the conversation, its way to the server, and what is shown of it."""

from __future__ import annotations

import os
import random
import re
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall

from sockd.client.chat import typed
from sockd.client.chat.conversation import Conversation
from sockd.client.chat.links import Groups, Link
from sockd.client.chat.told import (
    Done,
    Ended,
    JoinGroup,
    LeaveGroup,
    Level,
    Listen,
    Message,
    Notice,
    Presence,
    Refused,
    Send,
    Shown,
)
from sockd.client.chat.typed import Typed
from sockd.client.errors import ClientError

RECENT = 300.0
"""Seconds since somebody has spoken in which it is told that it goes or comes back."""
MOST_SPEAKERS = 1_000
"""Speakers that are remembered; those who spoke longest ago are forgotten."""


class Screen(Protocol):
    """Where it is shown."""

    def show(self, event: Shown, is_marked: bool) -> None:
        """Something happened. `is_marked`: it is for us by name, or from one we want to notice."""

    def name(self) -> Deferred[str]:
        """Ask for another nickname."""


@define(eq=False)
class Chat:
    """One user's chat, until it ends."""

    reactor: Any
    conversation: Conversation
    screen: Screen
    groups: Groups
    link: Link | None = None
    ended: Deferred[str] = field(factory=Deferred, init=False)
    """Fires with the reason when it is over."""
    ignored: set[str] = field(factory=set, init=False)
    noticed: set[str] = field(factory=set, init=False)
    tells_all: bool = False
    """Whether everybody's coming and going is told."""
    _spoke: dict[tuple[str, str], float] = field(factory=dict, init=False)
    _call: IDelayedCall | None = field(default=None, init=False)

    def start(self, link: Link) -> None:
        """Begin to talk."""
        self.link = link
        self._do(self.conversation.start(self._now))

    def heard(self, data: bytes) -> None:
        """An event has come."""
        self._do(self.conversation.received(data, self._now))

    def line(self, text: str) -> None:
        """The user has typed a line."""
        match typed.read(text):
            case None:
                pass
            case Typed(name, rest):
                self._command(name, rest)
            case str() as why:
                self._show(Notice(why, Level.ERROR))

    def quit(self) -> None:
        """Log off, and end."""
        self._do(self.conversation.quit(self._now))

    def disconnected(self) -> None:
        """The link has ended, and not by us."""
        self.link = None
        self._do(self.conversation.disconnected(self._now))

    def connected(self, link: Link) -> None:
        """There is another link."""
        self.link = link
        self._do(self.conversation.connected(self._now))

    @property
    def _now(self) -> float:
        return float(self.reactor.seconds())

    def _command(self, name: str, rest: str) -> None:
        conversation, now = self.conversation, self._now
        first, _, more = rest.partition(" ")
        actions: dict[str, Callable[[], Sequence[Done]]] = {
            "public": lambda: conversation.say(rest, now),
            "private": lambda: conversation.whisper(first, more.strip(), now),
            "join": lambda: conversation.join(first, now),
            "part": lambda: conversation.part(first, now),
            "channels": lambda: conversation.list_channels(now),
            "users": lambda: conversation.list_users(now),
            "login": lambda: conversation.rename(first, now),
            "quit": lambda: conversation.quit(now),
            "help": lambda: [Notice(line) for line in typed.help_lines()],
            "ignore": lambda: self._toggle(self.ignored, first, "ignored"),
            "notify": lambda: self._toggle(self.noticed, first, "noticed"),
            "notices": self._switch_notices,
        }
        self._do(actions[name]())

    def _toggle(self, names: set[str], name: str, what: str) -> Sequence[Done]:
        if not name:
            return [Notice(f"{what}: {', '.join(sorted(names)) or 'nobody'}")]
        folded = name.casefold()
        if folded in names:
            names.discard(folded)
            return [Notice(f"{name} is not {what} any more")]
        names.add(folded)
        return [Notice(f"{name} is {what}")]

    def _switch_notices(self) -> Sequence[Done]:
        self.tells_all = not self.tells_all
        who = "everybody" if self.tells_all else "recent speakers only"
        return [Notice(f"who comes and goes is told of {who}")]

    def _do(self, dones: Sequence[Done]) -> None:
        for done in dones:
            match done:
                case Send(data):
                    if self.link is not None:
                        self.link.send(data)
                case Listen(port):
                    self.groups.listen(port)
                case JoinGroup(group):
                    try:
                        self.groups.join(group)
                    except ClientError as error:
                        if not self.conversation.is_deaf:
                            self._show(Notice(str(error), Level.ERROR))
                        self._do(self.conversation.deaf(self._now))
                case LeaveGroup(group):
                    self.groups.leave(group)
                case Refused():
                    self._show(done)
                    self.screen.name().addCallbacks(self._rename, lambda _: self.quit())
                case Ended(why):
                    self._show(done)
                    self._end(why)
                case _:
                    self._show(done)
        self._plan()

    def _rename(self, nickname: str) -> None:
        if nickname:
            self._do(self.conversation.rename(nickname, self._now))
        else:
            self.quit()

    def _plan(self) -> None:
        if self._call is not None and self._call.active():
            self._call.cancel()
        self._call = None
        at = self.conversation.next_at
        if at is not None and not self.ended.called:
            self._call = self.reactor.callLater(max(0.0, at - self._now), self._tick)

    def _tick(self) -> None:
        self._do(self.conversation.tick(self._now))

    def _end(self, why: str) -> None:
        self.groups.close()
        if self.link is not None:
            self.link.close()
        if not self.ended.called:
            self.ended.callback(why)

    def _show(self, event: Shown) -> None:
        is_marked = False
        match event:
            case Message(user, text, channel, is_own=is_own):
                if user.casefold() in self.ignored and not is_own:
                    return
                self._keep(channel, user)
                is_marked = not is_own and (
                    not channel or self._is_named(text) or user.casefold() in self.noticed
                )
            case Presence(channel, user):
                is_marked = user.casefold() in self.noticed
                if not self._is_told(channel, user, is_marked):
                    return
        self.screen.show(event, is_marked)

    def _keep(self, channel: str, user: str) -> None:
        """Somebody has spoken."""
        key = channel.casefold(), user.casefold()
        self._spoke.pop(key, None)
        if len(self._spoke) >= MOST_SPEAKERS:
            del self._spoke[next(iter(self._spoke))]
        self._spoke[key] = self._now

    def _is_told(self, channel: str, user: str, is_noticed: bool) -> bool:
        """Whether it is told that somebody comes or goes."""
        folded = user.casefold()
        if folded in self.ignored:
            return False
        spoke = self._spoke.get((channel.casefold(), folded))
        is_recent = spoke is not None and self._now - spoke < RECENT
        return is_noticed or is_recent or self.tells_all

    def _is_named(self, text: str) -> bool:
        """Whether we are named, in whatever case, and not a part of a longer word is."""
        own = self.conversation.nickname.decode("utf-8", "surrogateescape")
        return re.search(rf"(?<![\w-]){re.escape(own)}(?![\w-])", text, re.IGNORECASE) is not None


def conversation(nickname: str) -> Conversation:
    """One with chance of the system's."""
    return Conversation(nickname, os.urandom, random.random)
