"""A chat for pipes: a line in, a line out."""

from __future__ import annotations

import sys
from typing import TextIO

from attrs import define, field
from twisted.internet.defer import Deferred, succeed

from sockd.client.chat.driver import Chat
from sockd.client.chat.lines import shown
from sockd.client.chat.told import Shown
from sockd.client.talk.input import Source
from sockd.client.waiting import sleep

LOOK_SECONDS = 0.1
"""How often it is looked whether what was piped in is on its way."""


@define(eq=False)
class PlainScreen:
    """Prints lines."""

    out: TextIO = field(factory=lambda: sys.stdout)

    def show(self, event: Shown, is_marked: bool) -> None:
        """One line."""
        self.out.write(f"{shown(event)}\n")
        self.out.flush()

    def name(self) -> Deferred[str]:
        """Nobody can be asked: the chat ends."""
        return succeed("")


async def feed(chat: Chat, source: Source) -> None:
    """Hand on each line of a source, until its end."""
    rest = b""
    while not chat.ended.called and (data := await source.read()):
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            chat.line(line.decode("utf-8", "replace"))
            while not chat.conversation.has_room:
                await sleep(chat.reactor, LOOK_SECONDS)
    if rest:
        chat.line(rest.decode("utf-8", "replace"))
    while not chat.conversation.is_idle:
        await sleep(chat.reactor, LOOK_SECONDS)
