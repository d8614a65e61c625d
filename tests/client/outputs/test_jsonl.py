"""A run as JSON Lines is what the schema says, whatever the network has said."""

from __future__ import annotations

import json
from base64 import b64decode
from io import BytesIO
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from sockd.client import report
from sockd.client.exits import Exit
from sockd.client.outputs.jsonl import TYPES, JsonLines, Part, line
from sockd.client.report import (
    Counts,
    Data,
    Error,
    Event,
    HostSummary,
    Interval,
    Outcome,
    Probe,
    Spread,
    Start,
    Summary,
)
from tests.client.outputs.events import EVENTS, SPREAD, ClosedPipe, host, silent, summary

SCHEMA = json.loads((Path(__file__).parents[3] / "docs/sock.schema.json").read_text("utf-8"))
VALIDATOR = Draft202012Validator(SCHEMA)
RUN: tuple[Event, ...] = (
    Start(command="echo", targets=("example", "nobody"), at_ns=1_700_000_000_000_000_000),
    Data(target="example", data=b"never told"),
    Probe(target="example", transport="udp", outcome=Outcome.ANSWERED, rtt_ns=5, text="hello\r\n"),
    Interval(target="example", from_ns=0, to_ns=10, counts=Counts(sent=1, received=1)),
    summary(host(), silent(), is_final=False),
    Error(target="nobody", reason="timeout", message="no answer", exit=Exit.TIMEOUT),
    summary(host(), silent()),
)


def told(*events: Event, is_quiet: bool = False) -> list[Any]:
    """What is told of these events: each line parsed as strictly as can be, and validated."""
    out = BytesIO()
    tell = JsonLines(out, "echo", is_quiet)
    for event in events:
        tell(event)
    text = out.getvalue().decode("ascii")
    assert not text or text.endswith("\n")
    found = [json.loads(of, parse_constant=pytest.fail) for of in text.split("\n")[:-1]]
    for of in found:
        VALIDATOR.validate(of)
    return found


def test_a_run_is_told_line_by_line_and_the_final_summary_is_the_last() -> None:
    lines = told(*RUN, RUN[-1], RUN[5])
    types = ["start", "probe", "interval", "summary", "error", "summary"]
    assert [of["type"] for of in lines] == types
    assert [of["is_final"] for of in lines if of["type"] == "summary"] == [False, True]
    assert {of["schema"] for of in lines} == {report.SCHEMA}


def test_quietly_there_are_no_probes_and_no_intervals() -> None:
    types = ["start", "summary", "error", "summary"]
    assert [of["type"] for of in told(*RUN, is_quiet=True)] == types


def test_what_is_absent_is_null_and_no_field_is_left_out() -> None:
    (probe,) = told(Probe(target="a", transport="tcp", outcome=Outcome.LOST))
    assert set(probe) == {"schema", "type", "text_base64"} | set(fields(Probe))
    assert probe["rtt_ns"] is probe["text"] is probe["timing"] is None


def test_a_number_that_is_none_is_null() -> None:
    values = {"a": float("nan"), "b": float("inf"), "c_ns": float("-inf"), "d_ns": 1.6}
    (probe,) = told(
        Probe(target="a", transport="tcp", outcome=Outcome.ANSWERED, values=values),
    )
    assert probe["values"] == {"a": None, "b": None, "c_ns": None, "d_ns": 2}


@pytest.mark.parametrize(
    ("data", "text", "is_exact"),
    [
        (b"", "", True),
        ("Grüße\r\n\x00\x1b\x7f".encode(), "Grüße\r\n\x00\x1b\x7f", True),
        (b"caf\xe9 \\xe9", "caf\\xe9 \\xe9", False),
        (b"\\xe9", "\\xe9", True),
        (b"\xff" * 3, "\\xff\\xff\\xff", False),
    ],
)
def test_bytes_that_are_no_text_are_there_as_base64(data: bytes, text: str, is_exact: bool) -> None:
    (probe,) = told(probe_of(data))
    assert probe["text"] == text
    assert (probe["text_base64"] is None) is is_exact
    assert (text.encode() if is_exact else b64decode(probe["text_base64"])) == data


@given(st.binary())
def test_every_answer_can_be_had_exactly(data: bytes) -> None:
    (probe,) = told(probe_of(data))
    encoded = probe["text_base64"]
    assert (probe["text"].encode() if encoded is None else b64decode(encoded)) == data


@given(EVENTS)
@example(RUN[-1])
def test_every_event_is_one_valid_line_of_printable_ascii(event: Event) -> None:
    assert not isinstance(event, Data)
    data = line(event)
    assert data.endswith(b"\n")
    assert all(0x20 <= byte < 0x7F for byte in data[:-1])
    told(event)


def test_durations_are_whole_numbers_whose_names_end_in_ns() -> None:
    (whole,) = told(summary(host(histogram=((0, 100, 3), (100, 200, 1)))))
    (of,) = whole["hosts"]
    assert of["rtt"]["percentiles"] == {"p50_ns": 100_000_000, "p90_ns": 200_000_000}
    assert of["histogram"][1] == {"from_ns": 100, "to_ns": 200, "count": 1}
    assert of["rtt"]["mean_ns"] == SPREAD.mean_ns
    assert whole["elapsed_ns"] == 1_500_000_000


def test_the_part_that_was_lost_is_told_and_null_where_none_is_known() -> None:
    (whole,) = told(summary(host(counts=Counts(sent=4, received=3, lost=1)), host(counts=Counts())))
    assert [of["counts"]["loss"] for of in whole["hosts"]] == [0.25, None]


def test_where_nobody_reads_any_more_that_is_raised() -> None:
    with pytest.raises(BrokenPipeError):
        JsonLines(ClosedPipe(), "echo")(RUN[0])


def test_the_exit_code_is_the_runs_and_adds_nothing_to_its_summary() -> None:
    out = BytesIO()
    tell = JsonLines(out, "echo")
    tell(RUN[-1])
    before = out.getvalue()
    assert tell.exit_code(6) == 6
    assert out.getvalue() == before


def test_a_run_that_failed_before_it_knew_its_hosts_ends_with_a_summary_too() -> None:
    out = BytesIO()
    assert JsonLines(out, "discover", is_quiet=True).exit_code(Exit.USAGE) == 2
    found = json.loads(out.getvalue())
    VALIDATOR.validate(found)
    assert (found["command"], found["hosts"], found["exit"]) == ("discover", [], 2)


def fields(of: type[attrs.AttrsInstance]) -> list[str]:
    """The names of its fields."""
    return [field.name for field in attrs.fields(of)]


def probe_of(data: bytes) -> Probe:
    """A probe that these bytes answered."""
    text = data.decode("utf-8", "surrogateescape")
    return Probe(target="a", transport="tcp", outcome=Outcome.ANSWERED, text=text)


MORE = {Probe: {"text_base64"}, Counts: {"loss"}}
"""What JSON has beside the fields of an event."""


@pytest.mark.parametrize("kind", [*TYPES, *Part.__args__])
def test_the_schema_has_the_fields_of_the_events_and_no_others(
    kind: type[attrs.AttrsInstance],
) -> None:
    snake = "".join(f"_{sign.lower()}" if sign.isupper() else sign for sign in kind.__name__)
    schema = SCHEMA["$defs"][snake.removeprefix("_")]
    head = {"schema", "type"} if kind in TYPES else set()
    assert set(schema["properties"]) == head | set(fields(kind)) | MORE.get(kind, set())
    assert set(schema["required"]) == set(schema["properties"])
    assert schema["additionalProperties"] is False


def test_the_schema_is_one_and_refuses_what_is_none() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    good = json.loads(line(summary(host())))
    VALIDATOR.validate(good)
    for changed in (
        good | {"schema": 2},
        good | {"type": "end"},
        good | {"more": 1},
        good | {"elapsed_ns": 1.5},
        good | {"elapsed_ns": None},
        {name: value for name, value in good.items() if name != "exit"},
    ):
        assert not VALIDATOR.is_valid(changed)


def test_the_schema_knows_every_value_of_an_enumeration() -> None:
    known = SCHEMA["$defs"]
    assert known["exit"]["enum"] == [*Exit]
    assert known["outcome"]["enum"] == [*Outcome]
    assert known["stamp"]["enum"] == [*report.Stamp]
    assert {of["$ref"].rpartition("/")[2] for of in SCHEMA["oneOf"]} == set(TYPES.values())


def test_every_event_but_data_has_a_type() -> None:
    assert {*TYPES, Data} == set(Event.__args__)
    assert {HostSummary, Spread, Summary} <= {*TYPES, *Part.__args__}
