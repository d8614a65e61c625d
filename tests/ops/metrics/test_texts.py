"""The text of the figures: its two formats, and that nobody can have it made all the time."""

from __future__ import annotations

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.parser import text_string_to_metric_families as plain_families
from pytest_twisted import ensureDeferred
from twisted.internet.threads import deferToThread

from sockd.access.counts import Histogram
from sockd.ops.metrics import metrics
from sockd.ops.metrics.sheet import OPEN_TYPE, PLAIN_TYPE, Sheet, encode, wants_open
from sockd.testing import Connection, address_of
from tests.helpers import make_settings
from tests.ops.metrics.figures import TCP, operated

PROMETHEUS = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (PROMETHEUS, True),
        ("application/openmetrics-text", True),
        ("text/plain, application/openmetrics-text; version=0.0.1", True),
        ("", False),
        ("*/*", False),
        ("text/plain;version=0.0.4", False),
        ("application/openmetrics-texts", False),
    ],
)
def test_openmetrics_is_for_who_says_so(accept: str, expected: bool) -> None:
    assert wants_open(accept) == expected


def filled() -> Sheet:
    sheet = Sheet()
    sheet.set("sockd_bans", 3)
    sheet.set("sockd_build_info", 1, "1.0", "3.11", "26.4", "Reactor")
    sheet.each("sockd_refused_total", [("allow", 2), ("deny", 0)], "echo", "tcp", "")
    sheet.add("sockd_listeners", 1, "echo", "tcp", "")
    sheet.add("sockd_listeners", 1, "echo", "tcp", "")
    sheet.least("sockd_listener_up", True, "echo", "tcp", "")
    sheet.least("sockd_listener_up", False, "echo", "tcp", "")
    sheet.least("sockd_listener_up", True, "echo", "tcp", "")
    histogram = Histogram((0.1, 1.0))
    for value in (0.05, 0.5, 0.6, 7):
        histogram.add(value)
    sheet.bins("sockd_loop_lag_seconds", histogram)
    histogram.add(3)  # after that moment
    return sheet


@pytest.mark.parametrize("is_open", [True, False])
def test_a_sheet_reads_the_same_in_both_formats(is_open: bool) -> None:
    text = encode(filled(), is_open=is_open).decode()
    assert text.endswith("# EOF\n") == is_open
    parse = text_string_to_metric_families if is_open else plain_families
    families = parse(text)
    found = {
        (one.name, *sorted(one.labels.values())): one.value
        for family in families
        for one in family.samples
    }
    assert found == {
        ("sockd_bans",): 3,
        ("sockd_build_info", "1.0", "26.4", "3.11", "Reactor"): 1,
        ("sockd_refused_total", "", "allow", "echo", "tcp"): 2,
        ("sockd_refused_total", "", "deny", "echo", "tcp"): 0,
        ("sockd_listeners", "", "echo", "tcp"): 2,
        ("sockd_listener_up", "", "echo", "tcp"): 0,
        ("sockd_loop_lag_seconds_bucket", "0.1"): 1,
        ("sockd_loop_lag_seconds_bucket", "1.0"): 3,
        ("sockd_loop_lag_seconds_bucket", "+Inf"): 4,
        ("sockd_loop_lag_seconds_count",): 4,
        ("sockd_loop_lag_seconds_sum",): pytest.approx(8.15),
    }


@ensureDeferred
async def test_the_type_is_that_of_the_text() -> None:
    async with operated(make_settings("echo", [TCP])) as operations:
        kind, text = await operations.metrics(PROMETHEUS)
        assert (kind, text[-6:]) == (OPEN_TYPE, b"# EOF\n")
        kind, text = await operations.metrics("*/*")
        assert kind == PLAIN_TYPE
        assert b"# EOF" not in text


@ensureDeferred
async def test_those_who_ask_at_the_same_time_or_soon_after_get_the_same_text() -> None:
    async with operated(make_settings("echo", [TCP])) as operations:
        first, second = operations.metrics(""), operations.metrics("")
        gone = operations.metrics("")
        gone.addErrback(lambda _: None).cancel()
        text = (await first)[1]
        assert (await second)[1] is text
        assert (await operations.metrics(""))[1] is text


@ensureDeferred
async def test_a_text_is_not_told_once_it_is_old(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "FRESH_SECONDS", 0)
    async with operated(make_settings("echo", [TCP])) as operations:
        [listener] = operations.daemon.instances[0][1].listeners
        opened = b'sockd_connections_opened_total{door="",service="echo",transport="tcp"} %d.0'
        assert opened % 0 in (await operations.metrics(""))[1]
        with await deferToThread(Connection, address_of(listener)) as wire:
            wire.send(b"hello")
            assert await deferToThread(wire.receive, 5) == b"hello"
            assert opened % 1 in (await operations.metrics(""))[1]


@ensureDeferred
async def test_who_asks_for_what_is_so_now_gets_that() -> None:
    async with operated(make_settings("echo", [TCP])) as operations:
        await operations.metrics("")
        operations.reloader.failed += 1
        failed = b'sockd_config_reloads_total{result="failure"} 1.0'
        assert failed not in (await operations.metrics(""))[1]
        assert failed in await operations.metrics.fresh(is_open=True)


@ensureDeferred
async def test_after_figures_that_cannot_be_told_those_are_that_can_be(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with operated(make_settings("echo", [TCP])) as operations:
        with monkeypatch.context() as patch:
            patch.setattr(operations, "reloader", None)
            with pytest.raises(AttributeError):
                await operations.metrics("")
        assert b"sockd_bans 0.0" in (await operations.metrics(""))[1]
