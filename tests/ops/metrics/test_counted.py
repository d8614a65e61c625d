"""Each count of a service has the series that is named after it, and no other."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from sockd.access.entrance import Entrance
from sockd.ops.metrics.instances import add_instance
from sockd.ops.metrics.sheet import Sheet
from tests.helpers import make_context, make_settings

TALLIES = {
    "errors": ("tcp", "sockd_service_errors_total", ()),
    "users": ("tcp", "sockd_chat_users", ()),
    "deliveries": ("tcp", "sockd_chat_deliveries_total", ()),
    "handshakes": ("tls", "sockd_tls_handshakes_total", ("success",)),
    "handshakes_failed": ("tls", "sockd_tls_handshakes_total", ("failure",)),
    "datagrams_in": ("udp", "sockd_datagrams_received_total", ()),
    "datagrams_out": ("udp", "sockd_datagrams_sent_total", ()),
    "lost": ("udp", "sockd_kernel_drops_total", ()),
    "unreceived": ("udp", "sockd_datagram_receive_errors_total", ()),
    "unsent": ("udp", "sockd_datagrams_unsent_total", ()),
    "bytes_in": ("udp", "sockd_received_bytes_total", ()),
    "bytes_out": ("udp", "sockd_sent_bytes_total", ()),
    "connections": ("tcp", "sockd_connections_opened_total", ()),
}
"""Of what a door counts: over which transport, the metric, and its last label."""


def sheet_of(counts: Any = None, **traffic: int) -> dict[tuple[str, ...], float]:
    """What is told of a chat that has counted this, by metric and labels, without what is 0."""
    context = make_context("chat")
    for name, value in traffic.items():
        setattr(context.guard.counts.traffic(Entrance(TALLIES[name][0])), name, value)
    for name, value in (counts or {}).items():
        setattr(context.guard.counts, name, value)
    sheet = Sheet()
    instance: Any = SimpleNamespace(
        settings=make_settings("chat"), guard=context.guard, listeners=()
    )
    add_instance(sheet, instance)
    return {
        (metric, *labels): value
        for metric, series in sheet.values.items()
        for labels, value in series.items()
        if isinstance(value, float) and value and metric != "sockd_connections_limit"
    }


@pytest.mark.parametrize("name", TALLIES)
def test_what_a_door_counts_is_told_where_it_belongs(name: str) -> None:
    transport, metric, last = TALLIES[name]
    found = sheet_of(**{name: 7})
    if name == "connections":
        assert found.pop(("sockd_connections", "chat", transport, "")) == 7
    assert found == {(metric, "chat", transport, "", *last): 7}


@pytest.mark.parametrize(
    ("counts", "told"),
    [
        ({"suppressed": 7}, {("sockd_events_suppressed_total", "chat"): 7}),
        ({"dropped": {"forged": 7}}, {("sockd_chat_dropped_total", "chat", "forged"): 7}),
        (
            {"children": 7},
            {("sockd_children", "chat"): 7, ("sockd_children_started_total", "chat"): 7},
        ),
    ],
)
def test_what_a_service_counts_is_told_where_it_belongs(
    counts: dict[str, Any], told: dict[tuple[str, ...], float]
) -> None:
    assert sheet_of(counts) == told
