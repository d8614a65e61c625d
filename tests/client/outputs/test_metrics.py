"""The figures that a summary has are exact, and are none where nothing is known."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockd.client.exits import Exit
from sockd.client.measure.statistics import PERCENTILES
from sockd.client.metrics import HOST_METRICS, METRICS, RUN_METRICS, Metric, RunMetric, names
from sockd.client.report import Answerer, Counts, HostSummary, Summary, Timing, Value
from tests.client.outputs.events import HOSTS, SUMMARIES, host, silent, summary


def value(name: str, of: HostSummary) -> Fraction | None:
    """The figure of this name."""
    metric = METRICS[name]
    assert isinstance(metric, Metric)
    return metric.get(of)


def test_durations_are_seconds() -> None:
    found = host(timing=Timing(connect_ns=1, total_ns=2_500_000_000))
    assert value("rtt_avg", found) == Fraction(12, 100)
    assert value("rtt_p90", found) == Fraction(2, 10)
    assert value("rtt_p99", found) is None
    assert value("connect", found) == Fraction(1, 10**9)
    assert value("total", found) == Fraction(5, 2)
    assert value("tls", found) is None


@pytest.mark.parametrize(("lost", "of"), [(7, 100), (1, 3), (29, 100)])
def test_the_loss_is_exact(lost: int, of: int) -> None:
    found = host(counts=Counts(sent=of, lost=lost - 1, failed=1, received=of - lost))
    assert value("loss", found) == Fraction(100 * lost, of)


def test_a_host_of_which_nothing_is_known_has_no_figures_but_counts() -> None:
    found = HostSummary(target="a", transport="udp", exit=Exit.TIMEOUT)
    known = {metric.name for metric in HOST_METRICS if metric.get(found) is not None}
    assert {"sent", "received", "up"} <= known
    assert not known & {"rtt_avg", "jitter", "loss", "offset", "rate", "connect", "missed_slots"}


@pytest.mark.parametrize(
    ("low", "high", "offset"),
    [(-1, 1, 0), (2, 3, 2), (-3, -2, -2), (0, 0, 0)],
)
def test_the_offset_is_the_nearest_to_none_of_those_that_are_possible(
    low: int, high: int, offset: int
) -> None:
    found = host(values={"offset_low_ns": low, "offset_high_ns": high})
    assert value("offset", found) == Fraction(offset, 10**9)
    assert value("offset_low", found) == Fraction(low, 10**9)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), True, "5"])
def test_what_is_no_number_is_no_figure(bad: Value) -> None:
    values = {"offset_low_ns": bad, "offset_high_ns": bad, "certificate_days": bad}
    found = host(values=values)
    assert value("offset", found) is value("certificate_days", found) is None


def test_hosts_are_counted_by_whether_they_have_answered() -> None:
    found = {
        metric.name: metric.get(summary(host(), silent(), silent("b"))) for metric in RUN_METRICS
    }
    assert found == {"hosts_answered": 1, "hosts_silent": 2, "elapsed": Fraction(3, 2)}


def test_who_would_have_been_silent_is_not_known_of_a_run_that_was_interrupted() -> None:
    metric = METRICS["hosts_silent"]
    assert isinstance(metric, RunMetric)
    assert metric.get(summary(host(), silent(), interrupted=True)) is None


@given(SUMMARIES)
def test_any_summary_has_its_figures(of: Summary) -> None:
    for run_metric in RUN_METRICS:
        run_metric.get(of)
    for metric in HOST_METRICS:
        for one in of.hosts:
            found = metric.get(one)
            assert found is None or isinstance(found, Fraction)
            assert found is None or found >= 0 or metric.is_signed


def test_names_are_lower_case_and_each_is_there_once() -> None:
    assert len(METRICS) == len(HOST_METRICS) + len(RUN_METRICS)
    for metric in METRICS.values():
        assert metric.name == metric.name.lower()
        assert set(metric.name) <= set("abcdefghijklmnopqrstuvwxyz0123456789_.")
        assert metric.help[:1].isupper() or metric.help[:1].isdecimal()
        assert not metric.help.endswith(".")


def test_hosts_of_one_name_are_told_apart_by_port_address_or_number() -> None:
    assert names([host("a"), host("b")]) == ["a", "b"]
    assert names([host("a"), host("a", port=8), host("b")]) == ["a:7", "a:8", "b"]
    assert names([host("::1"), host("::1", port=8)]) == ["[::1]:7", "[::1]:8"]
    assert names([host("a"), host("a", address="192.0.2.2")]) == [
        "a:7 (192.0.2.1)",
        "a:7 (192.0.2.2)",
    ]
    assert names([host("a", address=None, port=None)] * 3) == ["a", "a #2", "a #3"]


@given(st.lists(HOSTS, max_size=6))
def test_no_two_hosts_are_called_the_same(hosts: list[HostSummary]) -> None:
    found = names(hosts)
    assert len(set(found)) == len(found) == len(hosts)


def test_every_percentile_that_is_measured_is_a_metric() -> None:
    found = {name for name in METRICS if name.startswith("rtt_p")}
    assert found == {f"rtt_{name}" for name in PERCENTILES}


def test_what_the_kernel_knows_of_a_connection_and_who_answered_a_broadcast() -> None:
    answerers = tuple(Answerer(address=f"192.0.2.{of}", counts=Counts()) for of in (1, 2))
    found = host(values={"kernel_rtt_ns": 2000, "retransmits": 3}, answerers=answerers)
    assert value("kernel_rtt", found) == Fraction(2, 10**6)
    assert value("retransmits", found) == 3
    assert value("answerers", found) == 2
    assert value("answerers", host()) is value("kernel_rtt", host()) is None


def test_who_was_not_asked_has_lost_nothing_and_has_no_loss() -> None:
    heard = HostSummary(target="a", transport="udp", counts=Counts(received=3))
    assert heard.counts.loss is None
    assert value("loss", heard) is None
