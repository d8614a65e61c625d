"""A run as a person reads it: answers on standard output, all else on standard error."""

from __future__ import annotations

from typing import BinaryIO, TextIO

from attrs import Factory, define

from sockd.client.asking import Asking
from sockd.client.report import Data, Error, Event, HostSummary, Probe, Summary
from sockd.formats.text import escape


@define(eq=False)
class Human:
    """Answers as they come; what went wrong; and a summary where there is something to sum up."""

    command: str
    asking: Asking
    is_alone: bool
    """Answers are not named: there is one host, or they name theirs."""
    out: BinaryIO
    err: TextIO
    is_terminal: bool
    _rests: dict[str, bytes] = Factory(dict)
    """What has come of a line whose end has not."""

    def __call__(self, event: Event) -> None:
        """Tell of it."""
        if isinstance(event, Data):
            self._data(event)
        elif isinstance(event, Probe):
            self._end_line(event.target)
        elif isinstance(event, Error):
            self.err.write(f"sock: {escape(event.message)}\n")
        elif isinstance(event, Summary):
            self._sum_up(event)

    def exit_code(self, code: int) -> int:
        """The same."""
        return code

    def _data(self, event: Data) -> None:
        if self.is_alone:
            self._write(event.data)
            return
        *lines, rest = (self._rests.get(event.target, b"") + event.data).split(b"\n")
        for line in lines:
            self._write(f"{escape(event.target)}: ".encode() + line + b"\n")
        self._rests[event.target] = rest

    def _end_line(self, target: str) -> None:
        if rest := self._rests.pop(target, b""):
            self._write(f"{escape(target)}: ".encode() + rest + b"\n")

    def _write(self, data: bytes) -> None:
        """To a terminal escaped, elsewhere as it is."""
        if self.is_terminal:
            lines = data.replace(b"\r\n", b"\n").split(b"\n")
            data = "\n".join(map(escape, lines)).encode()
        self.out.write(data)
        self.out.flush()

    def _sum_up(self, summary: Summary) -> None:
        if self.asking.is_quiet:
            return
        for host in summary.hosts:
            if host.counts.sent > 1 or not summary.is_final:
                self.err.write(f"{_figures(host)}\n")


def _figures(host: HostSummary) -> str:
    counts = host.counts
    text = f"{escape(host.target)}: {counts.sent} sent, {counts.received} answered"
    if host.rtt is not None:
        text += f", {host.rtt.min_ns}/{host.rtt.mean_ns}/{host.rtt.max_ns} ns"
    return text
