"""Figures as they were at one moment, and their text for Prometheus.

A sheet is filled in the reactor's thread, in a millisecond or two; to make a text of it takes ten
times as long, and can be done in another thread.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import TYPE_CHECKING

from attrs import Factory, define

from sockd.access.counts import Histogram
from sockd.ops.metrics.table import METRICS, Metric

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric as Family

OPEN_METRICS = "application/openmetrics-text"
OPEN_TYPE = f"{OPEN_METRICS}; version=1.0.0; charset=utf-8"
PLAIN_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Labels = tuple[str, ...]
Bins = tuple[tuple[float, ...], list[int], float]
"""Bounds, how many in each bin, and the sum."""


@define(eq=False)
class Sheet:
    """Values by the names of the metrics and by their labels, in the order of the table."""

    values: dict[str, dict[Labels, float | Bins]] = Factory(lambda: {name: {} for name in METRICS})

    def set(self, name: str, value: float, *labels: str) -> None:
        """The value of a series."""
        self.values[name][labels] = float(value)

    def add(self, name: str, value: float, *labels: str) -> None:
        """So much more in a series."""
        series = self.values[name]
        before = series.get(labels, 0)
        assert not isinstance(before, tuple)
        series[labels] = before + value

    def least(self, name: str, value: float, *labels: str) -> None:
        """The value of a series that several have: the least of them."""
        series = self.values[name]
        before = series.get(labels, value)
        assert not isinstance(before, tuple)
        series[labels] = min(before, float(value))

    def each(self, name: str, values: Iterable[tuple[str, float]], *labels: str) -> None:
        """Series that differ in their last label."""
        series = self.values[name]
        for last, value in values:
            series[*labels, last] = float(value)

    def bins(self, name: str, histogram: Histogram, *labels: str) -> None:
        """A histogram as it is now."""
        self.values[name][labels] = histogram.bounds, histogram.bins[:], histogram.sum


def wants_open(accept: str) -> bool:
    """Whether a client that accepts this is told in the format of OpenMetrics."""
    return any(one.partition(";")[0].strip() == OPEN_METRICS for one in accept.split(","))


def encode(sheet: Sheet, *, is_open: bool) -> bytes:
    """The text of a sheet: OpenMetrics 1.0, or Prometheus's own older format."""
    # here, for it takes long to load; not its servers, which would be no use here
    from prometheus_client import CollectorRegistry
    from prometheus_client.exposition import generate_latest
    from prometheus_client.openmetrics.exposition import generate_latest as generate_open
    from prometheus_client.registry import Collector

    class Filled(Collector):
        def collect(self) -> Iterable[Family]:
            return _families(sheet)

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Filled())
    text: bytes = (generate_open if is_open else generate_latest)(registry)
    return text


def _families(sheet: Sheet) -> Iterator[Family]:
    for name, series in sheet.values.items():
        if series:
            yield _family(METRICS[name], series)


def _family(metric: Metric, series: dict[Labels, float | Bins]) -> Family:
    from prometheus_client.core import (
        CounterMetricFamily,
        GaugeMetricFamily,
        HistogramMetricFamily,
        InfoMetricFamily,
    )

    family: Family
    if metric.type == "info":
        info = InfoMetricFamily(metric.name.removesuffix("_info"), metric.help)
        for labels in series:
            info.add_metric((), dict(zip(metric.labels, labels, strict=True)))
        return info
    if metric.type == "histogram":
        histogram = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
        for labels, value in series.items():
            assert isinstance(value, tuple)
            bounds, bins, total = value
            names = [*map(_bound, bounds), "+Inf"]
            upto = map(float, accumulate(bins))
            histogram.add_metric(labels, list(zip(names, upto, strict=True)), total)
        return histogram
    kind = CounterMetricFamily if metric.type == "counter" else GaugeMetricFamily
    family = simple = kind(metric.name, metric.help, labels=metric.labels)
    for labels, value in series.items():
        assert not isinstance(value, tuple)
        simple.add_metric(labels, value)
    return family


def _bound(value: float) -> str:
    """A bound as OpenMetrics wants it: a number with a point."""
    return repr(float(value))
