"""Log lines: whatever the network says, a line stays a line and shows what was said."""

from __future__ import annotations

import errno
import io
import json
import re
import string
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest
import pytest_twisted
from hypothesis import given
from hypothesis import strategies as st
from twisted.logger import (
    LegacyLogObserverWrapper,
    LogEvent,
    Logger,
    LogPublisher,
    globalLogPublisher,
)
from twisted.python import log as legacy
from twisted.python.failure import Failure

from sockd import events
from sockd.formats.text import escape
from sockd.net.listener import Door
from sockd.ops.logs import FORMATS, MAX_LINE, LogWriter, as_json, as_text
from tests.helpers import LogRecorder, make_context, make_host
from tests.memory import REACTOR
from tests.ops.samples import event_of

ACTS = re.compile(
    "[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff"
    "\ud800-\udfff\ue000-\uf8ff\U000e0000-\U000e00ff\U000f0000-\U0010ffff]"
)
"""What a terminal, a reader of lines or an eye would be fooled by."""
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z ")
HOSTILE = st.text() | st.text(
    st.sampled_from("\\\x00\t\r\n\x1b\x7f\x85\x9b\u061c\u200e\u2028\u202e")
)
FROM_THE_NETWORK = HOSTILE | st.text(st.characters(categories=["Cs"])) | st.binary()
FIELDS = {
    name: {field: spec for _, field, spec, _ in string.Formatter().parse(text) if field}
    for name, text in events.SENTENCES.items()
}
"""The fields of each event, with their format: what has one is a number."""


@contextmanager
def writing(form: Callable[[LogEvent], str], **how: Any) -> Iterator[io.StringIO]:
    """Whatever is logged, as the daemon writes it."""
    file = io.StringIO()
    writer = LogWriter(file, form, **how)
    globalLogPublisher.addObserver(writer)
    try:
        yield file
    finally:
        globalLogPublisher.removeObserver(writer)


def check_lines(text: str) -> None:
    """One line of an event, those of a traceback indented; nothing acts on a terminal."""
    assert text.endswith("\n")
    first, *below = text[:-1].split("\n")
    assert TIME.match(first)
    for line in (first, *below):
        assert not ACTS.search(line), line
    assert all(line.startswith("    ") for line in below)


def check_json(text: str) -> dict[str, Any]:
    """One line, one flat object."""
    assert text.endswith("\n")
    assert text.isascii()
    assert text[:-1].isprintable()
    row: dict[str, Any] = json.loads(text)
    for value in row.values():
        assert isinstance(value, (str, int, float))
        assert not ACTS.search(str(value))
    return row


# the forms


def test_a_text_line_has_the_time_the_level_and_the_sentence() -> None:
    with writing(as_text) as file:
        events.emit("opened", service="echo", peer="192.0.2.7 at port 7")
        events.warn("refused", service="echo", peer="192.0.2.8", rule="deny 192.0.2.0/24")
        events.emit(
            "closed", service="echo", peer="x", duration=1.25, bytes_in=3, bytes_out=4, why=""
        )
    lines = [TIME.sub("", line, count=1) for line in file.getvalue().splitlines()]
    assert lines == [
        "echo: connection from 192.0.2.7 at port 7",
        "warn: echo: 192.0.2.8 refused: deny 192.0.2.0/24",
        "echo: x closed after 1.250 s, 3 bytes in, 4 bytes out: ",
    ]
    assert as_text(event_of("noon")) == "2000-06-17T18:06:14.000Z noon\n"


def test_a_json_line_is_a_flat_object_and_its_numbers_are_numbers() -> None:
    with writing(as_json) as file:
        events.warn(
            "closed", service="echo", peer="x", duration=1.5, bytes_in=3, bytes_out=4, why="y"
        )
    row = check_json(file.getvalue())
    assert TIME.fullmatch(row.pop("time") + " ")
    assert row == {
        "level": "warn",
        "event": "closed",
        "message": "echo: x closed after 1.500 s, 3 bytes in, 4 bytes out: y",
        "service": "echo",
        "peer": "x",
        "duration": 1.5,
        "bytes_in": 3,
        "bytes_out": 4,
        "why": "y",
    }


def test_what_others_log_is_an_event_of_its_own_kind_in_json() -> None:
    row = check_json(as_json(event_of("a {thing}", thing="plugin")))
    assert (row["event"], row["message"]) == ("log", "a plugin")
    assert set(row) == {"time", "level", "event", "message"}


def test_no_field_hides_what_every_json_line_has() -> None:
    for name, fields in FIELDS.items():
        assert not set(fields) & {"time", "level", "event", "message", "traceback"}, name


def test_an_observer_of_the_old_kind_changes_no_json_line() -> None:
    plain, mixed = io.StringIO(), io.StringIO()
    seen: list[LogEvent] = []
    old = LegacyLogObserverWrapper(cast(Any, seen.append))
    before, behind = LogWriter(plain, as_json), LogWriter(mixed, as_json)
    Logger(observer=LogPublisher(before, old, behind)).warn("{why}", event="warning", why="reason")
    assert plain.getvalue() == mixed.getvalue()
    assert check_json(plain.getvalue())["message"] == "reason"
    assert seen[0]["message"] == ()


# hostile text


def test_no_character_of_unicode_reaches_a_line_unescaped() -> None:
    for start in range(0, sys.maxunicode + 1, 256):
        said = "".join(map(chr, range(start, start + 256)))
        event = event_of("{peer}: {why}", event="failed", peer="x", why=said)
        line, shown = as_text(event), escape(said)
        check_lines(line)
        assert line.endswith(f" x: {shown}\n")
        row = check_json(as_json(event))
        assert (row["why"], row["message"]) == (shown, f"x: {shown}")


@given(st.data())
def test_every_field_of_every_event_is_escaped(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(FIELDS)))
    values: dict[str, Any] = {
        field: data.draw(st.integers() | st.floats(-1e9, 1e9) if spec else FROM_THE_NETWORK)
        for field, spec in FIELDS[name].items()
    }
    event = event_of(events.SENTENCES[name], event=name, **values)
    check_lines(as_text(event))
    row = check_json(as_json(event))
    for field, value in values.items():
        assert row[field] == (escape(str(value)) if isinstance(value, (str, bytes)) else value)
    assert row["message"] in as_text(event)


@given(HOSTILE)
def test_a_fault_is_one_line_with_its_traceback_indented(said: str) -> None:
    def fault() -> None:
        raise ValueError(said)

    heard: list[LogEvent] = []
    try:
        fault()
    except ValueError:
        Logger(observer=cast(Any, heard.append)).failure("{peer}: fault", event="error", peer=said)
    [event] = heard
    text = as_text(event)
    check_lines(text)
    first, *below = text.splitlines()
    assert first.endswith(f" critical: {escape(said)}: fault")
    assert below[0] == "    Traceback (most recent call last):"
    assert any("ValueError" in line for line in below)
    row = check_json(as_json(event))
    assert row["peer"] == escape(said)
    assert "ValueError" in row["traceback"]


def test_a_fault_of_a_service_names_the_service_and_the_peer(log: LogRecorder) -> None:
    with writing(as_text) as file:
        try:
            raise KeyError("\x1b[2J")
        except KeyError:
            events.crash("echo", Peer("192.0.2.7", 7))
    log.flush_faults()
    check_lines(file.getvalue())
    assert "critical: echo: 192.0.2.7:7: error in the service\n" in file.getvalue()
    assert r"\x1b[2J" in file.getvalue()


@pytest.mark.parametrize("form", FORMATS.values(), ids=FORMATS)
def test_what_is_long_is_cut(form: Callable[[LogEvent], str]) -> None:
    text = form(event_of("{why}", event="warning", why="\x1b" * 1_000_000))
    assert len(text) < 4 * MAX_LINE
    assert "..." in text


@pytest.mark.parametrize("why", ["a try", "two\nlines\x1b"])
def test_an_error_that_is_logged_the_old_way_reads_as_any_other(why: str, log: LogRecorder) -> None:
    with writing(as_text) as text, writing(as_json) as rows:
        legacy.err(Failure(ValueError("bad \x9b value")), why)
        legacy.err(ValueError("bad value"))
        legacy.msg("a message\nof two lines\x1b")
    assert len(log.flush_faults()) == 2
    whole = text.getvalue()
    assert not ACTS.search(whole.replace("\n", ""))
    assert f" critical: {why.partition(chr(10))[0]}\n    Traceback" in whole
    assert r"bad \u009b value" in whole
    assert whole.count("    Traceback") == 2
    assert whole.endswith(" a message\\x0aof two lines\\x1b\n")
    found = [check_json(line) for line in rows.getvalue().splitlines(keepends=True)]
    assert [row["message"] for row in found] == [
        why.partition("\n")[0],
        "Unhandled Error",
        r"a message\x0aof two lines\x1b",
    ]
    assert "ValueError" in found[0]["traceback"]


@pytest.mark.parametrize("form", FORMATS.values(), ids=FORMATS)
def test_what_others_call_a_failure_need_not_be_an_exception(
    form: Callable[[LogEvent], str],
) -> None:
    assert "a disk" in form(event_of("{failure} failed", failure="a disk"))


# what is left out


@pytest.mark.parametrize("form", FORMATS.values(), ids=FORMATS)
def test_what_a_table_has_told_is_not_told_again(form: Callable[[LogEvent], str]) -> None:
    with writing(form, is_below_a_table=True) as below, writing(form) as alone:
        events.emit("listening", service="echo", address="tcp 127.0.0.1:7")
        events.emit("started", version="1", count="1 service", services=1, reactor="epoll")
        events.emit("stopped")
    assert len(below.getvalue().splitlines()) == 1
    assert len(alone.getvalue().splitlines()) == 3


@pytest_twisted.ensureDeferred
async def test_what_twisted_says_of_its_ports_and_of_its_cache_is_left_out(
    tmp_path: Path, log: LogRecorder
) -> None:
    context = make_context("echo", make_host(REACTOR))
    door: Any = Door(context, lambda *_: pytest.fail("nobody connects"))
    with writing(as_text) as file:
        ports = [
            REACTOR.listenTCP(0, door, interface="127.0.0.1"),
            REACTOR.listenUNIX(str(tmp_path / "port"), door),
        ]
        for port in ports:
            await port.stopListening()
        cache = "Unable to write to plugin cache %(path)s: error number %(errno)d"
        legacy.msg(format=cache, path="/usr/lib/dropin.cache", errno=errno.EACCES)
    assert file.getvalue() == ""
    told = "\n".join(log.lines())
    assert told.count("Door starting on ") == 2
    assert told.count("Closed)") == 2
    assert "plugin cache" in told


def test_our_own_events_are_never_left_out() -> None:
    with writing(as_text) as file:
        events.warn("warning", service="Door starting on ", why="(TCP Port 7 Closed)")
        events.warn("failed", service="EMFILE ", peer="EMFILE ", why="EMFILE ")
        events.warn("failed", service="EMFILE ", peer="EMFILE ", why="EMFILE ")
    assert len(file.getvalue().splitlines()) == 3
