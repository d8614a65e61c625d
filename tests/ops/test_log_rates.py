"""How much is logged: of one kind, and in all; what is more is counted and told."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.logger import LogLevel
from twisted.python.failure import Failure

from sockd import events
from sockd.access.reasons import because
from sockd.ops.log_rates import BURST_SECONDS, KINDS_KEPT, KINDS_TOLD, TRACEBACK_LINES, Rates
from sockd.ops.logs import FLUSH_SECONDS, SUPPRESSED_SECONDS, LogWriter
from sockd.options.units import Rate
from tests.ops.samples import JSON, LOCAL, PEER, event_of
from tests.ops.test_log_writer import Host

OFF = Rate.parse("off")
AT_ONCE = int(BURST_SECONDS)
"""Lines that may come at once at a rate of one a second."""


class Log:
    """A log of one line a second, or as it is told, on a clock that the test moves."""

    def __init__(self, of_kind: Rate, in_all: Rate = OFF) -> None:
        self.file, self.host = io.StringIO(), Host()
        rates = Rates(of_kind, in_all)
        self.writer = LogWriter(self.file, JSON, rates=rates, clock=self.host.seconds)
        self.writer.collect(self.host)

    def connect(self, service: str, times: int) -> None:
        """So many connections come and go."""
        for number in range(times):
            self.writer.opened(service, number, LOCAL, PEER)
            self.writer.closed(service, number, LOCAL, PEER, 0.5, 1, 2, because("done"))

    def say(self, event: str, service: str = "echo", **fields: Any) -> None:
        """An event."""
        level = fields.pop("level", LogLevel.info)
        sentence = events.SENTENCES[event]
        self.writer(event_of(sentence, event=event, service=service, log_level=level, **fields))

    def lines(self) -> list[dict[str, Any]]:
        """What is written by now."""
        self.host.advance(FLUSH_SECONDS)
        return [json.loads(line) for line in self.file.getvalue().splitlines()]

    def counted(self) -> Counter[tuple[str, str]]:
        """How many lines there are, by service and event."""
        return Counter((line["service"], line["event"]) for line in self.lines())

    def of_connections(self) -> int:
        """How many lines of connections are written by now."""
        return sum(line["event"] in ("opened", "closed") for line in self.lines())


@pytest.fixture
def log() -> Iterator[Log]:
    """A log of one line of a kind in a second."""
    made = Log(Rate(1, 1))
    yield made
    for end in made.host.ends:
        end()


def test_what_one_service_has_too_much_of_is_left_out_and_told(log: Log) -> None:
    log.connect("echo", 100)
    log.connect("said", 2)
    assert log.counted() == {
        ("echo", "opened"): 5,
        ("echo", "closed"): 5,
        ("said", "opened"): 2,
        ("said", "closed"): 2,
    }
    log.host.advance(SUPPRESSED_SECONDS)
    told = log.lines()[-1]
    assert (told["event"], told["level"]) == ("log-suppressed", "warn")
    assert (told["service"], told["kind"], told["lines"]) == ("echo", "connections", 190)
    assert told["message"] == (
        "echo: too many lines a second (log_rate): 190 lines of connections left out"
    )
    assert log.writer.lines_suppressed == 190


def test_it_is_told_once_a_second_and_not_without_a_reason(log: Log) -> None:
    for _ in range(3):
        log.connect("echo", 50)
        log.lines()
    log.host.advance(SUPPRESSED_SECONDS)
    log.host.advance(10 * SUPPRESSED_SECONDS)
    assert sum(line["event"] == "log-suppressed" for line in log.lines()) == 1
    log.connect("echo", 5)
    log.host.advance(SUPPRESSED_SECONDS)
    assert sum(line["event"] == "log-suppressed" for line in log.lines()) == 1


def test_what_waits_to_be_told_is_told_at_the_end(log: Log) -> None:
    log.connect("echo", 50)
    log.host.ends.pop()()
    assert [line["event"] for line in log.lines()][-1] == "log-suppressed"


def test_lines_of_a_connection_are_of_one_kind_whichever_way_they_come(log: Log) -> None:
    for number in range(AT_ONCE):
        log.say("opened", connection=number, local=LOCAL, peer=PEER)
    log.connect("echo", 1)
    assert log.counted() == {("echo", "opened"): AT_ONCE}


def test_each_event_has_its_own(log: Log) -> None:
    log.connect("echo", 50)
    log.say("child-reaped", pid=7, peer=PEER, status="exit 0")
    assert log.counted()["echo", "child-reaped"] == 1


@pytest.mark.parametrize("rate", [1, 10, 150])
@pytest.mark.parametrize("is_of_kind", [True, False])
def test_under_a_flood_as_many_lines_are_written_as_may_be(rate: int, is_of_kind: bool) -> None:
    """Though each flush has room for a part of a line, or for one of the two of a connection."""
    log = Log(Rate(rate, 1), OFF) if is_of_kind else Log(OFF, Rate(rate, 1))
    log.connect("echo", AT_ONCE * rate)
    log.lines()
    before, seconds = log.of_connections(), 5
    for _ in range(round(seconds / FLUSH_SECONDS)):
        log.connect("echo", 5)
        log.host.advance(FLUSH_SECONDS)
    assert abs(log.of_connections() - before - rate * seconds) <= 2


def test_a_traceback_counts_as_many_lines() -> None:
    log = Log(Rate(2 * TRACEBACK_LINES / AT_ONCE, 1))
    failure = Failure(ValueError("a fault"))
    for _ in range(9):
        log.say("error", peer=PEER, log_failure=failure, level=LogLevel.critical)
    assert log.counted() == {("echo", "error"): 2}
    assert log.writer.lines_suppressed == 7 * TRACEBACK_LINES


def test_a_traceback_that_is_longer_than_all_that_may_be_is_written_alone(log: Log) -> None:
    failure = Failure(ValueError("a fault"))
    assert TRACEBACK_LINES > AT_ONCE
    for _ in range(3):
        log.say("error", peer=PEER, log_failure=failure, level=LogLevel.critical)
    assert log.counted() == {("echo", "error"): 1}


def test_what_others_log_is_bounded_too(log: Log) -> None:
    for _ in range(50):
        log.writer(event_of("a line"))
    assert len(log.lines()) == AT_ONCE
    log.host.advance(SUPPRESSED_SECONDS)
    assert (log.lines()[-1]["kind"], log.lines()[-1]["service"]) == ("log", "other")


def test_the_whole_log_is_bounded_and_warnings_by_themselves() -> None:
    log = Log(OFF, Rate(1, 1))
    log.connect("echo", 50)
    log.connect("said", 50)
    for number in range(50):
        log.say("warning", f"service{number}", reason=because("no_worker", detail="x"))
        log.say("warning", f"s{number}", reason=because("runaways", detail=""), level=LogLevel.warn)
    levels = Counter(line["level"] for line in log.lines())
    assert levels["warn"] == AT_ONCE
    assert AT_ONCE - 1 <= levels["info"] <= AT_ONCE


def test_the_report_is_bounded_however_many_kinds_there_are(log: Log) -> None:
    for number in range(3 * KINDS_TOLD):
        log.connect(f"service{number}", 10)
    log.host.advance(SUPPRESSED_SECONDS)
    told = [line for line in log.lines() if line["event"] == "log-suppressed"]
    assert len(told) == KINDS_TOLD + 1
    assert (told[-1]["kind"], told[-1]["lines"]) == ("others", 2 * KINDS_TOLD * 10)


def test_of_a_kind_nothing_is_taken_that_the_whole_has_no_room_for() -> None:
    rates = Rates(Rate(10, 1), Rate(1, 1))
    assert rates.take_connections({"echo": 10 * AT_ONCE}, 0.0) == {"echo": AT_ONCE}
    assert rates.take("opened", "echo", 0.0, 9 * AT_ONCE, is_info=False)
    assert not rates.take("opened", "echo", 0.0, 1, is_info=False)


def test_so_many_kinds_are_remembered_and_no_more() -> None:
    rates = Rates(Rate(1, 1))
    for number in range(KINDS_KEPT + 1):
        assert rates.take("error", f"service{number}", 0.0, 1, is_info=True)
    assert not rates.take("error", "service1", 0.0, AT_ONCE, is_info=True)
    assert rates.take("error", "service0", 0.0, AT_ONCE, is_info=True), "it is forgotten"


def test_where_all_is_off_every_line_is_written() -> None:
    log = Log(OFF)
    log.connect("echo", 5000)
    assert len(log.lines()) == 10_000


def test_a_level_leaves_out_what_is_below_it(log: Log) -> None:
    log.writer.level = LogLevel.warn
    log.connect("echo", 1)
    log.say("stopped")
    log.say("warning", reason=because("no_worker", detail="x"), level=LogLevel.warn)
    assert log.counted() == {("echo", "warning"): 1}
    log.writer.level = LogLevel.info
    log.connect("echo", 1)
    assert len(log.lines()) == 3


@given(st.lists(st.tuples(st.sampled_from(["a", "b"]), st.integers(0, 30), st.floats(0, 5))))
def test_no_more_is_written_than_the_rates_and_nothing_is_lost_uncounted(
    bursts: list[tuple[str, int, float]],
) -> None:
    log = Log(Rate(2, 1), Rate(3, 1))
    for service, times, pause in bursts:
        log.connect(service, times)
        log.writer.flush()
        log.host.advance(pause)
    passed = log.host.seconds()
    for end in log.host.ends:
        end()
    found = Counter(
        line["service"] for line in log.lines() if line["event"] in ("opened", "closed")
    )
    told = sum(line["lines"] for line in log.lines() if line["event"] == "log-suppressed")
    assert found.total() + told == 2 * sum(times for _, times, _ in bursts)
    assert told == log.writer.lines_suppressed
    assert all(count <= 2 * (AT_ONCE + passed) + 1 for count in found.values())
    assert found.total() <= 3 * (AT_ONCE + passed) + 1
