"""A chat for pipes: a line in, a line out, as text or as JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from io import TextIOWrapper
from typing import Any, ClassVar, TextIO

import attrs
from attrs import define, field
from twisted.internet.defer import Deferred, succeed

from sockd.client.chat import typed
from sockd.client.chat.driver import Chat
from sockd.client.chat.lines import shown
from sockd.client.chat.told import ChannelRow, Level, Refused, Shown, UserRow
from sockd.client.chat.typed import Typed
from sockd.client.outputs.jsonl import readable
from sockd.client.talk.input import Input, Source
from sockd.client.waiting import sleep

MOST_LINE = 64 * 1024
"""Bytes of a line that does not end: no event has room for a longer one."""
ROWS_SECONDS = 0.5
"""Without a row, after which a list is taken for complete: nobody says where it ends."""
LAST_SECONDS = 30.0
"""Before a log-off: until what the server has not confirmed is not sent."""


def text_line(event: Shown, is_marked: bool) -> str:
    """An event as people read it; a refusal is told as the error that it ends in."""
    return "" if isinstance(event, Refused) else shown(event)


def _standard_output() -> TextIO:
    """What cannot be written in its encoding is written as an escape."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    return sys.stdout


@define(eq=False)
class PlainScreen:
    """Writes lines, each at once: whoever reads them may be a program that waits for the next."""

    is_interactive: ClassVar[bool] = False

    reactor: Any
    line: Callable[[Shown, bool], str] = text_line
    out: TextIO = field(factory=_standard_output)
    failure: OSError | None = field(default=None, init=False)
    """Why it cannot be written any more: it ends the chat."""
    rows: int = field(default=0, init=False)
    """Rows of lists, so far."""
    _chat: Chat | None = field(default=None, init=False)

    def show(self, event: Shown, is_marked: bool) -> None:
        """One line."""
        self.rows += isinstance(event, ChannelRow | UserRow)
        if self.failure is not None:
            return
        line = self.line(event, is_marked)
        try:
            self.out.write(f"{line}\n" if line else "")
            self.out.flush()
        except OSError as error:
            self.failure = error
            if self._chat is not None:
                self.reactor.callLater(0, self._chat.quit)

    def name(self) -> Deferred[str]:
        """Nobody can be asked: the chat ends."""
        return succeed("")

    async def first_name(self, last: str, own: str) -> str:
        """Nobody can be asked, and what a script does is not to depend on the last time."""
        return own

    async def run(self, chat: Chat) -> None:
        """Hand on what is read from standard input."""
        self._chat = chat
        if self.failure is not None:
            chat.quit()
        source = Input(self.reactor)
        try:
            await feed(chat, self, source)
        finally:
            source.close()

    def refresh(self) -> None:
        """All is told by lines."""

    async def close(self) -> None:
        """There is nothing to be done."""


def json_line(event: Shown, is_marked: bool) -> str:
    """An event as JSON: its kind as `type`, what it has, and whether it is for us."""
    found = attrs.asdict(event, value_serializer=_value)
    kind = _kind(type(event).__name__)
    text = json.dumps({"type": kind, **found, "is_marked": is_marked}, separators=(",", ":"))
    # the one control character that JSON does not escape
    return text.replace("\x7f", "\\u007f")


def _kind(name: str) -> str:
    return "".join(f"_{one.lower()}" if one.isupper() else one for one in name).lstrip("_")


def _value(_instance: object, _field: object, value: object) -> object:
    """A value as JSON has it; bytes that are no UTF-8 are written as escapes."""
    if isinstance(value, Level):
        return value.value
    return readable(value) if isinstance(value, str) else value


async def feed(chat: Chat, screen: PlainScreen, source: Source) -> None:
    """Hand on each line of a source; at its end, and once all is said or cannot be, log off."""
    rest, is_too_long = b"", False
    while not chat.is_over and (data := await source.read()):
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            await _hand_on(chat, screen, line if not is_too_long else b"")
            is_too_long = False
        if len(rest) > MOST_LINE:
            if not is_too_long:
                await _hand_on(chat, screen, rest)  # it is refused, with its reason
            rest, is_too_long = b"", True
    if rest and not is_too_long:
        await _hand_on(chat, screen, rest)
    await _finish(chat, screen)
    if not chat.is_over:
        chat.quit()


async def _hand_on(chat: Chat, screen: PlainScreen, line: bytes) -> None:
    """One line, in its turn: by another name, or none, nothing is said that was read before."""
    text = line.decode("utf-8", "surrogateescape")
    match typed.read(text):
        case Typed("quit"):
            await _finish(chat, screen)
        case Typed("login"):
            await chat.until(lambda: _is_done(chat))
        case _:
            await chat.until(lambda: chat.conversation.has_room)
    if not chat.is_over:
        chat.line(text)


def _is_done(chat: Chat) -> bool:
    return chat.has_been_in and chat.conversation.is_idle


async def _finish(chat: Chat, screen: PlainScreen) -> None:
    """Until all is said or cannot be, and answered."""
    over = chat.reactor.callLater(LAST_SECONDS, chat.quit)
    try:
        await chat.until(lambda: _is_done(chat))
        await _rows(chat, screen)
    finally:
        if over.active():
            over.cancel()


async def _rows(chat: Chat, screen: PlainScreen) -> None:
    """Wait for lists that were asked for, and for answers of an old server: it confirms nothing."""
    is_to_wait = chat.wants_rows or chat.conversation.welcome is None
    rows = -1 if is_to_wait else screen.rows
    while rows != screen.rows and not chat.is_over:
        rows = screen.rows
        await sleep(chat.reactor, ROWS_SECONDS)
