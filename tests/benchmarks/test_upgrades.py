"""Upgrades and kills, fewer than are measured: what must hold holds with any number."""

from __future__ import annotations

from benchmarks import kills, upgrades


def test_upgrades_under_load_refuse_nobody_and_lose_no_datagram() -> None:
    result = upgrades.measure(1, 300)
    assert result.unanswered == {}
    assert len(result.seconds) == 1
    for transport in ("tcp", "unix", "udp", "unixgram"):
        assert result.counts[f"{transport} answered"] > 0


def test_killed_at_random_moments_it_serves_again() -> None:
    result = kills.measure(1)
    assert len(result.seconds) == 1
    assert result.asked > 0
