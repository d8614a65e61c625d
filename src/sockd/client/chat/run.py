"""From a target to a chat, and its end."""

from __future__ import annotations

import socket
import sys
from typing import Any

from twisted.internet.defer import Deferred

from sockd.client.chat.driver import Chat, conversation
from sockd.client.chat.links import DatagramLink, Groups, Link, StreamLink
from sockd.client.chat.plain import PlainScreen, feed
from sockd.client.exits import Exit
from sockd.client.net.resolve import resolve
from sockd.client.process import Run
from sockd.client.talk.input import Input
from sockd.client.targets import Target


async def talk(run: Run, target: Target, nickname: str) -> Exit:
    """Talk until the user has enough, or the server."""
    chat_: list[Chat] = []

    def heard(data: bytes) -> None:
        chat_[0].heard(data)

    groups = Groups(run.reactor, run.asking.interface, heard)
    if is_terminal():
        return await _on_terminal(run, target, nickname, groups, chat_, heard)
    chat = Chat(run.reactor, conversation(nickname), PlainScreen(), groups)
    chat_.append(chat)
    link = await _link(run, target, heard)
    chat.start(link)
    source = Input(run.reactor)
    feeding = Deferred.fromCoroutine(feed(chat, source))
    feeding.addCallback(lambda _: run.reactor.callLater(1.0, chat.quit))
    feeding.addErrback(lambda _: None)
    why = await chat.ended
    source.close()
    return Exit.UNREACHABLE if why else Exit.ANSWERED


async def _link(run: Run, target: Target, heard: Any) -> Link:
    asking = run.asking
    if target.transport.is_stream:
        return await StreamLink.open(run.reactor, target, asking, heard, lambda why: None)
    found = await resolve(
        run.reactor,
        target.host,
        target.port,
        kind=socket.SOCK_DGRAM,
        family=asking.family,
        is_numeric=asking.is_numeric,
        wait=asking.wait,
    )
    host = found.addresses[0].host
    return DatagramLink(run.reactor, (host, target.port), asking.interface, heard)


def is_terminal() -> bool:
    """Whether somebody types, and looks."""
    return sys.stdin.isatty() and sys.stdout.isatty()


async def _on_terminal(
    run: Run, target: Target, nickname: str, groups: Groups, chat_: list[Chat], heard: Any
) -> Exit:
    from sockd.client.chat.terminal import Terminal

    terminal = Terminal(None)
    nickname = nickname or await terminal.name()
    chat = Chat(run.reactor, conversation(nickname), terminal, groups)
    chat_.append(chat)
    chat.start(await _link(run, target, heard))
    typing = terminal.run(chat)
    typing.addErrback(chat.ended.errback)
    why = await chat.ended
    return Exit.UNREACHABLE if why else Exit.ANSWERED
