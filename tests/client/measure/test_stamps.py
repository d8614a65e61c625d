"""When an answer came is said by the kernel: what holds up the client is in no round trip."""

from __future__ import annotations

import gc
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from operator import ge
from statistics import median
from typing import Any

from sockd.client.measure.undisturbed import undisturbed
from tests.client.abroad import REACTOR
from tests.client.running import unspoilt
from tests.processes import finish, running

WAKING_NS = 50_000
"""What a processor takes to wake the server up, more or less: more than all else on loopback."""


@contextmanager
def prompt() -> Iterator[int]:
    """The port of an echo server that answers at once."""
    with running([sys.executable, "-m", "tests.client.measure.prompt"]) as server:
        yield int(server.wait_for(r"^port (\d+)$")[1])


def rounds() -> list[dict[str, Any]]:
    """Of a process that measures now idle, now disturbed."""
    with prompt() as port:
        command = [sys.executable, "-m", "tests.client.measure.disturbed", os.environ[REACTOR]]
        done = finish([*command, str(port)])
    assert done.returncode == 0, done.stderr.decode()
    assert done.stderr == b""
    return [json.loads(line) for line in done.stdout.splitlines()]


def of(found: list[dict[str, Any]], kind: str, figure: str) -> list[int]:
    """A figure of all rounds of a kind."""
    return [one[figure] for one in found if one["kind"] == kind]


def is_as_idle(found: list[dict[str, Any]]) -> bool:
    """Whether the kernel's figures of disturbed rounds are those of idle ones."""
    idle, disturbed = (median(of(found, kind, "kernel_p99_ns")) for kind in ("idle", "disturbed"))
    return disturbed <= 2 * idle + WAKING_NS


def test_a_full_heap_and_a_redraw_are_in_no_round_trip_by_the_kernel() -> None:
    found = unspoilt(rounds, is_as_idle)
    # the kernel begins to stamp a moment after it was asked to
    assert {one["stamps"] for one in found[1:]} == {"kernel"}
    # each tenth answer came while the reactor was held up, and was read afterwards
    shortest_ns = of(found, "disturbed", "shortest_ns")
    assert all(map(ge, of(found, "disturbed", "user_p99_ns"), shortest_ns))
    assert median(of(found, "disturbed", "kernel_p99_ns")) < min(shortest_ns) / 2
    assert is_as_idle(found)


# the garbage collector


def test_the_collector_is_off_and_the_heap_frozen_while_it_measures_and_not_afterwards() -> None:
    assert gc.isenabled()
    with undisturbed():
        assert not gc.isenabled()
        assert gc.get_freeze_count() > 0
    assert gc.isenabled()
    assert gc.get_freeze_count() == 0
    try:
        with undisturbed():
            raise InterruptedError
    except InterruptedError:
        assert gc.isenabled()


def test_the_collector_never_runs_from_the_first_probe_to_the_last() -> None:
    with prompt() as port:
        command = [sys.executable, "-m", "tests.client.measure.counted"]
        done = finish([*command, "echo", "-J", "-c50", "-i0.005", f"127.0.0.1:{port}"])
    assert done.returncode == 0, done.stderr.decode()
    events = [json.loads(line) for line in done.stdout.splitlines()]
    start_ns = events[0]["at_ns"]
    found: dict[str, Any] = json.loads(done.stderr)
    assert [at for at in found["ran_ns"] if at < start_ns], "it would work at every chance"
    until_ns = start_ns + events[-1]["elapsed_ns"]
    assert [at for at in found["ran_ns"] if start_ns <= at <= until_ns] == []
    assert (found["is_on"], found["frozen"]) == (True, 0)
