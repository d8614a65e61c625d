"""A session with a travesty service, as a user has it: commands, and what is said of each."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Protocol

from attrs import define, field
from twisted.internet.defer import Deferred

from sockd.client.errors import ClientError, UsageFault
from sockd.client.exits import Exit, worst
from sockd.client.outputs.screen import Screen
from sockd.client.process import Run
from sockd.client.reach import connect
from sockd.client.report import Data
from sockd.client.targets import Target
from sockd.client.travesty.bar import progress
from sockd.client.travesty.client import Client
from sockd.client.travesty.files import open_file
from sockd.client.travesty.told import Outcome
from sockd.client.travesty.typed import (
    Analyze,
    Generate,
    Help,
    Leave,
    Reset,
    Typed,
    help_lines,
    read,
)
from sockd.client.waiting import beside
from sockd.formats.text import readable

AGAIN = "^C again leaves"
STOPPING = f"stopping; {AGAIN}"


class Front(Protocol):
    """Where commands come from."""

    @property
    def is_interactive(self) -> bool:
        """Whether somebody types them: ^C is no end then."""

    async def line(self) -> str | None:
        """The next one; None where no more come."""

    async def close(self) -> None:
        """Leave all as it was."""


@define(eq=False)
class Session:
    """One connection, and what a user does with it."""

    run: Run
    target: Target
    front: Front
    screen: Screen
    end_text: Callable[[bool], None]
    """Called when a text that was generated has ended; whether it was stopped by the user."""
    client: Client = field(init=False)
    _leaves: bool = field(default=False, init=False)
    """Whether another ^C ends it."""
    _is_interrupted: bool = field(default=False, init=False)
    """Whether ^C ends it, as soon as the transfer has ended."""
    _exits: list[Exit] = field(factory=list, init=False)

    async def go(self) -> Exit:
        """From the connection to its end."""
        stream = await connect(self.run, self.target, has_urgent=True)
        self.client = Client(self.run.reactor, stream, self._out)
        try:
            await self.client.begin()
            self.run.at_interrupt = self._interrupted
            while (line := await self._line()) is not None:
                found = read(line)
                if isinstance(found, Leave) or not await self._obey(found):
                    break
            await self._leave()
        finally:
            self.run.at_interrupt = None
            self.client.close()
            await self.front.close()
        return Exit.ANSWERED if self.front.is_interactive else worst(self._exits)

    async def _line(self) -> str | None:
        """The next line, while the connection holds."""
        return await beside(self.front.line(), self.client.lost())

    async def _leave(self) -> None:
        is_interrupted, self.run.at_interrupt = self._is_interrupted, None
        await self.client.bye()
        if is_interrupted:
            await interrupted()

    async def _obey(self, found: Typed | str | None) -> bool:
        """Do what was typed; whether the next command may come."""
        self._leaves = False
        try:
            match found:
                case str() as why:
                    raise UsageFault(why)
                case Analyze(name):
                    await self._analyze(name)
                case Generate(words):
                    await self._generate(words)
                case Reset():
                    if not self._refused(await self.client.reset()):
                        self._say("forgotten")
                case Help():
                    self._say(*help_lines())
        except UsageFault as fault:
            self._fail(fault)
        return not self._is_interrupted

    async def _analyze(self, name: str) -> None:
        file = open_file(name)
        source = file.source(self.run.reactor)
        bar = None
        try:
            # one that cannot be read is known before anything is sent
            first = None if file.size is None else await source.read()
            is_quiet = self.run.asking.is_quiet
            bar = progress(self.screen, name, file.size, is_quiet=is_quiet)
            outcome = await self.client.analyze(source, first, bar.sent)
        finally:
            source.close()
            if bar is not None:
                bar.close()
        if outcome.is_stopped:
            self.screen.wipe()
            self._say(f"(stopped; {bar.count:,} bytes were sent)")
        if not self._refused(outcome):
            self._say(analyzed(outcome))

    async def _generate(self, words: int) -> None:
        is_stopped = False
        try:
            outcome = await self.client.generate(words)
            is_stopped = outcome.is_stopped
        finally:
            self.end_text(is_stopped)
        if outcome.is_stopped:
            self._say(f"(stopped; {outcome.discarded:,} bytes discarded)")
        self._refused(outcome)

    def _out(self, data: bytes) -> None:
        self.run.report(Data(target=self.target.name, data=data))

    # ^C

    def _interrupted(self) -> None:
        """A transfer is ended by it. Whoever presses it twice in a row leaves."""
        conversation = self.client.conversation
        is_first = conversation.is_transferring and not conversation.is_stopping
        if is_first:
            self.client.stop()
        if not self.front.is_interactive:
            self._is_interrupted = True
            if not is_first:
                self._end()
        elif self._leaves:
            self._end()
        elif not is_first:
            self._leaves = True
            self._say(STOPPING if conversation.is_stopping else AGAIN)

    def _end(self) -> None:
        self.run.at_interrupt = None
        signal.raise_signal(signal.SIGINT)

    # what is said

    def _refused(self, outcome: Outcome) -> bool:
        """Tell what the service has refused; whether it has."""
        if outcome.refusal:
            self._exits.append(Exit.UNREACHABLE)
            self._say(f"{self.target} said: {readable(outcome.refusal)}", style="bad")
        return bool(outcome.refusal)

    def _fail(self, error: ClientError) -> None:
        self._exits.append(error.exit)
        self._say(f"sock: {readable(str(error))}", style="bad")

    def _say(self, *lines: str, style: str = "") -> None:
        self.screen.say(*lines, style=style)


def analyzed(outcome: Outcome) -> str:
    """What came of an upload."""
    if outcome.words is None:
        return "analyzed"
    return f"{outcome.words:,} unique word{'s' * (outcome.words != 1)}"


async def interrupted() -> None:
    """End the run by ^C: as if nobody had taken it."""
    signal.raise_signal(signal.SIGINT)
    await Deferred()  # until it is cancelled
