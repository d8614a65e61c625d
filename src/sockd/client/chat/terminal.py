"""A chat on a terminal: what is said appears above the line that is being typed.

prompt_toolkit has the line, its history and its completion; it needs asyncio's loop below the
reactor.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from hashlib import blake2b
from pathlib import Path

from attrs import define, field
from prompt_toolkit import PromptSession, print_formatted_text
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text import FormattedText
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.patch_stdout import patch_stdout
from twisted.internet.defer import Deferred

from sockd.client.chat import lines
from sockd.client.chat.driver import Chat
from sockd.client.chat.told import (
    ChannelRow,
    Level,
    Message,
    Notice,
    NotSent,
    Presence,
    Refused,
    Shown,
    UserRow,
)
from sockd.client.chat.typed import COMMANDS
from sockd.formats.text import escape

AWAY_SECONDS = 60.0
"""Without a key, after which what comes is marked as unread."""
MOST_KNOWN = 1_000
"""Names that are completed; the first ones make room for new ones."""
COLOURS = (
    "ansired",
    "ansigreen",
    "ansiyellow",
    "ansiblue",
    "ansimagenta",
    "ansicyan",
    "ansibrightred",
    "ansibrightgreen",
    "ansibrightyellow",
    "ansibrightblue",
    "ansibrightmagenta",
    "ansibrightcyan",
)
"""One of them is a nickname's, always the same."""


def colour(nickname: str) -> str:
    """The colour of a nickname."""
    digest = blake2b(nickname.casefold().encode(), digest_size=2).digest()
    return COLOURS[int.from_bytes(digest, "big") % len(COLOURS)]


@define(eq=False)
class Names(Completer):
    """What can be completed: commands, and the channels and users that were seen."""

    channels: dict[str, None] = field(factory=dict)
    users: dict[str, None] = field(factory=dict)

    def see(self, event: Shown) -> None:
        """Names that are told can be typed."""
        match event:
            case Message(user, _, channel):
                self._keep(self.users, user)
                self._keep(self.channels, channel)
            case Presence(channel, user):
                self._keep(self.users, user)
            case ChannelRow(channel):
                self._keep(self.channels, channel)
            case UserRow(user, _, channels):
                self._keep(self.users, user)
                for channel in channels:
                    self._keep(self.channels, channel)

    def get_completions(
        self, document: Document, complete_event: CompleteEvent
    ) -> Iterable[Completion]:
        """What the word before the cursor may become."""
        text = document.text_before_cursor
        word = text.rpartition(" ")[2]
        for one in self._candidates(text):
            if one.casefold().startswith(word.casefold()):
                yield Completion(one, start_position=-len(word))

    def _candidates(self, text: str) -> Iterator[str]:
        words = text.split(" ")
        if not text.startswith("/"):
            yield from self.users if text.rpartition(" ")[2] else ()
        elif len(words) == 1:
            yield from (f"/{name}" for name in COMMANDS)
        elif len(words) == 2 and (command := COMMANDS.get(words[0][1:])) is not None:
            yield from {"channel": self.channels, "user": self.users}.get(command.completes, {})

    def _keep(self, names: dict[str, None], name: str) -> None:
        if name and name not in names and name == escape(name):
            if len(names) >= MOST_KNOWN:
                del names[next(iter(names))]
            names[name] = None


class Terminal:
    """The screen of a terminal, and the line below it."""

    def __init__(self, history: Path | None) -> None:
        self.names = Names()
        kept: History = InMemoryHistory() if history is None else FileHistory(str(history))
        self._session: PromptSession[str] = PromptSession(
            history=kept,
            completer=self.names,
            complete_while_typing=False,
            bottom_toolbar=self._toolbar,
        )
        self._chat: Chat | None = None
        self._touched = 0.0
        self._is_marked = False

    def show(self, event: Shown, is_marked: bool) -> None:
        """Something happened."""
        self.names.see(event)
        parts = [("ansibrightblack", f"{self._clock(event)} "), *self._parts(event, is_marked)]
        print_formatted_text(FormattedText(self._mark_unread(event)), end="")
        print_formatted_text(FormattedText(parts))
        if is_marked:
            sys.stdout.write("\a")

    def name(self) -> Deferred[str]:
        """Ask for a nickname."""
        return Deferred.fromFuture(asyncio.ensure_future(self._ask("nickname: ")))

    def run(self, chat: Chat) -> Deferred[None]:
        """Hand on what is typed, until its end."""
        self._chat = chat
        return Deferred.fromFuture(asyncio.ensure_future(self._read(chat)))

    async def _read(self, chat: Chat) -> None:
        with patch_stdout(raw=True), suppress(EOFError, KeyboardInterrupt):
            while not chat.ended.called:
                chat.line(await self._ask(self._prompt))
        chat.quit()

    async def _ask(self, prompt: object) -> str:
        return await self._session.prompt_async(prompt, handle_sigint=False)  # type: ignore[arg-type]

    def _prompt(self) -> str:
        channels = self._chat.conversation.channels if self._chat is not None else []
        where = escape(channels[0].title) if channels else "no channel"
        return f"[{where}] "

    def _toolbar(self) -> str:
        if self._chat is None:
            return ""
        conversation = self._chat.conversation
        others = " ".join(escape(one.title) for one in conversation.channels[1:])
        return f" {escape(conversation.nickname)}  {conversation.phase.value}  {others}"

    def _clock(self, event: Shown) -> str:
        return lines.clock_time(getattr(event, "time_ms", None), datetime.now())

    def _mark_unread(self, event: Shown) -> list[tuple[str, str]]:
        return []

    def _parts(self, event: Shown, is_marked: bool) -> list[tuple[str, str]]:
        text = lines.shown(event)
        match event:
            case Message(user, said, channel):
                style = "bold" if is_marked else ""
                where = escape(channel) if channel else "private"
                return [
                    ("ansibrightblack", f"[{where}] "),
                    (f"{colour(user)} {style}", f"{escape(user)}: "),
                    (style, escape(said)),
                ]
            case Notice(level=Level.ERROR) | NotSent() | Refused():
                return [("ansired", text)]
            case Notice(level=Level.WARNING):
                return [("ansiyellow", text)]
        return [("ansibrightblack", text)]
