"""Log lines: whatever the network says, a line stays a line and shows what was said."""

from __future__ import annotations

import errno
import io
import json
import re
import string
import sys
from collections.abc import Iterator
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
from sockd.access.entrance import Entrance
from sockd.access.guard import Suppressed
from sockd.access.peer import Peer
from sockd.access.reasons import because
from sockd.formats.text import escape
from sockd.net.entry import ConnectionFactory
from sockd.ops.log_lines import FORMATS, MAX_LINE, Format, as_json, as_text
from sockd.ops.logs import LogWriter
from tests.daemons import FORBIDDEN
from tests.helpers import ENTRANCE, LogRecorder, make_context, make_world
from tests.memory import REACTOR
from tests.ops.samples import JSON, LOCAL, PEER, TEXT, event_of

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
    name: {
        **dict.fromkeys(events.FIELDS[name], ""),
        **{field: spec for _, field, spec, _ in string.Formatter().parse(text) if field},
    }
    for name, text in events.SENTENCES.items()
}
"""The fields of each event, with their format: what has one is a number."""


@contextmanager
def writing(form: Format, **how: Any) -> Iterator[io.StringIO]:
    """Whatever is logged, as the daemon writes it."""
    file = io.StringIO()
    writer = LogWriter(file, form, **how)
    globalLogPublisher.addObserver(writer)
    try:
        yield file
    finally:
        globalLogPublisher.removeObserver(writer)


@contextmanager
def hearing(heard: list[LogEvent]) -> Iterator[None]:
    """Whatever is logged, as it is."""
    observer = cast(Any, heard.append)
    globalLogPublisher.addObserver(observer)
    try:
        yield
    finally:
        globalLogPublisher.removeObserver(observer)


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
    with writing(TEXT) as file:
        events.opened("echo", 1, LOCAL, PEER)
        reason = because("deny", prefix="192.0.2.0/24")
        who: dict[str, Any] = {"service": "echo", "peer": PEER, "reason": reason}
        events.warn("refused", **who, carrier="connection", suppressed=Suppressed(0))
        events.emit("refused", **who, carrier="datagram", suppressed=Suppressed(12))
        events.closed("echo", 1, LOCAL, PEER, 1.25, 3, 4, because("done"))
    lines = [TIME.sub("", line, count=1) for line in file.getvalue().splitlines()]
    assert lines == [
        "echo: connection from 192.0.2.7:50007",
        "warn: echo: connection from 192.0.2.7:50007 refused: deny 192.0.2.0/24",
        "echo: datagram from 192.0.2.7:50007 refused: deny 192.0.2.0/24 "
        "(and 12 more refused since the last report)",
        "echo: 192.0.2.7:50007 closed after 1.250 s, 3 bytes in, 4 bytes out: done",
    ]
    assert as_text(event_of("noon")) == "2000-06-17T18:06:14.000Z noon\n"


def test_a_json_line_is_a_flat_object_and_its_numbers_are_numbers() -> None:
    with writing(JSON) as file:
        proxied = PEER._replace(via=Peer("192.0.2.9", 80))
        events.closed("echo", 5, LOCAL, proxied, 1.5, 3, 4, because("max_line", limit=1024))
        reason = because("max_connections", limit=20)
        who = {"service": "echo", "peer": PEER, "carrier": "connection"}
        events.warn("refused", **who, reason=reason, suppressed=Suppressed(3))
    first, second = map(check_json, file.getvalue().splitlines(keepends=True))
    assert TIME.fullmatch(first.pop("time") + " ")
    assert first == {
        "level": "info",
        "event": "closed",
        "message": "echo: 192.0.2.7:50007 closed after 1.500 s, 3 bytes in, 4 bytes out: "
        "error: line longer than 1024 bytes",
        "service": "echo",
        "connection": 5,
        "transport": "tcp",
        "local_address": "192.0.2.1",
        "local_port": 7,
        "peer_address": "192.0.2.7",
        "peer_port": 50007,
        "via": "192.0.2.9:80",
        "duration": 1.5,
        "bytes_in": 3,
        "bytes_out": 4,
        "reason": "max_line",
        "limit": 1024,
    }
    assert (second["reason"], second["limit"], second["suppressed"]) == ("max_connections", 20, 3)


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
    before, behind = LogWriter(plain, JSON), LogWriter(mixed, JSON)
    logger = Logger(namespace="sockd", observer=LogPublisher(before, old, behind))
    logger.warn("{why}", event="warning", why="reason")
    assert plain.getvalue() == mixed.getvalue()
    assert check_json(plain.getvalue())["message"] == "reason"
    assert seen[0]["message"] == ()


# hostile text


def test_no_character_of_unicode_reaches_a_line_unescaped() -> None:
    for start in range(0, sys.maxunicode + 1, 256):
        said = "".join(map(chr, range(start, start + 256)))
        event = event_of("{peer}: {reason}", event="failed", peer="x", reason=said)
        line, shown = as_text(event), escape(said)
        check_lines(line)
        assert line.endswith(f" x: {shown}\n")
        row = check_json(as_json(event))
        assert (row["reason"], row["message"]) == (shown, f"x: {shown}")


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
        Logger("sockd", observer=cast(Any, heard.append)).failure(
            "{peer}: fault", event="error", peer=said
        )
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
    with writing(TEXT) as file:
        try:
            raise KeyError("\x1b[2J")
        except KeyError:
            events.crash("echo", PEER)
    log.flush_faults()
    check_lines(file.getvalue())
    assert "critical: echo: 192.0.2.7:50007: error in the service\n" in file.getvalue()
    assert r"\x1b[2J" in file.getvalue()


@pytest.mark.parametrize("form", FORMATS.values(), ids=FORMATS)
def test_what_is_long_is_cut(form: Format) -> None:
    text = form.line(event_of("{why}", event="warning", why="\x1b" * 1_000_000))
    assert len(text) < 4 * MAX_LINE
    assert "..." in text


@pytest.mark.parametrize("why", ["a try", "two\nlines\x1b"])
def test_an_error_that_is_logged_the_old_way_reads_as_any_other(why: str, log: LogRecorder) -> None:
    with writing(TEXT) as text, writing(JSON) as rows:
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
    form: Format,
) -> None:
    assert "a disk" in form.line(event_of("{failure} failed", failure="a disk"))


@given(
    st.sampled_from([LOCAL, Entrance("unix", path="/run/\x1b.sock"), Entrance("tcp", "::1", 7)]),
    st.sampled_from([PEER, Peer("", 0, 12, 34), Peer("::1", 7), PEER._replace(via=PEER)]),
    # hypothesis tries words of the sources, too: these would be taken for a fault that was logged
    st.text().filter(lambda text: not any(word in text for word in FORBIDDEN)),
    st.floats(0, 1e9),
)
def test_the_quick_lines_of_a_connection_are_what_the_others_would_be(
    local: Entrance, peer: Peer, said: str, duration: float
) -> None:
    """Which are those of the event that everybody else hears."""
    heard: list[LogEvent] = []
    reason = because("tls_error", detail=said)
    with hearing(heard):
        events.opened(said, 5, local, peer)
        events.closed(said, 5, local, peer, duration, 3, 4, reason)
    opened, closed = heard
    for form in FORMATS.values():
        quick = [
            form.opened(0.0, said, 5, local, peer),
            form.closed(0.0, said, 5, local, peer, duration, 3, 4, reason),
        ]
        for line, event in zip(quick, (opened, closed), strict=True):
            assert without_time(line) == without_time(form.line(event))


def without_time(line: str) -> object:
    """What a line says but the time, in either form."""
    if line.startswith("{"):
        return {**check_json(line), "time": None}
    check_lines(line)
    return TIME.sub("", line, count=1)


# what is left out


@pytest.mark.parametrize("form", FORMATS.values(), ids=FORMATS)
def test_what_a_table_has_told_is_not_told_again(form: Format) -> None:
    with writing(form, is_below_a_table=True) as below, writing(form) as alone:
        events.emit("listening", service="echo", local=LOCAL)
        events.emit("started", version="1", services=events.Services(1), reactor="epoll")
        events.emit("stopped")
    assert len(below.getvalue().splitlines()) == 1
    assert len(alone.getvalue().splitlines()) == 3


@pytest_twisted.ensureDeferred
async def test_what_twisted_says_of_its_ports_and_of_its_cache_is_left_out(
    tmp_path: Path, log: LogRecorder
) -> None:
    context = make_context("echo", make_world(REACTOR))
    door: Any = ConnectionFactory(context, lambda *_: pytest.fail("nobody connects"), ENTRANCE)
    with writing(TEXT) as file:
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
    assert told.count("ConnectionFactory starting on ") == 2
    assert told.count("Closed)") == 2
    assert "plugin cache" in told


def test_our_own_events_are_never_left_out() -> None:
    with writing(TEXT) as file:
        reason = "(UNIX Port x Closed)"
        events.warn("warning", service="ConnectionFactory starting on ", reason=reason)
        events.warn("failed", service="EMFILE ", peer="EMFILE ", reason="EMFILE ")
        events.warn("failed", service="EMFILE ", peer="EMFILE ", reason="EMFILE ")
    assert len(file.getvalue().splitlines()) == 3
