"""The log and events of others: none is taken for ours, none breaks a line or loses another."""

from __future__ import annotations

import io
import json
import math
from typing import Any

import pytest

from sockd import events
from sockd.access import reasons
from sockd.access.reasons import because
from sockd.formats.template import names_in
from sockd.ops.log_lines import FORMATS, as_json, as_text
from sockd.ops.logs import FLUSH_SECONDS, LogWriter
from tests.ops.samples import LOCAL, event_of
from tests.ops.test_log_writer import Host

BASE = {"time", "level", "event", "message", "traceback"}


class Unspeakable:
    """Who has no name: `str` of it raises."""

    host = ""
    port = 0
    via = None

    def __str__(self) -> str:
        raise ValueError("by design")

    def fields(self, key: str) -> dict[str, Any]:
        return {key: str(self)}


def pairs_of(line: str) -> list[tuple[str, Any]]:
    """What a line of JSON has, twice if it is there twice; nothing that only Python reads."""

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    pairs: list[tuple[str, Any]] = json.loads(
        line, object_pairs_hook=lambda pairs: pairs, parse_constant=refuse
    )
    return pairs


@pytest.mark.parametrize(
    "fields",
    [
        {"event": "mine", "message": "boo", "time": 1, "level": 3},
        {"event": "opened"},
        {"event": {"a": 1}},
        {"event": 5},
        {"event": None},
        {"event": "mine", 'a "key"\n': 1},
    ],
)
def test_an_event_of_others_with_a_field_event_is_a_line_of_theirs(fields: dict[str, Any]) -> None:
    event = {**event_of("it is {event}", **fields), "log_namespace": "other"}
    pairs = pairs_of(as_json(event))
    assert [key for key, _ in pairs] == ["time", "level", "event", "message"]
    assert dict(pairs)["event"] == "log"
    said = f"it is {fields['event']}"
    assert dict(pairs)["message"] == said
    assert as_text(event).endswith(f" {said}\n")


def test_a_sentence_of_ours_in_an_event_of_others_is_not_filled_as_ours() -> None:
    event = {**event_of(events.SENTENCES["failed"], event="failed"), "log_namespace": "other"}
    assert "failed" not in dict(pairs_of(as_json(event))).values()


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (math.inf, "inf"),
        (-math.inf, "-inf"),
        (math.nan, "nan"),
        (None, None),
        (True, True),
        (1.5, 1.5),
        (10**30, 10**30),
        (("a", "tuple"), "('a', 'tuple')"),
    ],
)
def test_a_value_is_shown_as_json_has_it(value: object, shown: object) -> None:
    line = as_json(event_of(events.SENTENCES["log-reopened"], event="log-reopened", path=value))
    assert dict(pairs_of(line))["path"] == shown
    assert f"in {value}" in as_text(
        event_of(events.SENTENCES["log-reopened"], event="log-reopened", path=value)
    )


def test_no_event_of_ours_has_a_field_twice() -> None:
    parts = {"peer": {"peer_address", "peer_port"}, "local": set(LOCAL.fields("local"))}
    for event, fields in events.FIELDS.items():
        others = [{name} | parts.get(name, set()) for name in fields if name != "reason"]
        taken = BASE.union(*others)
        if "reason" in fields:
            for name, sentence in reasons.SENTENCES.items():
                assert not taken & names_in(sentence), (event, name)


@pytest.mark.parametrize("form", FORMATS.values(), ids=FORMATS)
def test_a_line_that_cannot_be_made_says_so_and_loses_no_other(form: Any) -> None:
    file, host = io.StringIO(), Host()
    writer = LogWriter(file, form)
    writer.collect(host)
    try:
        fine = event_of(events.SENTENCES["stopped"], event="stopped")
        writer(fine)
        writer.opened("echo", 1, LOCAL, Unspeakable())
        writer(event_of(events.SENTENCES["failed"], event="failed", service="echo"))
        reason = because("done")
        writer.closed("echo", 1, LOCAL, Unspeakable(), 0.5, 1, 2, reason)
        writer(fine)
        host.advance(FLUSH_SECONDS)
    finally:
        for end in host.ends:
            end()
    lines = file.getvalue().splitlines()
    assert len(lines) == 5
    assert [number for number, line in enumerate(lines) if "sockd has stopped" in line] == [0, 4]
    for line, kind in zip(lines[1:4], ["ValueError", "KeyError", "ValueError"], strict=True):
        assert f"an event cannot be written: {kind}" in line
