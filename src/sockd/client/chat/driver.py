"""A chat as a user has it: the conversation, its way to the server, and what is shown of it."""

from __future__ import annotations

import os
import random
import re
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from typing import Any, Protocol

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall

from sockd.client.chat import typed
from sockd.client.chat.conversation import Conversation, Phase
from sockd.client.chat.links import Groups, Link
from sockd.client.chat.login import Kept
from sockd.client.chat.told import (
    Done,
    Ended,
    JoinGroup,
    LeaveGroup,
    Level,
    Listen,
    LoggedIn,
    Message,
    Notice,
    NotSent,
    Presence,
    Refused,
    Send,
    Shown,
)
from sockd.client.chat.typed import Typed
from sockd.client.errors import ClientError, TimedOut, Unreachable
from sockd.client.errors import Refused as RefusedError
from sockd.client.waiting import wake

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
    name: str = "the server"
    """What the server is called in errors."""
    hint: str = ""
    """What may help where it does not answer."""
    changed: Callable[[], None] = lambda: None
    """Called whenever something may be another than before."""
    ended: Deferred[str] = field(factory=Deferred, init=False)
    """Fires with the reason when it is over."""
    failure: ClientError | None = field(default=None, init=False)
    """Why it never began, or could not go on."""
    has_been_in: bool = field(default=False, init=False)
    unsent: int = field(default=0, init=False)
    """Things said that the server has not had, or has refused."""
    ignored: set[str] = field(factory=set, init=False)
    noticed: set[str] = field(factory=set, init=False)
    tells_all: bool = False
    """Whether everybody's coming and going is told."""
    wants_rows: bool = field(default=False, init=False)
    """Whether a list was asked for."""
    _spoke: dict[tuple[str, str], float] = field(factory=dict, init=False)
    _call: IDelayedCall | None = field(default=None, init=False)
    _is_unreachable: bool = field(default=False, init=False)
    """Whether it was told that the network says so."""
    _waiting: list[tuple[Callable[[], bool], Deferred[None]]] = field(factory=list, init=False)

    def start(self, link: Link) -> None:
        """Begin to talk."""
        self.link = link
        self._do(self.conversation.start(self._now, _family(link)))

    def heard(self, data: bytes) -> None:
        """An event has come."""
        self._is_unreachable = False
        self._do(self.conversation.received(data, self._now))

    def heard_in_group(self, data: bytes, host: str) -> None:
        """An event has come by a group, from this host."""
        server = self.link.host if self.link is not None else ""
        is_servers = host.partition("%")[0] == server.partition("%")[0]
        if server and ip_address(server).is_loopback:
            is_servers = True  # one on this host sends to groups from whatever address it has
        self._do(self.conversation.heard(data, self._now, is_servers=is_servers))

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

    def abandon(self) -> None:
        """Log off and end now, whether the server has had it or not."""
        self._do(self.conversation.quit(self._now))
        if self._call is not None and self._call.active():
            self._call.cancel()
        self._end("")

    def fail(self, error: ClientError) -> None:
        """It cannot go on."""
        self.failure = self.failure or error
        self.quit()

    def unreachable(self, why: str) -> None:
        """The network says that what we send does not arrive. Anybody may say so: who has been in
        looks into it, and goes on."""
        if not self.has_been_in:
            self.fail(Unreachable(f"{self.name}: {why}"))
        elif not self._is_unreachable and not self.is_over:
            self._is_unreachable = True
            self._show(Notice(f"{self.name}: {why}", Level.WARNING))
            self._do(self.conversation.unreachable(self._now))

    def disconnected(self, why: str = "the connection has ended") -> None:
        """The link has ended, and not by us."""
        self.link = None
        if self.has_been_in:
            self._do(self.conversation.disconnected(self._now))
        else:
            self.fail(Unreachable(f"{self.name}: {why}"))

    def tell(self, text: str, level: Level = Level.INFO) -> None:
        """Show something that is not the conversation's."""
        self._show(Notice(text, level))

    @property
    def is_over(self) -> bool:
        """Whether there is nothing more to come."""
        return bool(self.ended.called) or self.conversation.phase is Phase.OVER

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until something is so, or it is over."""
        while not (condition() or self.is_over):
            waits: Deferred[None] = Deferred()
            self._waiting.append((condition, waits))
            await waits

    def connected(self, link: Link) -> None:
        """There is another link."""
        self.link = link
        self._do(self.conversation.connected(self._now, _family(link)))

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
        self.wants_rows |= name in ("channels", "users")
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
                        self._do(self.conversation.deaf(str(error), self._now))
                case LeaveGroup(group):
                    self.groups.leave(group)
                case Refused(why):
                    self._show(done)
                    self._ask_name(why)
                case Ended(why):
                    self._ended(done)
                case _:
                    self._show(done)
        self._plan()
        self.changed()
        self._wake()

    def _ask_name(self, why: str) -> None:
        refused = RefusedError(f"{self.name}: {why}")

        def again(nickname: str) -> None:
            if nickname:
                self._do(self.conversation.rename(nickname, self._now))
            else:
                self.fail(refused)

        self.screen.name().addCallbacks(again, lambda _: self.fail(refused))

    def _ended(self, ended: Ended) -> None:
        if ended.why and not self.has_been_in:
            self.failure = self.failure or TimedOut(f"{self.name}: {ended.why}{self.hint}")
        if self.failure is None:  # else it is told as an error
            self._show(ended)
        self._end(ended.why)

    def _wake(self) -> None:
        """In the next turn: who waits may do something that ends in here."""
        waiting, self._waiting = self._waiting, []
        for condition, waits in waiting:
            if condition() or self.is_over:
                wake(self.reactor, waits)
            else:
                self._waiting.append((condition, waits))

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
            case LoggedIn():
                self.has_been_in = True
            case NotSent():
                self.unsent += 1
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
        """Whether it is told that somebody comes or goes. We hear it of ourselves, too, by a group
        that we still hear."""
        folded = user.casefold()
        own = self.conversation.nickname.decode("utf-8", "surrogateescape").casefold()
        if folded in self.ignored or folded == own:
            return False
        spoke = self._spoke.get((channel.casefold(), folded))
        is_recent = spoke is not None and self._now - spoke < RECENT
        return is_noticed or is_recent or self.tells_all

    def _is_named(self, text: str) -> bool:
        """Whether we are named, in whatever case, and not a part of a longer word is."""
        own = self.conversation.nickname.decode("utf-8", "surrogateescape")
        return re.search(rf"(?<![\w-]){re.escape(own)}(?![\w-])", text, re.IGNORECASE) is not None


def _nothing(_server: bytes, _nickname: bytes) -> None:
    return None


def conversation(
    nickname: str, recall: Callable[[bytes, bytes], Kept | None] = _nothing
) -> Conversation:
    """One with chance of the system's."""
    return Conversation(nickname, os.urandom, random.random, recall)


def _family(link: Link) -> int | None:
    """Of the groups that can be heard beside a link."""
    return ip_address(link.host).version if link.host else None
