"""Lines in the journal: each with its priority, none with a time of its own."""

from __future__ import annotations

import io
import json
import os
import syslog
import tempfile

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.logger import LogLevel
from twisted.python.failure import Failure

from sockd.access.reasons import because
from sockd.ops.log_file import SyslogFile
from sockd.ops.log_journal import JOURNAL, is_journal
from sockd.ops.logs import LogWriter
from tests.ops.samples import LOCAL, PEER, event_of


def test_a_stream_is_the_journal_where_systemd_says_so() -> None:
    with tempfile.TemporaryFile() as file:
        found = os.fstat(file.fileno())
        place = f"{found.st_dev}:{found.st_ino}"
        assert is_journal(file.fileno(), {"JOURNAL_STREAM": place})
        assert not is_journal(file.fileno(), {"JOURNAL_STREAM": f"{place}1"})
        assert not is_journal(file.fileno(), {})
    assert not is_journal(-1, {"JOURNAL_STREAM": place})


@pytest.mark.parametrize(
    ("level", "line"),
    [
        (LogLevel.debug, "<7>debug: a line"),
        (LogLevel.info, "<6>a line"),
        (LogLevel.warn, "<4>warn: a line"),
        (LogLevel.error, "<3>error: a line"),
        (LogLevel.critical, "<2>critical: a line"),
    ],
    ids=str,
)
def test_a_line_of_text_has_its_priority_in_place_of_a_time(level: LogLevel, line: str) -> None:
    file = io.StringIO()
    LogWriter(file, JOURNAL["text"])({**event_of("a line"), "log_level": level})
    assert file.getvalue() == f"{line}\n"


def test_every_line_of_a_traceback_has_it() -> None:
    file = io.StringIO()
    failure = Failure(ValueError("a\nfault"))
    event = {**event_of("oh"), "log_level": LogLevel.critical, "log_failure": failure}
    LogWriter(file, JOURNAL["text"])(event)
    lines = file.getvalue().splitlines()
    assert len(lines) > 2
    assert all(line.startswith("<2>") for line in lines)


@pytest.mark.parametrize("between", [False, True])
def test_lines_of_connections_have_it(between: bool) -> None:
    file = io.StringIO()
    writer = LogWriter(file, JOURNAL["text"])
    writer.opened("echo", 1, LOCAL, PEER)
    if between:
        writer(event_of("between"))
    writer.closed("echo", 1, LOCAL, PEER, 0.5, 1, 2, because("done"))
    writer.flush()
    lines = file.getvalue().splitlines()
    assert lines[0] == "<6>echo: connection from 192.0.2.7:50007"
    assert lines[-1].startswith("<6>echo: 192.0.2.7:50007 closed after 0.500 s")


@given(st.text())
def test_no_text_from_the_network_is_a_priority(text: str) -> None:
    file = io.StringIO()
    writer = LogWriter(file, JOURNAL["text"])
    writer(event_of("{text}", text=text))
    writer(event_of("{text}", text=f"<0>{text}"))
    writer(event_of("{text}", text=f"2000-06-17T18:06:14.000Z <0>{text}"))
    lines = file.getvalue().splitlines()
    assert len(lines) == 3
    assert all(line.startswith("<6>") for line in lines)


def test_an_object_has_a_priority_in_front_where_somebody_should_look() -> None:
    file = io.StringIO()
    writer = LogWriter(file, JOURNAL["json"])
    writer(event_of("one"))
    writer({**event_of("two"), "log_level": LogLevel.warn})
    writer.opened("echo", 1, LOCAL, PEER)
    writer.flush()
    first, second, third = file.getvalue().splitlines()
    assert second[:3] == "<4>"
    assert [json.loads(one)["level"] for one in (first, second[3:], third)] == [
        "info",
        "warn",
        "info",
    ]


def test_the_systems_log_gets_each_line_by_its_priority(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[int | str, ...]] = []
    monkeypatch.setattr(syslog, "openlog", lambda *_: None)
    monkeypatch.setattr(syslog, "syslog", lambda *args: told.append(args))
    writer = LogWriter(SyslogFile("sockd"), JOURNAL["text"])
    writer(event_of("<0>one"))
    writer({**event_of("two"), "log_level": LogLevel.warn})
    assert told == [(6, "<0>one"), (4, "warn: two")]
