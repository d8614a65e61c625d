"""From what the user has asked for to a chat, and its end."""

from __future__ import annotations

import getpass
import os
import re
from collections.abc import Sequence
from typing import Protocol

from attrs import define, field, frozen
from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from sockd.client.chat.driver import Chat, Screen, conversation
from sockd.client.chat.find import CHAT_PORTS, Search
from sockd.client.chat.links import DatagramLink, Groups, Link, open_link
from sockd.client.chat.plain import PlainScreen, json_line
from sockd.client.chat.redial import Redial
from sockd.client.chat.servers import Server
from sockd.client.chat.sessions import Keeper
from sockd.client.chat.state import State, folder_of
from sockd.client.chat.told import Level, Notice
from sockd.client.errors import TimedOut, UsageFault
from sockd.client.exits import Exit
from sockd.client.process import Run, is_terminal
from sockd.client.targets import Target, Transport
from sockd.formats import ports
from sockd.formats.chat.names import MAX_NICKNAME

NOBODY = (
    "no chat server answers here: name its HOST, have --doctor say what was tried, "
    "or start one: sockd run --only chat"
)
HINT = "; where datagrams are dropped on the way, --tcp may get there"
NAMELESS = "there is no nickname: give one by --nick NAME"


@frozen
class Wanted:
    """What the command line says."""

    target: Target | None = None
    """None: the server is to be found."""
    nickname: str = ""
    channels: Sequence[str] = ()


class Front(Screen, Protocol):
    """What the user sees and types."""

    @property
    def is_interactive(self) -> bool:
        """Whether a user looks: the nickname is theirs from now on."""

    failure: OSError | None
    """Why nothing can be shown any more."""

    async def first_name(self, last: str, own: str) -> str:
        """The nickname, where nobody has given one: there is the last one, and the user's own name.
        Nothing where there is none."""

    async def run(self, chat: Chat) -> None:
        """Hand on what is typed to its end, and log off."""

    def refresh(self) -> None:
        """Something may be another than before."""

    async def close(self) -> None:
        """Leave all as it was."""


async def talk(run: Run, wanted: Wanted) -> Exit:
    """Talk until the user has enough, or the server."""
    early: list[str] = []
    state = State(folder_of(os.environ), early.append)
    front = _front(run, state)

    def told(text: str) -> None:
        front.show(Notice(text, Level.WARNING), False)

    state.told = told
    for text in early:
        told(text)
    state.clean()
    try:
        return await _Talk(run, wanted, front, state).go()
    finally:
        state.close()
        await front.close()
        if front.failure is not None:
            raise front.failure


def _front(run: Run, state: State) -> Front:
    if run.asking.as_json:
        return PlainScreen(run.reactor, json_line)
    if not is_terminal():
        return PlainScreen(run.reactor)
    from sockd.client.chat.terminal import Terminal

    return Terminal(state.history())


def login_name() -> str:
    """The user's name, as far as it can be a nickname."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        return ""
    return re.sub(r"[^A-Za-z0-9_-]", "", name)[:MAX_NICKNAME]


@define(eq=False)
class _Talk:
    """One chat, from the command line on."""

    run: Run
    wanted: Wanted
    front: Front
    state: State
    chat: Chat = field(init=False)
    redial: Redial = field(init=False)
    broken: Failure | None = field(default=None, init=False)
    """Why no more of what is typed can be had."""

    async def go(self) -> Exit:
        """Find the server, log in, and talk."""
        last = self.state.last()
        target = self.wanted.target or await self._find(last.server)
        nickname = self.wanted.nickname or await self.front.first_name(last.nickname, login_name())
        if not nickname:
            raise UsageFault(NAMELESS)
        link = await self._make(target, nickname)
        server = self._server(target, link, last.server)
        keeper = Keeper(self.state, self.chat.conversation, self.run.reactor.seconds, server)
        if not self.front.is_interactive:
            keeper.nickname = last.nickname

        def changed() -> None:
            keeper.look()
            self.front.refresh()

        self.chat.changed = changed
        self.chat.start(link)
        for line in self._first_lines():
            self.chat.line(line)
        return await self._until_over()

    def _first_lines(self) -> list[str]:
        """What the user would type first: who is in no channel needs to know which there are."""
        if self.wanted.channels:
            return [f"/join {title}" for title in self.wanted.channels]
        return ["/channels"] if self.front.is_interactive else []

    async def _find(self, last: Server | None) -> Target:
        asking = self.run.asking
        is_udp = asking.transport == Transport.UDP
        wanted = (asking.port,) if asking.port and is_udp else CHAT_PORTS
        found = await Search(self.run, self._tell, ports=wanted).find(last)
        if not found:
            raise TimedOut(NOBODY)
        first, *others = found
        if others:
            self._tell(f"there are others: {', '.join(map(str, others))}")
        port = first.port if is_udp else asking.port or ports.CHAT
        how = "" if is_udp else f" by {asking.transport}"
        self._tell(f"talking to {first}{how}")
        return Target(Transport(asking.transport), first.host, port)

    async def _make(self, target: Target, nickname: str) -> Link:
        """Everything, and the way to the server."""
        run = self.run

        def heard(data: bytes) -> None:
            self.chat.heard(data)

        async def dial() -> Link:
            return await open_link(
                run.reactor, target, run.asking, heard, self.chat.unreachable, self.redial.lost
            )

        def heard_in_group(data: bytes, host: str) -> None:
            self.chat.heard_in_group(data, host)

        groups = Groups(run.reactor, run.asking.interface, heard_in_group)
        spoken = conversation(nickname, self.state.recall)
        self.chat = Chat(run.reactor, spoken, self.front, groups, name=str(target))
        self.chat.tells_all = run.asking.verbosity > 0
        self.chat.hint = HINT if target.transport is Transport.UDP else ""
        self.redial = Redial(self.chat, dial)
        return await dial()

    def _server(self, target: Target, link: Link, last: Server | None) -> Server | None:
        """Whom to ask first the next time: what is no datagram is no question."""
        if not isinstance(link, DatagramLink):
            return last
        return Server(link.host, target.port)

    async def _until_over(self) -> Exit:
        chat = self.chat
        feeding = Deferred.fromCoroutine(self.front.run(chat))
        feeding.addErrback(self._failed)
        try:
            why = await chat.ended
        except CancelledError:
            chat.abandon()
            raise
        finally:
            self.redial.stop()
            feeding.cancel()
        if self.broken is not None:
            self.broken.raiseException()
        if chat.failure is not None:
            raise chat.failure
        return Exit.UNREACHABLE if why or chat.unsent else Exit.ANSWERED

    def _failed(self, failure: Failure) -> None:
        if not failure.check(CancelledError) and not self.chat.ended.called:
            self.broken = failure
            self.chat.abandon()

    def _tell(self, text: str) -> None:
        self.front.show(Notice(text), False)
