"""The line that is redrawn while a run goes on."""

from __future__ import annotations

import io

from attrs import evolve

from sockd.client.asking import Asking
from sockd.client.outputs.human import Human
from sockd.client.report import Counts, Interval, Outcome
from tests.client.outputs.runs import error, probe, start, summary
from tests.client.outputs.told import FakeTerminal, Told, answer


def seconds_of(told: Told, events: int) -> Interval:
    counts = Counts(sent=events, in_flight=events)
    return Interval(target="localhost", from_ns=0, to_ns=1, counts=counts)


def test_the_live_line_is_drawn_at_most_four_times_a_second() -> None:
    told = Told(command="echo", interval=0.001, err_is_terminal=True)
    for millisecond in range(2_000):
        told.now_ns = millisecond * 1_000_000
        told(seconds_of(told, 1))
    assert told.err.count(" sent, ") == 8


def test_the_live_line_is_made_of_intervals() -> None:
    told = Told(command="echo", interval=0.001, err_is_terminal=True)
    told(seconds_of(told, 10))
    told.now_ns = 1_000_000_000
    told(seconds_of(told, 10))
    assert "\r\x1b[Klocalhost: 1 s, 20 sent" in told.err


def test_the_live_line_is_erased_before_another_is_written_and_at_the_end() -> None:
    told = Told(command="echo", interval=0.001, err_is_terminal=True)
    told(seconds_of(told, 10), error())
    assert told.err.endswith("\r\x1b[Ksock: refused\n")
    told.now_ns = 10**9
    told(seconds_of(told, 10), summary())
    assert "\r\x1b[Kecho localhost" in told.err


def test_the_live_line_is_no_wider_than_the_terminal() -> None:
    hosts = tuple(f"{'long' * 30}{number}" for number in range(2))
    told = Told(hosts=hosts, err_is_terminal=True)
    told(probe(target=hosts[0]))
    told.now_ns = 10**9
    told(seconds_of(told, 1_000_000))
    assert all(len(line) < 80 for line in told.err.split("\r\x1b[K"))


def test_of_several_hosts_it_tells_how_many_have_answered() -> None:
    told = Told(hosts=("one", "two", "three"), err_is_terminal=True)
    told(probe(target="one"), probe(target="one"))
    told.now_ns = 10**9
    told(error("two"))
    assert told.err.endswith("\r\x1b[K1 of 3 hosts have answered, 1 failed")


def test_a_question_that_fails_does_not_end_the_live_line() -> None:
    told = Told(interval=1.0, err_is_terminal=True)
    told(probe(Outcome.LOST))
    told.now_ns = 10**9
    told(seconds_of(told, 10))
    assert "no answer\n" in told.err
    assert "\r\x1b[Klocalhost: 1 s, 10 sent" in told.err


def test_who_is_counted_as_answering_has_answered() -> None:
    told = Told(command="echo", interval=0.001, hosts=("one", "two"), err_is_terminal=True)
    told.now_ns = 10**9
    told(Interval(target="one", from_ns=0, to_ns=10**9, counts=Counts(sent=9, received=9)))
    assert told.err.endswith(
        "\r\x1b[K1 of 2 hosts have answered: 1 s, 9 sent, 9 received, 0 % loss"
    )


def test_where_no_host_answers_none_is_counted_as_answering() -> None:
    told = Told(command="discard", hosts=("one", "two"), err_is_terminal=True)
    told.now_ns = 10**9
    told(Interval(target="one", from_ns=0, to_ns=10**9, counts=Counts(sent=9, bytes_sent=9000)))
    assert told.err.endswith("\r\x1b[K2 hosts: 1 s, 9 sent, 9.00 datagrams/s, 72.0 kbit/s")


def test_there_is_no_live_line_where_a_line_of_an_answer_stands_open() -> None:
    told = Told(command="daytime", count=9, out_is_terminal=True, err_is_terminal=True)
    told(answer(b"open"), seconds_of(told, 10))
    assert told.err == ""


def test_there_is_no_live_line_in_a_pipe_or_on_a_dumb_terminal() -> None:
    told = Told(command="echo", interval=0.001)
    told(seconds_of(told, 10))
    assert told.err == ""
    dumb = FakeTerminal()
    human = Human("echo", Asking(interval=0.001), True, io.BytesIO(), dumb, True, {"TERM": "dumb"})
    human(start())
    human(seconds_of(told, 10))
    assert dumb.getvalue() == ""


def test_where_each_probe_is_told_there_is_no_live_line() -> None:
    told = Told(command="echo", err_is_terminal=True)
    told(probe())
    told.now_ns = 10**9
    told(seconds_of(told, 10))
    assert told.lines == ["64 bytes from 127.0.0.1: seq=3 time=0.123 ms (kernel)"]


def test_of_a_flow_it_tells_how_much_and_how_fast() -> None:
    told = Told(command="chargen", err_is_terminal=True)
    told.now_ns = 2 * 10**9
    counts = Counts(bytes_received=10**9)
    told(Interval(target="localhost", from_ns=0, to_ns=2 * 10**9, counts=counts))
    assert told.err == "\r\x1b[Klocalhost: 2 s, 1.00 GB, 4.00 Gbit/s"


def test_of_datagrams_that_flow_it_tells_how_many_and_how_fast() -> None:
    asked = Counts(sent=2000, received=1999, lost=1, bytes_sent=2 * 10**6, bytes_received=10**6)
    sent = Counts(sent=2000, bytes_sent=2 * 10**6)
    for command, counts, line in (
        ("chargen", asked, "2000 sent, 1000 datagrams/s, 4.00 Mbit/s, 0.05 % loss"),
        ("discard", sent, "2000 sent, 1000 datagrams/s, 8.00 Mbit/s"),
        ("send", sent, "2000 sent, 1000 datagrams/s, 8.00 Mbit/s"),
        (
            "send",
            evolve(sent, undelivered=9),
            "2000 sent, 1000 datagrams/s, 8.00 Mbit/s, 9 undelivered",
        ),
    ):
        told = Told(command=command, err_is_terminal=True)
        told.now_ns = 2 * 10**9
        told(Interval(target="localhost", from_ns=0, to_ns=2 * 10**9, counts=counts))
        assert told.err == f"\r\x1b[Klocalhost: 2 s, {line}"
