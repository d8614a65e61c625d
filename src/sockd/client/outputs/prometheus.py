"""A run as Prometheus reads it: a file for the textfile collector, or the same on standard output.

Figures are in base units. All are gauges: each run counts anew, so nothing in the file only grows.
There are no time stamps, which the collector refuses: it tells itself how old the file is. The file
is written under another name in the same folder and renamed, so that nobody reads half of it.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO, TextIO

import click
from attrs import define, frozen
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily
from prometheus_client.registry import Collector

from sockd.client.errors import UsageFault
from sockd.client.exits import Exit
from sockd.client.metrics import HOST_METRICS, RUN_METRICS, AnyMetric, Unit, distinct, names
from sockd.client.report import Error, Event, Summary
from sockd.formats.text import escape, readable

MODE = 0o644
"""Of the file: who collects is another user."""
MOST_LABEL = 300
"""Characters of a label: a name of DNS has at most 253, a path of a socket 107."""

_BASE = {
    Unit.COUNT: ("", Fraction(1)),
    Unit.SECONDS: ("_seconds", Fraction(1)),
    Unit.PERCENT: ("_ratio", Fraction(1, 100)),
    Unit.BYTES: ("_bytes", Fraction(1)),
    Unit.BITS_PER_SECOND: ("_bytes_per_second", Fraction(1, 8)),
    Unit.PER_SECOND: ("_per_second", Fraction(1)),
    Unit.DAYS: ("_seconds", Fraction(86_400)),
}
"""By unit: what a name ends in, and what a value is multiplied by."""
_NAMES = {
    "bytes_sent": "sent_bytes",
    "bytes_received": "received_bytes",
    "certificate_days": "certificate_remaining_seconds",
    "datagram_rate": "datagrams_per_second",
}
"""Where the name of the metric and its unit do not make a good one."""


@define(eq=False)
class Prometheus:
    """Hands the figures of the final summary to `write`."""

    write: Callable[[bytes], None]
    errors: TextIO | None = None
    """Where errors are told, if nobody else tells them."""

    def __call__(self, event: Event) -> None:
        """Tell of it, if it is the end."""
        if isinstance(event, Summary) and event.is_final:
            self.write(exposition(event))
        elif isinstance(event, Error) and self.errors is not None:
            self.errors.write(f"sock: {readable(event.message)}\n")

    def exit_code(self, code: int) -> int:
        """The same."""
        return code


def printing(out: BinaryIO, errors: TextIO) -> Prometheus:
    """To standard output."""

    def write(data: bytes) -> None:
        out.write(data)
        out.flush()

    return Prometheus(write, errors)


def into_file(path: str) -> Prometheus:
    """Into a file. Raises UsageError where there can be none."""
    return Prometheus(Textfile.at(path).write)


@frozen
class Textfile:
    """A file that is replaced as a whole."""

    path: Path

    @classmethod
    def at(cls, name: str) -> Textfile:
        """The file of this name, links followed. Raises UsageError where it cannot be written."""
        try:
            path = Path(name).resolve()
            # to rename something over a device would take the device away
            if path.exists() and not path.is_file():
                raise click.UsageError(f"--prometheus {_shown(name)}: it is no regular file")
            with tempfile.TemporaryFile(dir=path.parent):
                pass
        except (OSError, RuntimeError, ValueError) as error:  # also of links in a circle, and NUL
            why = getattr(error, "strerror", None) or str(error)
            raise click.UsageError(
                f"--prometheus {_shown(name)}: cannot be written there: {_shown(why)}"
            ) from None
        return cls(path)

    def write(self, data: bytes) -> None:
        """Put this in its place. Raises UsageFault."""
        try:
            self._replace(data)
        except OSError as error:
            raise UsageFault(f"--prometheus {self.path}: {error.strerror or error}") from error

    def _replace(self, data: bytes) -> None:
        # the collector reads what ends in .prom
        number, name = tempfile.mkstemp(".tmp", ".sock-", self.path.parent)
        try:
            with os.fdopen(number, "wb") as file:
                os.fchmod(number, MODE)
                file.write(data)
            Path(name).replace(self.path)
        except BaseException:
            with suppress(OSError):
                Path(name).unlink()
            raise


def _shown(text: str) -> str:
    return escape(text, MOST_LABEL)


def exposition(summary: Summary) -> bytes:
    """The figures of a run as a text of Prometheus."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Figures(summary))
    return generate_latest(registry)


@frozen(eq=False)
class _Figures(Collector):
    summary: Summary

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The families that have a value, always in the same order."""
        summary = self.summary
        command = _shown(summary.command)
        called = distinct([_shown(name) for name in names(summary.hosts)])
        for metric in HOST_METRICS:
            family = _family(metric, ("target", "transport", "command"))
            for name, host in zip(called, summary.hosts, strict=True):
                value = metric.get(host)
                if metric.name == "up" and summary.interrupted and host.exit is not Exit.ANSWERED:
                    value = None  # it might have answered yet
                if value is not None:
                    labels = [name, _shown(host.transport), command]
                    family.add_metric(labels, _scaled(metric, value))
            if family.samples:
                yield family
        for run_metric in RUN_METRICS:
            family = _family(run_metric, ("command",))
            found = run_metric.get(summary)
            if found is not None:
                family.add_metric([command], _scaled(run_metric, found))
                yield family


def exported_name(metric: AnyMetric) -> str:
    """What a metric is called in Prometheus."""
    name = metric.name.replace(".", "_")
    return f"sock_{_NAMES.get(name, name + _BASE[metric.unit][0])}"


def _family(metric: AnyMetric, labels: tuple[str, ...]) -> GaugeMetricFamily:
    return GaugeMetricFamily(exported_name(metric), metric.help, labels=labels)


def _scaled(metric: AnyMetric, value: Fraction) -> float:
    return float(value * _BASE[metric.unit][1])
