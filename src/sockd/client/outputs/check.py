"""A run as a monitoring plugin tells it: a line of status, figures for graphs, more lines below.

    SOCK WARNING - echo example: rtt_avg 120ms (warning: 0.1) | 'rtt_avg'=0.12s;0.1;0.5;0

A host that does not answer is critical, unless answers of fewer hosts suffice (`--any`), or
hosts_answered or hosts_silent has a range and somebody did answer. What a threshold is for and this
run does not know is unknown, and so is a run that was interrupted. Nothing but 0 to 3 is an exit
code.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from enum import IntEnum
from fractions import Fraction
from typing import BinaryIO

import click
from attrs import Factory, define, frozen

from sockd.client.asking import Asking
from sockd.client.exits import Exit
from sockd.client.metrics import (
    HOST_METRICS,
    RUN_METRICS,
    AnyMetric,
    Unit,
    distinct,
    names,
)
from sockd.client.outputs.ranges import Range, decimal, say, thresholds
from sockd.client.report import Error, Event, HostSummary, Summary
from sockd.formats.text import escape

MOST_TEXT = 300
"""Characters of one text that came from elsewhere: the whole line of status should fit a screen."""
MOST_PROBLEMS = 3
"""On the line of status; all are told below it."""
FIGURES = ("rtt_avg", "loss", "offset", "rate", "datagram_rate", "total")
"""What is told of a host in words, where no threshold names anything."""

_UOM = {Unit.SECONDS: "s", Unit.PERCENT: "%", Unit.BYTES: "B"}
"""Units that figures for graphs may have; others have none."""
_SPACES = re.compile(r"\s")
_NO_LABEL = re.compile(r"['=|;\s]")


class Status(IntEnum):
    """How it stands, as exit codes of plugins."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


_BY_GRAVITY = (Status.OK, Status.UNKNOWN, Status.WARNING, Status.CRITICAL)


@frozen
class Thresholds:
    """The ranges by metric; a value outside of one is an alert."""

    warn: Mapping[str, Range] = Factory(dict)
    crit: Mapping[str, Range] = Factory(dict)

    def __contains__(self, name: str) -> bool:
        return name in self.warn or name in self.crit

    def judge(self, metric: AnyMetric, value: Fraction) -> tuple[Status, str]:
        """How it stands by this value; and the value in words, with the range that it left."""
        said = f"{metric.name} {say(value, metric.unit)}"
        for status, ranges in ((Status.CRITICAL, self.crit), (Status.WARNING, self.warn)):
            if metric.name in ranges and ranges[metric.name].alerts(value):
                return status, f"{said} ({status.name.lower()}: {ranges[metric.name]})"
        return Status.OK, said


@frozen
class Problem:
    """What is not as it should be."""

    status: Status
    text: str


@define(eq=False)
class Check:
    """Tells nothing but the status, at the end."""

    out: BinaryIO
    thresholds: Thresholds = Thresholds()
    enough: int | None = None
    """Answers of so many hosts suffice."""
    _status: Status | None = None
    _error: str = "the run ended without a result"

    @classmethod
    def by_options(cls, asking: Asking, out: BinaryIO) -> Check:
        """As the options say. Raises UsageError."""
        try:
            found = Thresholds(thresholds(asking.warn, "--warn"), thresholds(asking.crit, "--crit"))
        except ValueError as error:
            raise click.UsageError(str(error)) from None
        return cls(out, found, asking.enough)

    def __call__(self, event: Event) -> None:
        """Tell of it, if it is the end."""
        if isinstance(event, Error):
            self._error = event.message
        elif isinstance(event, Summary) and event.is_final and self._status is None:
            status, text = tell(event, self.thresholds, self.enough)
            self._end(status, text)

    def exit_code(self, code: int) -> int:
        """The status. A run that has told no end is unknown."""
        if self._status is None:
            self._end(Status.UNKNOWN, f"SOCK UNKNOWN - {_plain(self._error)}\n")
        return int(Status.UNKNOWN if self._status is None else self._status)

    def _end(self, status: Status, text: str) -> None:
        self._status = status
        self.out.write(text.encode())
        self.out.flush()


def tell(summary: Summary, limits: Thresholds, enough: int | None = None) -> tuple[Status, str]:
    """The status of a run, and all that is told of it."""
    called = [_plain(name) for name in names(summary.hosts)]
    problems = [
        *_silence(summary, called, limits, enough),
        *_of_hosts(summary, called, limits),
        *_of_run(summary, limits),
    ]
    problems.sort(key=lambda problem: -_BY_GRAVITY.index(problem.status))
    status = problems[0].status if problems else Status.OK
    if summary.interrupted:
        elapsed = say(Fraction(summary.elapsed_ns, 10**9), Unit.SECONDS)
        problems.insert(0, Problem(Status.UNKNOWN, f"interrupted after {elapsed}"))
        status = Status.UNKNOWN
    text = _headline(summary, called, problems, limits)
    figures = " ".join(_perfdata(summary, limits))
    lines = [
        f"SOCK {status.name} - {_plain(summary.command)}{text}{' | ' * bool(figures)}{figures}",
        *_below(summary, called, problems, limits),
    ]
    return status, "\n".join(lines) + "\n"


def _silence(
    summary: Summary, called: Sequence[str], limits: Thresholds, enough: int | None
) -> Iterator[Problem]:
    """Who has not answered, where everybody should."""
    answered = any(host.exit is Exit.ANSWERED for host in summary.hosts)
    is_enough = enough is not None and summary.exit is Exit.ANSWERED
    if answered and (is_enough or "hosts_answered" in limits or "hosts_silent" in limits):
        return
    for name, host in zip(called, summary.hosts, strict=True):
        if host.exit is not Exit.ANSWERED:
            status = Status.UNKNOWN if host.exit is Exit.USAGE else Status.CRITICAL
            yield Problem(status, _why_silent(name, host))
    if not summary.hosts:
        yield Problem(Status.CRITICAL, "nobody answered")


def _why_silent(name: str, host: HostSummary) -> str:
    """Why a host has not answered; errors mostly name it themselves."""
    why = host.error or "no answer"
    return _plain(why) if host.target in why else f"{name}: {_plain(why)}"


def _of_hosts(summary: Summary, called: Sequence[str], limits: Thresholds) -> Iterator[Problem]:
    """What is wrong with the figures of those who have answered."""
    for name, host in zip(called, summary.hosts, strict=True):
        if host.exit is not Exit.ANSWERED:
            continue
        for metric in HOST_METRICS:
            yield from _against(metric, metric.get(host), f"{name}: ", limits)


def _of_run(summary: Summary, limits: Thresholds) -> Iterator[Problem]:
    for metric in RUN_METRICS:
        yield from _against(metric, metric.get(summary), "", limits)


def _against(
    metric: AnyMetric, value: Fraction | None, whose: str, limits: Thresholds
) -> Iterator[Problem]:
    if metric.name not in limits:
        return
    if value is None:
        text = f"{whose}{metric.name} has no value, as {metric.missing}"
        yield Problem(Status.UNKNOWN, text)
        return
    status, said = limits.judge(metric, value)
    if status is not Status.OK:
        yield Problem(status, f"{whose}{said}")


def _headline(
    summary: Summary, called: Sequence[str], problems: Sequence[Problem], limits: Thresholds
) -> str:
    """What follows on the command in the line of status."""
    if problems:
        told = "; ".join(problem.text for problem in problems[:MOST_PROBLEMS])
        more = len(problems) - MOST_PROBLEMS
        return f" {told}" + f"; and {more} more" * (more > 0)
    if len(called) == 1:
        return f" {called[0]}: {_said(summary.hosts[0], limits)}"
    answered = sum(host.exit is Exit.ANSWERED for host in summary.hosts)
    return f" {answered} of {len(called)} hosts answered"


def _below(
    summary: Summary, called: Sequence[str], problems: Sequence[Problem], limits: Thresholds
) -> Iterator[str]:
    """The lines below that of the status."""
    if len(problems) > 1:
        yield from (f"{problem.status.name}: {problem.text}" for problem in problems)
    for name, host in zip(called, summary.hosts, strict=True):
        if host.exit is Exit.ANSWERED and (len(called) > 1 or problems):
            yield f"{name}: {_said(host, limits)}"
        yield from (f"{name}: {_plain(note)}" for note in host.notes)


def _said(host: HostSummary, limits: Thresholds) -> str:
    """A host in words."""
    told = [
        f"{metric.name} {say(value, metric.unit)}"
        for metric in HOST_METRICS
        if (metric.name in limits or metric.name in FIGURES)
        and (value := metric.get(host)) is not None
    ]
    return ", ".join(told) or "answered"


def _perfdata(summary: Summary, limits: Thresholds) -> Iterator[str]:
    """Figures for graphs: those that matter most, and those that have a threshold."""
    labels = distinct([_label(name) for name in names(summary.hosts)], "#")
    for label, host in zip(labels, summary.hosts, strict=True):
        prefix = f"{label}/" if len(labels) > 1 else ""
        for metric in HOST_METRICS:
            yield from _figure(metric, metric.get(host), prefix, limits)
    for run_metric in RUN_METRICS:
        if len(labels) > 1 or run_metric.name in limits:
            yield from _figure(run_metric, run_metric.get(summary), "", limits)


def _figure(
    metric: AnyMetric, value: Fraction | None, prefix: str, limits: Thresholds
) -> Iterator[str]:
    is_judged = metric.name in limits
    if not is_judged and (value is None or not metric.is_main):
        return
    shown = "U" if value is None else f"{decimal(value)}{_UOM.get(metric.unit, '')}"
    ranges = (str(found.get(metric.name, "")) for found in (limits.warn, limits.crit))
    fields = [shown, *ranges, "" if metric.is_signed else "0"]
    yield f"'{prefix}{metric.name}'={';'.join(fields).rstrip(';')}"


def _plain(text: str) -> str:
    """A text that ends neither the line nor what of it is for people."""
    return _SPACES.sub(" ", escape(text, MOST_TEXT)).replace("|", "\\x7c")


def _label(name: str) -> str:
    """A name as a label may be: no quotes, no signs of equality, and no spaces, to be safe."""
    return _NO_LABEL.sub("_", _plain(name))
