"""A chat on a terminal: what is said appears above the line that is being typed.

prompt_toolkit has the line, its history and its completion; it needs asyncio's loop below the
reactor.
"""

from __future__ import annotations

import asyncio
import os
import signal
import termios
from collections.abc import Coroutine
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from prompt_toolkit import PromptSession
from prompt_toolkit.application import run_in_terminal
from prompt_toolkit.formatted_text import FormattedText
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.input.ansi_escape_sequences import ANSI_SEQUENCES
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.keys import Keys
from prompt_toolkit.patch_stdout import patch_stdout
from prompt_toolkit.renderer import print_formatted_text
from prompt_toolkit.styles import Style
from twisted.internet.defer import CancelledError, Deferred

from sockd.client.chat import painted
from sockd.client.chat.completing import Names
from sockd.client.chat.conversation import Phase
from sockd.client.chat.driver import Chat
from sockd.client.chat.lines import visible
from sockd.client.chat.painted import Parts
from sockd.client.chat.told import LoggedIn, Message, Shown
from sockd.client.chat.unread import Unread
from sockd.client.ending import at_end
from sockd.client.talk.input import STANDARD_INPUT

T = TypeVar("T")
FOCUS_IN, FOCUS_OUT = Keys.ControlF23, Keys.ControlF24
"""Keys that no keyboard has: for what a terminal says of its focus."""
_TELL_FOCUS, _NO_FOCUS = "\x1b[?1004h", "\x1b[?1004l"
_AS_BEFORE = f"{_NO_FOCUS}\x1b[?2004l\x1b[?25h\x1b[0m"
"""Nor is it told what is pasted; the cursor is seen, and there are no colours."""
MOST_QUEUED = 5_000
"""Lines that wait to be shown, while the terminal has something else to do; the oldest give way."""
AGAIN = "^C again leaves"


class _History(FileHistory):
    """A file that may not be writable any more."""

    def store_string(self, string: str) -> None:
        """As prompt_toolkit's; a line that cannot be kept is known while we run."""
        with suppress(OSError):
            super().store_string(string)


class Terminal:
    """The screen of a terminal, and the line below it."""

    is_interactive = True
    failure: OSError | None = None

    def __init__(self, history: Path | None) -> None:
        ANSI_SEQUENCES["\x1b[I"], ANSI_SEQUENCES["\x1b[O"] = FOCUS_IN, FOCUS_OUT
        self.names = Names()
        self.unread = Unread()
        kept: History = InMemoryHistory() if history is None else _History(str(history))
        self._session: PromptSession[str] = PromptSession(
            self._prompt,
            history=kept,
            completer=self.names,
            complete_while_typing=False,
            bottom_toolbar=self._toolbar,
            key_bindings=self._keys(),
            erase_when_done=True,
            interrupt_exception=EOFError,  # a terminal that can nothing has its own ^C, not ours
        )
        self._session.app.terminal_size_polling_interval = None  # a signal tells
        self._session.default_buffer.on_text_changed += self._typed
        self._chat: Chat | None = None
        self._asked: Deferred[str] | None = None
        self._running: asyncio.Task[Any] | None = None
        """What reads the keyboard."""
        self._queue: list[Parts] = []
        self._bells = False
        self._is_flushing = False
        self._leaves = False
        """Whether another ^C ends it."""
        self._mode = termios.tcgetattr(STANDARD_INPUT)
        at_end(self._restore)

    # shown

    def show(self, event: Shown, is_marked: bool) -> None:
        """Something happened."""
        self.names.see(event)
        if isinstance(event, Message) and not event.is_own and self.unread.message(self._now):
            self._queue.append(painted.rule(self._session.output.get_size().columns))
        self._queue.append(painted.painted(event, is_marked, datetime.now()))
        del self._queue[:-MOST_QUEUED]
        self._bells |= is_marked
        if isinstance(event, LoggedIn):
            self._asked = None
        if not self._is_flushing:
            self._is_flushing = True
            self._loop.call_soon(self._flush)

    def refresh(self) -> None:
        """Something may be another than before."""
        self._session.app.invalidate()

    def name(self) -> Deferred[str]:
        """Ask for another nickname: the next line is it."""
        self._asked = Deferred()
        self.refresh()
        return self._asked

    async def first_name(self, last: str, own: str) -> str:
        """The last one; or ask for one, before all else."""
        if last:
            return last
        text = f"nickname [{own}]: " if own else "nickname: "
        asking: PromptSession[str] = PromptSession(text, interrupt_exception=EOFError)
        with suppress(EOFError):
            found: str = await self._wait_for(asking.prompt_async(handle_sigint=False))
            return found.strip() or own
        return ""

    async def run(self, chat: Chat) -> None:
        """Hand on what is typed, until its end."""
        self._chat = chat
        self.unread.touch(self._now)
        self._write(_TELL_FOCUS)
        await self._wait_for(self._read(chat))

    async def close(self) -> None:
        """Leave the terminal as it was."""
        if self._running is not None:
            self._running.cancel()
            gathered = asyncio.gather(self._running, return_exceptions=True)
            await Deferred.fromFuture(asyncio.ensure_future(gathered))
        self._write(_NO_FOCUS)
        self._print()

    async def _wait_for(self, reading: Coroutine[Any, Any, T]) -> T:
        """The result of what asyncio runs."""
        self._running = task = asyncio.ensure_future(reading)
        try:
            return await Deferred.fromFuture(task)
        except asyncio.CancelledError:
            raise CancelledError from None

    @property
    def _loop(self) -> asyncio.AbstractEventLoop:
        return asyncio.get_event_loop()

    @property
    def _now(self) -> float:
        return self._loop.time()

    def _flush(self) -> None:
        self._is_flushing = False
        if self._queue and self._session.app.is_running:
            run_in_terminal(self._print)
        else:
            self._print()

    def _print(self) -> None:
        queue, self._queue = self._queue, []
        output = self._session.output
        if queue:
            parts = FormattedText(part for line in queue for part in line)
            depth = self._session.app.color_depth
            print_formatted_text(output, parts, Style([]), color_depth=depth)
        if self._bells:
            self._bells = False
            output.bell()
            output.flush()

    def _write(self, sequence: str) -> None:
        with suppress(OSError, ValueError):
            self._session.output.write_raw(sequence)
            self._session.output.flush()

    def _restore(self) -> None:
        """Where nobody waits for what reads the keyboard to end."""
        with suppress(termios.error, OSError):
            termios.tcsetattr(STANDARD_INPUT, termios.TCSANOW, self._mode)
        self._write(_AS_BEFORE)

    # typed

    async def _read(self, chat: Chat) -> None:
        with patch_stdout(raw=True), suppress(EOFError):
            while not chat.is_over:
                text = await self._session.prompt_async(handle_sigint=False)
                for line in text.splitlines():
                    self._line(chat, line)
        chat.quit()

    def _line(self, chat: Chat, line: str) -> None:
        if self._asked is None or line.startswith("/"):
            chat.line(line)
        elif line.strip():
            asked, self._asked = self._asked, None
            asked.callback(line.strip())

    def _typed(self, _: object) -> None:
        self._leaves = False
        self.unread.touch(self._now)

    def _prompt(self) -> str:
        if self._asked is not None:
            return "nickname: "
        channels = self._chat.conversation.channels if self._chat is not None else []
        where = visible(channels[0].title) if channels else "no channel"
        return f"[{where}] "

    def _toolbar(self) -> str:
        if self._chat is None:
            return ""
        if self._leaves:
            return f" {AGAIN}"
        conversation = self._chat.conversation
        parts = [visible(conversation.nickname)]
        if others := " ".join(visible(one.title) for one in conversation.channels[1:]):
            parts.append(f"also in {others}")
        if conversation.phase is Phase.AWAY:
            parts.append("the server does not answer: trying again")
        elif conversation.phase in (Phase.HELLO, Phase.OPEN, Phase.LOGIN):
            parts.append("logging in")
        elif conversation.phase is Phase.IN and not conversation.is_idle:
            parts.append("sending")
        return " " + "   ".join(parts)

    def _keys(self) -> KeyBindings:
        keys = KeyBindings()

        @keys.add("c-c")
        def _interrupt(event: KeyPressEvent) -> None:
            """The line first, then all."""
            if self._leaves:
                event.app.exit(exception=EOFError)
                return
            event.app.current_buffer.reset()
            self._leaves = True

        @keys.add("c-z")
        def _suspend(_: KeyPressEvent) -> None:
            """As in a shell; the terminal says nothing of its focus meanwhile."""
            run_in_terminal(self._stop)

        @keys.add(FOCUS_IN)
        @keys.add(FOCUS_OUT)
        def _focus(event: KeyPressEvent) -> None:
            self.unread.focus(event.key_sequence[0].key == FOCUS_IN, self._now)

        return keys

    def _stop(self) -> None:
        self._write(_NO_FOCUS)
        os.kill(os.getpid(), signal.SIGTSTP)
        self._write(_TELL_FOCUS)
