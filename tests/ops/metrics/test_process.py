"""What the process tells of itself."""

from __future__ import annotations

import time

from sockd.ops.metrics.process import process_figures


def test_when_it_has_begun_is_told_the_same_each_time() -> None:
    first, second = dict(process_figures()), dict(process_figures())
    began = "process_start_time_seconds"
    assert first[began] == second[began]
    assert time.time() - 86_400 < first[began] < time.time()
    assert second["process_cpu_seconds_total"] >= first["process_cpu_seconds_total"] > 0
