"""When lines are written: together while a reactor runs, and none is lost at its end."""

from __future__ import annotations

import io
import re
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from attrs import Factory, define
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.logger import LogLevel, LogPublisher

from sockd import events
from sockd.access.peer import Peer
from sockd.access.reasons import Reason, because
from sockd.ops.log_lines import Format, Waiting
from sockd.ops.logs import FLUSH_SECONDS, LINES_COLLECTED, LogWriter
from tests.helpers import LogRecorder
from tests.memory import NOON
from tests.ops.samples import JSON, LOCAL, PEER, TEXT, event_of


@define(eq=False)
class Host(Clock):
    """What a writer needs of a reactor, which runs from the start."""

    ends: list[Callable[[], None]] = Factory(list)
    handed_over: list[tuple[Any, ...]] = Factory(list)

    def __attrs_post_init__(self) -> None:
        super().__init__()

    def callWhenRunning(self, call: Callable[..., None], *args: Any) -> None:
        """It runs."""
        call(*args)

    def addSystemEventTrigger(self, when: str, what: str, call: Callable[[], None]) -> None:
        """Remember what is to be done at the end."""
        assert (when, what) == ("after", "shutdown")
        self.ends.append(call)

    def callFromThread(self, *call: Any) -> None:
        """Remember what a thread hands over."""
        self.handed_over.append(call)


@pytest.fixture
def host() -> Iterator[Host]:
    """A reactor that ends with the test."""
    made = Host()
    yield made
    for end in made.ends:
        end()


@pytest.fixture
def file() -> io.StringIO:
    """What is written."""
    return io.StringIO()


@pytest.fixture
def writer(file: io.StringIO, host: Host) -> LogWriter:
    """A writer that collects."""
    made = LogWriter(file, TEXT)
    made.collect(host)
    return made


def test_until_a_reactor_runs_each_line_is_written_at_once(file: io.StringIO) -> None:
    LogWriter(file, TEXT)(event_of("a line"))
    assert file.getvalue().endswith(" a line\n")


def test_lines_wait_for_each_other_for_a_moment(
    writer: LogWriter, file: io.StringIO, host: Host
) -> None:
    writer(event_of("one"))
    writer.opened("echo", 1, LOCAL, PEER)
    assert file.getvalue() == ""
    assert len(host.getDelayedCalls()) == 1
    host.advance(FLUSH_SECONDS)
    assert len(file.getvalue().splitlines()) == 2
    assert host.getDelayedCalls() == []


def test_what_somebody_should_look_at_is_written_at_once_and_in_its_place(
    writer: LogWriter, file: io.StringIO
) -> None:
    writer(event_of("one"))
    writer({**event_of("two"), "log_level": LogLevel.warn})
    writer(event_of("three"))
    assert [line.split()[-1] for line in file.getvalue().splitlines()] == ["one", "two"]


def test_no_more_than_some_lines_wait(writer: LogWriter, file: io.StringIO) -> None:
    for _ in range(LINES_COLLECTED):
        writer(event_of("a line"))
    assert len(file.getvalue().splitlines()) == LINES_COLLECTED


def test_nothing_is_lost_at_the_end_and_what_comes_after_is_written_at_once(
    writer: LogWriter, file: io.StringIO, host: Host
) -> None:
    writer(event_of("one"))
    host.ends.pop()()
    assert len(file.getvalue().splitlines()) == 1
    writer(event_of("two"))
    assert len(file.getvalue().splitlines()) == 2


def test_what_a_thread_logs_is_written_by_the_reactor(writer: LogWriter, host: Host) -> None:
    event = event_of("from afar")
    thread = threading.Thread(target=writer, args=[event])
    thread.start()
    thread.join()
    assert host.handed_over == [(writer, event)]


def test_a_connection_is_told_to_the_log_alone_only_while_nobody_else_hears(
    writer: LogWriter, file: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = LogRecorder()
    publisher = LogPublisher(writer)
    monkeypatch.setattr(events, "globalLogPublisher", publisher)
    monkeypatch.setattr(events, "_observers", publisher._observers)
    monkeypatch.setattr(events, "emit", lambda *_, **__: pytest.fail("it takes the long way"))
    events.opened("echo", 1, LOCAL, PEER)
    events.closed("echo", 1, LOCAL, PEER, 0.5, 1, 2, because("done"))
    monkeypatch.undo()
    monkeypatch.setattr(events, "globalLogPublisher", publisher)
    monkeypatch.setattr(events, "_observers", publisher._observers)
    publisher.addObserver(others)
    events.opened("echo", 1, LOCAL, PEER)
    events.closed("echo", 1, LOCAL, PEER, 0.5, 1, 2, because("done"))
    writer.flush()
    lines = [line.partition(" ")[2] for line in file.getvalue().splitlines()]
    assert len(lines) == 4
    assert lines[:2] == lines[2:]
    assert [one["event"] for one in others.logged] == ["opened", "closed"]


@pytest.mark.parametrize("form", [TEXT, JSON], ids=["text", "json"])
@pytest.mark.parametrize(
    "reason",
    [
        because("done"),
        because("tls_error", detail="\x1b[2J\\ \u202e"),
        because("rejected", detail="x" * 9000),
    ],
)
def test_the_lines_of_a_short_connection_are_those_of_any(form: Format, reason: Reason) -> None:
    """Whether they are made at once, because nothing was said between, or one by one."""
    written = []
    for between in (False, True):
        file, host = io.StringIO(), Host()
        writer = LogWriter(file, form)
        writer.collect(host)
        writer.opened("echo", 1, LOCAL, PEER)
        if between:
            writer(event_of("between"))
        writer.closed("echo", 1, LOCAL, PEER, 0.5, 1, 2, reason)
        for end in host.ends:
            end()
        lines = [line for line in file.getvalue().splitlines() if "between" not in line]
        written.append([re.sub(r"\d{4}-\S+Z", "", line) for line in lines])
    assert len(written[0]) == 2
    assert written[0] == written[1]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["echo", "a\\b", "\x1b", "x" * 5000]),
            st.sampled_from(
                [PEER, Peer("::1", 7), Peer("", 0, 12, 34), Peer("", 0), PEER._replace(via=PEER)]
            ),
            st.floats(0, 1e9),
            st.sampled_from([because("done"), because("tls_error", detail="\x9b")]),
        )
    )
)
def test_lines_of_many_connections_are_those_of_each(
    connections: list[tuple[str, Peer, float, Reason]],
) -> None:
    for form in (TEXT, JSON):
        waiting: list[Waiting] = []
        alone = []
        for number, (service, peer, duration, reason) in enumerate(connections):
            opening = (NOON + number / 7, service, number, LOCAL, peer)
            waiting.append((form.both, (opening, duration, 1, 2, reason)))
            ending = (opening[0] + duration, *opening[1:], duration, 1, 2, reason)
            alone += [form.opened(*opening), form.closed(*ending)]
        assert "".join(form.many(waiting)) == "".join(alone)


def test_two_connections_that_cross_have_each_line_at_its_time(
    writer: LogWriter, file: io.StringIO
) -> None:
    writer.opened("echo", 1, LOCAL, PEER)
    writer.opened("echo", 2, LOCAL, PEER)
    writer.closed("echo", 1, LOCAL, PEER, 0.5, 1, 2, because("done"))
    writer.closed("echo", 2, LOCAL, PEER, 0.5, 1, 2, because("done"))
    writer.flush()
    assert [("closed" in line) for line in file.getvalue().splitlines()] == [
        False,
        False,
        True,
        True,
    ]
