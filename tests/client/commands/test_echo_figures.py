"""The figures of `sock echo` are what anybody computes from the outcomes that it has told."""

from __future__ import annotations

import json
from fractions import Fraction
from itertools import pairwise
from math import ceil
from pathlib import Path as FilePath
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from sockd.formats.probe import SEQUENCES
from tests.client.relay import Fate, Path, Relay, seeded
from tests.client.running import sock

FIRST = SEQUENCES - 60
SCHEMA = json.loads((FilePath(__file__).parents[3] / "docs/sock.schema.json").read_text("utf-8"))
WEIGHTS = {Fate.PASS: 20, Fate.LOSE: 2, Fate.DOUBLE: 2, Fate.SWAP: 3, Fate.CORRUPT: 1}
Events = list[dict[str, Any]]


@pytest.fixture(scope="module")
def events() -> Events:
    """What a run over a bad path has told."""
    with Relay(Path(seeded(8, WEIGHTS)), delay=60.0) as relay:
        address = "{}:{}".format(*relay.address)
        done = sock("echo", "-J", "-c1200", "-i0.002", "-W1.5", f"--first={FIRST}", "-v", address)
    assert done.code == 0, done.err
    told = [json.loads(line) for line in done.out.splitlines()]
    validator = Draft202012Validator(SCHEMA)
    for event in told:
        validator.validate(event)
    return told


@pytest.fixture(scope="module")
def host(events: Events) -> dict[str, Any]:
    [found] = events[-1]["hosts"]
    return dict(found)


def of(events: Events, outcome: str) -> Events:
    return [event for event in events if event.get("outcome") == outcome]


def test_percentiles_are_nearest_ranks(events: Events, host: dict[str, Any]) -> None:
    rtts = sorted(event["rtt_ns"] for event in of(events, "answered"))
    count = len(rtts)
    ranks = {
        name: ceil(Fraction(part) * count / 100)
        for name, part in (("p50", "50"), ("p90", "90"), ("p99", "99"), ("p99.9", "99.9"))
    }
    found = {f"{name}_ns": rtts[rank - 1] for name, rank in ranks.items() if rank < count}
    assert host["rtt"]["percentiles"] == found
    assert host["pdv_p99_ns"] == found["p99_ns"] - rtts[0]


def test_the_spread_is_that_of_the_round_trips(events: Events, host: dict[str, Any]) -> None:
    rtts = [event["rtt_ns"] for event in of(events, "answered")]
    mean = Fraction(sum(rtts), len(rtts))
    variance = sum((rtt - mean) ** 2 for rtt in rtts) / len(rtts)
    told = host["rtt"]
    assert (told["count"], told["min_ns"], told["max_ns"]) == (len(rtts), min(rtts), max(rtts))
    assert told["mean_ns"] == int(mean)
    assert told["stddev_ns"] ** 2 <= variance < (told["stddev_ns"] + 1) ** 2
    assert sum(bar["count"] for bar in host["histogram"]) == len(rtts)
    for bar in host["histogram"]:
        inside = sum(bar["from_ns"] <= rtt < bar["to_ns"] for rtt in rtts)
        assert inside == bar["count"]


def test_jitter_is_that_of_rfc_3550(events: Events, host: dict[str, Any]) -> None:
    jitter = Fraction(0)
    for before, rtt in pairwise(event["rtt_ns"] for event in of(events, "answered")):
        jitter += (abs(rtt - before) - jitter) / 16
        jitter = jitter.limit_denominator(1 << 40)
    assert abs(host["jitter_ns"] - jitter) <= 1


def test_counts_are_those_of_the_outcomes(events: Events, host: dict[str, Any]) -> None:
    counts = host["counts"]
    answered = [(event["seq"] - FIRST) % SEQUENCES for event in of(events, "answered")]
    greatest, reordered = -1, 0
    for number in answered:
        reordered += number < greatest
        greatest = max(greatest, number)
    assert counts["sent"] == 1200
    assert counts["received"] == len(answered) == len(set(answered))
    assert counts["lost"] == len(of(events, "lost")) == 1200 - len(answered)
    assert counts["reordered"] == reordered > 0
    assert counts["duplicates"] == len(of(events, "duplicate")) > 0
    assert counts["corrupt"] == len(of(events, "corrupt")) > 0
    assert counts["loss"] == pytest.approx(counts["lost"] / 1200)
    assert counts["late"] == len(of(events, "late"))
    assert (counts["in_flight"], counts["failed"]) == (0, 0)


def test_lateness_is_that_of_the_probes(events: Events, host: dict[str, Any]) -> None:
    late = [event["late_ns"] for event in events if event.get("late_ns") is not None]
    told = host["lateness"]
    assert (told["count"], told["min_ns"], told["max_ns"]) == (1200, min(late), max(late))
    assert len(late) == 1200
    assert host["missed_slots"] >= 0


def test_intervals_add_up_to_what_was_told_until_then(events: Events) -> None:
    seconds = [event for event in events if event["type"] == "interval"]
    assert len(seconds) >= 2
    last = max(events.index(second) for second in seconds)
    until = events[:last]
    for name, outcome in (("received", "answered"), ("lost", "lost"), ("corrupt", "corrupt")):
        assert sum(one["counts"][name] for one in seconds) == len(of(until, outcome))
    for before, after in pairwise(seconds):
        assert after["from_ns"] == before["to_ns"] > before["from_ns"]
