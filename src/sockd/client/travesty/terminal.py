"""Commands from a terminal: a prompt, with history and completion.

prompt_toolkit needs asyncio's loop below the reactor.
"""

from __future__ import annotations

import asyncio
import termios
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, ClassVar

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion, PathCompleter
from prompt_toolkit.document import Document
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from twisted.internet.defer import CancelledError, Deferred

from sockd.client.ending import at_end
from sockd.client.talk.input import STANDARD_INPUT
from sockd.client.travesty.session import AGAIN
from sockd.client.travesty.typed import NAMES

PROMPT = "> "
_AS_BEFORE = "\x1b[?2004l\x1b[?25h\x1b[0m"
"""It is not told what is pasted, the cursor is seen, and there are no colours."""


class Completing(Completer):
    """Names of commands, and of files behind `analyze`."""

    def __init__(self) -> None:
        self._files = PathCompleter(expanduser=True)

    def get_completions(
        self, document: Document, complete_event: CompleteEvent
    ) -> Iterable[Completion]:
        """What the text before the cursor may become."""
        name, space, rest = document.text_before_cursor.lstrip().partition(" ")
        if not space:
            begun = name.lower()
            return [Completion(one, -len(name)) for one in NAMES if one.startswith(begun)]
        if name.lower() == "analyze":
            return self._files.get_completions(Document(rest.lstrip()), complete_event)
        return []


class Terminal:
    """The prompt."""

    is_interactive: ClassVar[bool] = True

    def __init__(self) -> None:
        self._session: PromptSession[str] = PromptSession(
            self._prompt,
            completer=Completing(),
            complete_while_typing=False,
            key_bindings=self._keys(),
            interrupt_exception=EOFError,  # a terminal that can nothing has its own ^C, not ours
        )
        self._session.app.terminal_size_polling_interval = None  # a signal tells
        self._session.default_buffer.on_text_changed += self._typed
        self._running: asyncio.Task[str] | None = None
        """What reads the keyboard."""
        self._leaves = False
        """Whether another ^C leaves."""
        self._mode = termios.tcgetattr(STANDARD_INPUT)
        at_end(self._restore)

    async def line(self) -> str | None:
        """The next line; None at ^D, and at ^C twice in a row."""
        self._leaves = False
        self._running = asyncio.ensure_future(self._session.prompt_async(handle_sigint=False))
        try:
            return await Deferred.fromFuture(self._running)
        except EOFError:
            return None
        except asyncio.CancelledError:
            raise CancelledError from None

    async def close(self) -> None:
        """Leave the terminal as it was."""
        if self._running is not None:
            self._running.cancel()
            gathered = asyncio.gather(self._running, return_exceptions=True)
            await Deferred.fromFuture(asyncio.ensure_future(gathered))

    def _restore(self) -> None:
        """Where nobody waits for what reads the keyboard to end."""
        with suppress(termios.error, OSError):
            termios.tcsetattr(STANDARD_INPUT, termios.TCSANOW, self._mode)
        with suppress(OSError, ValueError):
            self._session.output.write_raw(_AS_BEFORE)
            self._session.output.flush()

    def _prompt(self) -> str:
        return f"({AGAIN}) {PROMPT}" if self._leaves else PROMPT

    def _typed(self, _: object) -> None:
        self._leaves = False

    def _keys(self) -> KeyBindings:
        keys = KeyBindings()

        @keys.add("c-c")
        def _interrupt(event: KeyPressEvent) -> Any:
            """The line first, then all."""
            if self._leaves:
                event.app.exit(exception=EOFError)
                return
            event.app.current_buffer.reset()
            self._leaves = True

        return keys
