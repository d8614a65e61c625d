"""A run as a person reads it: answers on standard output, all else on standard error."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import BinaryIO, TextIO

from attrs import define, field

from sockd.client.asking import Asking
from sockd.client.outputs import summary as told
from sockd.client.outputs.answers import Answers
from sockd.client.outputs.figures import fill
from sockd.client.outputs.histogram import histogram
from sockd.client.outputs.live import Live
from sockd.client.outputs.probes import STYLES, probe_line
from sockd.client.outputs.screen import Screen
from sockd.client.outputs.tables import Sheet, table
from sockd.client.report import (
    Data,
    Error,
    Event,
    HostSummary,
    Outcome,
    Probe,
    Start,
    Summary,
)
from sockd.client.targets import Transport
from sockd.formats.text import readable

MEASURING = frozenset({"echo"})
"""Commands that measure, whatever they are asked for."""
FASTEST_LINES = 0.01
"""Seconds between two probes: where they come faster, nobody reads a line for each."""
INSECURE = (
    "sock: --insecure: THE CERTIFICATE IS NOT CHECKED. Whoever answers may be anybody, and may "
    "read and change all that is said."
)

FAILURES = frozenset({Outcome.LOST, Outcome.FAILED})
TOLD_IN_ROWS = frozenset({"time"})
"""Commands whose answers have a row for each host, which says what went wrong with it."""


@define(eq=False)
class Human:
    """Answers as they come; what went wrong; and a summary where something was measured."""

    command: str
    asking: Asking
    is_alone: bool
    """Answers are not named: there is one host, or they name theirs."""
    out: BinaryIO
    err: TextIO
    is_terminal: bool
    """Whether `out` is one."""
    environment: Mapping[str, str] = field(factory=lambda: os.environ)
    now_ns: Callable[[], int] = time.monotonic_ns
    _screen: Screen = field(init=False)
    _answers: Answers = field(init=False)
    _live: Live | None = field(init=False, default=None)
    _shows_probes: bool = field(init=False, default=False)
    _shows_failures: bool = field(init=False, default=False)
    """Of questions that others follow: what went wrong in the end is told anyway."""
    _is_one: bool = field(init=False)
    """Whether one host is asked, who needs no name."""

    def __attrs_post_init__(self) -> None:
        self._is_one = self.is_alone
        self._answers = Answers(
            self.out, self.is_terminal, self.err.encoding or "utf-8", is_named=not self.is_alone
        )
        self._screen = Screen(
            self.err,
            self.asking.color,
            self.environment,
            # what --explain shows is read by text2pcap, which skips comments
            mark="# " if self.asking.explains else "",
        )
        if self.is_terminal and self._screen.is_terminal:
            self._screen.before = self._answers.end_line

    def __call__(self, event: Event) -> None:
        """Tell of it. Raises BrokenPipeError where nobody reads the answers."""
        if isinstance(event, Start):
            self._start(event)
        elif isinstance(event, Data):
            if self.is_terminal:
                self._screen.clear()
            self._answers.data(event.target, event.data)
        elif isinstance(event, Probe):
            self._probe(event)
        elif isinstance(event, Error):
            self._answers.end(event.target or "")
            if event.target is None or self.command not in TOLD_IN_ROWS:
                self._screen.say(f"sock: {self._error(event)}", style="bad")
        elif isinstance(event, Summary):
            self._sum_up(event)
            return
        if self._live is not None:
            self._live(event)

    def exit_code(self, code: int) -> int:
        """The same."""
        return code

    def _start(self, event: Start) -> None:
        self._is_one = len(event.targets) == 1
        if len(event.targets) > 1 and self.command not in TOLD_IN_ROWS:
            self._answers.is_named = True  # a single name may have several addresses
        is_fast = "window" in event.options or (
            self.asking.interval is not None and self.asking.interval < FASTEST_LINES
        )
        self._shows_probes = not self.asking.is_quiet and (
            self.asking.verbosity > 0 or (self.command in MEASURING and not is_fast)
        )
        self._shows_failures = self.asking.is_repeated and not self.asking.is_quiet and not is_fast
        if self._screen.can_erase and not (self.asking.is_quiet or self.asking.explains):
            self._live = Live(self._screen, self.now_ns, lambda: self._answers.is_open)
        if self.asking.is_insecure:
            self._screen.say(*fill(INSECURE.split(" "), self._screen.width), style="loud")

    def _probe(self, probe: Probe) -> None:
        self._answers.end(probe.target)
        if self.asking.explains and self.is_terminal:
            self._answers.end_line()
        if self._shows_probes:
            self._live = None  # the lines tell that it goes on
        if self._shows_probes or (self._shows_failures and probe.outcome in FAILURES):
            line = probe_line(probe, is_alone=self._is_one, has_values=self.asking.verbosity > 1)
            self._screen.say(line, style=STYLES.get(probe.outcome, "odd"))

    def _error(self, error: Error) -> str:
        """Of several hosts it begins with the one that it is of."""
        text = readable(error.message)
        if error.target is None or self._is_one:
            return text
        target = readable(error.target)
        if text.startswith((f"{target}:", f"{target} ")):
            return text
        return f"{target}: {text}"

    # the end

    def _sum_up(self, summary: Summary) -> None:
        screen = self._screen
        if (summary.interrupted or not summary.is_final) and not self._answers.is_open:
            screen.wipe()
        if not summary.is_final:
            # asked for: told whatever else is not
            screen.say(*(told.short(host, screen.signs, screen.width) for host in summary.hosts))
            return
        self._live = None
        screen.clear()
        self._answers.end_all()
        if self._has_measured(summary):
            if len(summary.hosts) == 1:
                self._block(summary, summary.hosts[0])
            else:
                self._tables(summary)
        elif not self.asking.is_quiet:
            self._notes(summary)
        if self.asking.tells_timing:
            self._timing(summary)
        self._answers.end_line()

    def _has_measured(self, summary: Summary) -> bool:
        return (
            self.command in MEASURING
            or self.asking.is_repeated
            or any(host.rate_bps is not None for host in summary.hosts)
        )

    def _notes(self, summary: Summary) -> None:
        """What a reader should know to judge the answers, where no figures are told."""
        for host in summary.hosts:
            for note in host.notes:
                text = f"{readable(host.target)}: {readable(note)}"
                self._screen.say(*fill(text.split(" "), self._screen.width))

    def _block(self, summary: Summary, host: HostSummary) -> None:
        screen = self._screen
        head = told.heading(summary, host, screen.signs)
        screen.say(*fill(head.split(" "), screen.width), style="head")
        screen.say(*told.block(host, screen.signs, screen.width))
        self._answerers(host)
        if not self.asking.is_quiet:
            self._histogram(host)

    def _tables(self, summary: Summary) -> None:
        """Of several hosts; below, what there is to say of one of them."""
        screen = self._screen
        if any(host.rate_bps is not None for host in summary.hosts):
            self._table(told.rates_sheet(summary))
        if not any(map(told.is_stream, summary.hosts)):
            self._table(told.probes_sheet(summary))
        if any(host.rtt is not None for host in summary.hosts):
            self._table(told.trips_sheet(summary, screen.signs))
            ranks = told.ranks_sheet(summary, screen.signs)
            if len(ranks.heads) > 1:
                self._table(ranks)
        for host in summary.hosts:
            self._answerers(host)
            lines = told.remarks(host, screen.signs, screen.width)
            if lines:
                head = told.heading(summary, host, screen.signs)
                screen.say(*fill(head.split(" "), screen.width), style="head")
                screen.say(*lines)
            if self.asking.verbosity > 0:
                self._histogram(host)

    def _timing(self, summary: Summary) -> None:
        if any(host.timing is not None for host in summary.hosts):
            self._table(told.timing_sheet(summary, self._screen.signs))
        elif any(Transport(host.transport).is_stream for host in summary.hosts):
            self._screen.say("--timing: there was no connection")
        else:
            self._screen.say("--timing: no name was looked up, and datagrams have no other step")

    def _answerers(self, host: HostSummary) -> None:
        if host.answerers:
            self._table(told.answerers_sheet(host, self._screen.signs))

    def _table(self, sheet: Sheet) -> None:
        screen = self._screen
        title, *lines = table(sheet, screen.width, has_color=screen.has_color)
        screen.say(title, style="head")
        screen.say(*lines)

    def _histogram(self, host: HostSummary) -> None:
        screen = self._screen
        bars = histogram(host.histogram, screen.width, screen.signs)
        if bars and host.rtt is not None and host.rtt.count > 1:
            screen.say("Round trips", style="head")
            screen.say(*bars)
