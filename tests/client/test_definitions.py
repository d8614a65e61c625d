"""What the figures mean is written once, and says what the code does."""

from __future__ import annotations

import attrs

from sockd.client.definitions import DEFINITIONS, OF_PROBES, ROUND_TRIP, measures
from sockd.client.measure.statistics import EXACT
from sockd.client.report import Counts

SINGULAR = {"duplicates": "duplicate"}
PLAIN = {"in_flight", "bytes_sent", "bytes_received"}
"""They say all there is to say, or stand in another definition."""


def test_every_count_is_defined() -> None:
    names = {SINGULAR.get(field.name, field.name) for field in attrs.fields(Counts)}
    assert names - PLAIN <= {*DEFINITIONS}


def test_limits_in_definitions_are_those_of_the_code() -> None:
    assert f"{EXACT:,}" in OF_PROBES["percentile"]


def test_a_definition_is_a_sentence_or_some() -> None:
    assert all(text[0].isupper() and text.endswith(".") for text in OF_PROBES.values())


def test_of_what_nothing_comes_back_no_round_trip_is_told() -> None:
    for told in (
        measures("", is_repeated=False, is_one_way=True),
        measures("", is_repeated=True, is_one_way=True),
        measures("discard", is_repeated=True),
    ):
        assert not {ROUND_TRIP, "loss", "received"} & {*told}


def test_what_is_only_heard_has_no_round_trip() -> None:
    assert measures("beacon", is_repeated=False) == ()
