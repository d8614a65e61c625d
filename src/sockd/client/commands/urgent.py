"""`urgent`: a short line each second, and an urgent byte at each ^C."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import islice
from typing import Any

import click
from attrs import define
from twisted.internet.defer import Deferred

from sockd.client import asking as limits
from sockd.client.arguments import SECONDS, Command, asks
from sockd.client.asking import Asking
from sockd.client.asks import Answer, ConversationHost, Speech, Talk
from sockd.client.errors import TimedOut, UsageFault
from sockd.client.net.streams import Stream
from sockd.client.process import Run
from sockd.client.report import Data
from sockd.client.start import run_hosts, targets
from sockd.client.targets import Target, Transport
from sockd.client.waiting import beside, sleep, wake
from sockd.formats import ports
from sockd.formats.urgent import short_lines, without_line_end

LINES = 30
"""Half a minute of them, as the program has that this one is made after."""
INTERVAL = 1.0
_MEANINGLESS = ("count", "interval", "retries", "enough", "all_addresses")


@define(eq=False)
class Session:
    """One connection: what is sent, beside what comes."""

    plan: Plan
    stream: Stream
    talk: Talk
    sent: int = 0
    urgent: int = 0
    _reports: int = 0
    _is_over: bool = False
    """Whether all is sent."""
    _heard: Deferred[None] | None = None

    async def go(self) -> Answer:
        """Send all, and print what is reported; to the end of the server, or until it is silent."""
        run = self.talk.run
        at_quit, at_interrupt = run.at_quit, run.at_interrupt
        run.at_quit, run.at_interrupt = self.stream.close, self.send_urgent
        try:
            await beside(self._print_reports(), self._send())
        finally:
            run.at_quit, run.at_interrupt = at_quit, at_interrupt
        return Answer(values={"lines": self.sent, "urgent": self.urgent})

    def send_urgent(self) -> None:
        """At ^C: an urgent byte; once all is sent there is none to be sent any more."""
        from sockd.client.net.urgent import write_urgent

        if self._is_over:
            return
        self.urgent += 1
        self._tell("1 byte of urgent data: !")
        write_urgent(self.stream)

    async def _send(self) -> None:
        await self._send_urgent_after(0)
        for line in islice(short_lines(), self.plan.lines):
            self.sent += 1
            text = without_line_end(line).decode()
            self._tell(f"{len(line)} bytes of normal data: {text}")
            self.stream.write(line)
            await self._settle()
            await self._send_urgent_after(self.sent)
            if self.sent < self.plan.lines:
                await sleep(self.talk.run.reactor, self.plan.interval)
        self._is_over, self.talk.run.at_interrupt = True, None  # ^C ends it from now on
        self.stream.finish()

    async def _send_urgent_after(self, lines: int) -> None:
        for _ in range(self.plan.urgent_after[lines]):
            self.send_urgent()
            await self._settle()

    async def _settle(self) -> None:
        """Until it is sent and, in step, reported."""
        await self.stream.drained()
        while self.plan.in_step and self._reports < self.sent + self.urgent:
            self._heard = Deferred()
            await self._heard

    async def _print_reports(self) -> None:
        while True:
            was_over, is_owed = self._is_over, self._reports < self.sent + self.urgent
            try:
                data = await self.stream.read()
            except TimedOut:
                if self.plan.in_step and is_owed:
                    raise
                if was_over:
                    return
                continue  # none is due of servers that say nothing
            if not data:
                return
            self.talk.out(data)
            self._reports += data.count(b"\n")
            if self._heard is not None:
                heard, self._heard = self._heard, None
                wake(self.talk.run.reactor, heard)

    def _tell(self, what: str) -> None:
        """Tell what is sent: no part of the answer."""
        run = self.talk.run
        if not run.asking.is_quiet:
            run.report(Data(target=self.talk.target.name, data=f"sending {what}\n".encode()))


@define(eq=False, kw_only=True)
class Plan:
    """What is sent, and when."""

    lines: int
    interval: float
    urgent_after: Counter[int]
    """Urgent bytes after so many lines, that nobody need press a key for."""
    in_step: bool
    """Whether each thing that is sent waits for the report of the last one."""

    async def follow(self, stream: Stream, talk: Talk) -> Answer:
        """On one connection. Raises UsageFault where this system has no urgent data."""
        # here, because it takes long to load
        from sockd.client.net.urgent import UrgentChannel

        if not isinstance(stream.channel, UrgentChannel):
            raise UsageFault("urgent data works on Linux alone")
        return await Session(self, stream, talk).go()


def _refuse(context: click.Context, option: click.Parameter, value: Any) -> None:
    if value:
        raise click.UsageError(f"{option.opts[0]}: there is urgent data over TCP without TLS only")


@click.command(cls=Command)
@click.argument("host", default="localhost", metavar="[HOST]")
@click.option(
    "-c",
    "--count",
    "lines",
    type=click.IntRange(1, limits.MOST_COUNT),
    default=LINES,
    show_default=True,
    metavar="N",
    help="End after so many lines.",
)
@click.option(
    "-i",
    "--interval",
    "every",
    type=SECONDS,
    default=INTERVAL,
    help=f"Time between two lines ({INTERVAL:g} s).",
)
@click.option(
    "--urgent-after",
    type=click.IntRange(0),
    multiple=True,
    metavar="N",
    help="Send an urgent byte after N lines too; can be given several times.",
)
@click.option("--step", "in_step", is_flag=True, help="Wait for the report of each thing sent.")
@click.option("--tls", "no_tls", is_flag=True, hidden=True, expose_value=False, callback=_refuse)
@click.option("--unix", "no_path", hidden=True, expose_value=False, callback=_refuse)
@asks(Transport.TCP, leaves_out=_MEANINGLESS)
def urgent(
    asking: Asking,
    host: str,
    lines: int,
    every: float,
    urgent_after: Sequence[int],
    in_step: bool,
) -> int:
    """Send a short line each second, and an urgent byte (!) at each ^C; print what is reported.

    It ends after -c lines, at ^\\ (SIGQUIT), or where the server ends. A server need not report
    anything: then it prints what it sends.
    """
    after = Counter(urgent_after)
    if after and max(after) > lines:
        raise click.UsageError(f"--urgent-after {max(after)}: there are {lines} lines (-c)")
    plan = Plan(lines=lines, interval=every, urgent_after=after, in_step=in_step)
    speech = Speech(
        name="urgent",
        kind="urgent",
        ports={Transport.TCP: ports.URGENT},
        stream=plan.follow,
        has_urgent=True,
    )

    def make(run: Run, target: Target) -> ConversationHost:
        return ConversationHost(run, speech, target)

    options = {"count": lines, "interval": every}
    found = targets([host], asking, speech.ports)
    return run_hosts("urgent", found, asking, make, kind="urgent", options=options)
