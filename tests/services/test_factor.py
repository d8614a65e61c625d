"""Factoring: the arithmetic, and the worker process that large numbers wait for."""

from __future__ import annotations

import errno
import math
import os
import re
import signal
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from flint import fmpz
from hypothesis import given
from hypothesis import strategies as st

from sockd.formats.factors import SMALL, factors, parse_number
from sockd.net import program
from sockd.net.datagram import MAX_OWED
from tests.helpers import LogRecorder, make_context, open_port, until
from tests.services.factoring import BUSY, HARD_LINE, LARGE, LATE, OTHER_LARGE, Place

# arithmetic


def check(number: int) -> None:
    primes = [int(word) for word in factors(number).split(b" ")]
    assert math.prod(primes) == number
    assert primes == sorted(primes)
    assert all(fmpz(prime).is_prime() for prime in primes)


@given(st.integers(2, SMALL - 1))
def test_the_factors_are_ascending_primes_whose_product_is_the_number(number: int) -> None:
    check(number)


@given(st.lists(st.integers(2, 100_000), min_size=1, max_size=8).map(math.prod))
def test_a_larger_number_of_small_factors_is_factored_too(number: int) -> None:
    check(number)


@pytest.mark.parametrize(
    ("number", "answer"),
    [
        (2, b"2"),
        (42, b"2 3 7"),
        (360, b"2 2 2 3 3 5"),
        (97, b"97"),
        (2**63, b" ".join([b"2"] * 63)),
        (SMALL - 1, b"3 5 17 257 641 65537 6700417"),
        (SMALL - 59, b"18446744073709551557"),
        (4294967291 * 4294967279, b"4294967279 4294967291"),
    ],
)
def test_a_prime_comes_as_often_as_it_divides(number: int, answer: bytes) -> None:
    assert factors(number) == answer


# lines


@pytest.mark.parametrize(
    ("line", "number"),
    [
        (b"42", 42),
        (b" \t42\r ", 42),
        (b"+42", 42),
        (b"0042", 42),
        (b"0" * 5000 + b"7", 7),
        (b"9" * 40, 10**40 - 1),
    ],
)
def test_a_line_holds_an_integer(line: bytes, number: int) -> None:
    assert parse_number(line, 40) == number


@pytest.mark.parametrize(
    ("line", "why"),
    [
        *(
            (line, "not an integer")
            for line in (b"", b" ", b"one", b"4 2", b"4.2", b"1e3", b"0x1f")
        ),
        *((line, "not an integer") for line in (b"1_000", b"+", b"-", b"--4", b"\xff", b"4\0")),
        ("٤٢".encode(), "not an integer"),
        *((line, "below 2") for line in (b"0", b"1", b"-7", b"-0", b"00", b"-" + b"9" * 99)),
        (b"1" + b"0" * 40, "too long: more than 40 digits"),
    ],
)
def test_what_is_no_integer_of_2_or_more_is_told_why(line: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=f"^{why}$"):
        parse_number(line, 40)


@given(st.one_of(st.binary(max_size=60), st.from_regex(rb"\s*[+-]?[0-9]*\s*", fullmatch=True)))
def test_any_line_is_a_number_or_one_of_three_mistakes(line: bytes) -> None:
    text = line.strip()
    if not re.fullmatch(rb"[+-]?[0-9]+", text):
        why = "not an integer"
    elif text.startswith(b"-") or int(text) < 2:
        why = "below 2"
    elif int(text) >= 10**40:
        why = "too long: more than 40 digits"
    else:
        assert parse_number(line, 40) == int(text)
        return
    with pytest.raises(ValueError, match=f"^{why}$"):
        parse_number(line, 40)


# the worker: a real process, on a loop whose time the test moves


@pytest_twisted.ensureDeferred
async def test_a_number_that_takes_too_long_is_given_up_and_its_worker_ended(
    log: LogRecorder,
) -> None:
    place = Place()
    client = place.client(HARD_LINE)
    worker = place.worker
    place.loop.advance(4.9)
    assert client.received == b""
    place.loop.advance(0.1)
    assert client.received == LATE
    await until(lambda: log.events("child-reaped"))
    [reaped] = log.events("child-reaped")
    assert (reaped["pid"], reaped["status"]) == (worker, "signal SIGKILL")
    client.send(LARGE[0])
    await place.receive(client, LATE + LARGE[1])
    assert place.worker != worker


@pytest_twisted.ensureDeferred
async def test_each_number_has_the_whole_time_to_itself() -> None:
    place = Place(deadline="2s")
    first, second = place.client(HARD_LINE), place.client(HARD_LINE)
    place.loop.advance(2)
    assert (first.received, second.received) == (b"error: not done within 2s\r\n", b"")
    place.loop.advance(1.9)
    assert second.received == b""
    place.loop.advance(0.1)
    assert second.received == b"error: not done within 2s\r\n"


@pytest_twisted.ensureDeferred
async def test_sixteen_numbers_wait_and_the_next_is_told_that_it_is_busy() -> None:
    place = Place()
    working, *waiting = (place.client(HARD_LINE) for _ in range(17))
    late = place.client(HARD_LINE, b"42\n")
    assert late.received == BUSY + b"2 3 7\r\n"
    assert not any(client.received for client in (working, *waiting))
    # a place is free again when one of them leaves
    waiting[7].vanish()
    late.send(LARGE[0])
    for client in (working, *waiting):
        client.vanish()
    await place.receive(late, BUSY + b"2 3 7\r\n" + LARGE[1])


def test_small_numbers_do_not_wait_for_large_ones() -> None:
    place = Place()
    place.client(HARD_LINE)
    assert place.client(b"%d\n" % (SMALL - 1)).received == factors(SMALL - 1) + b"\r\n"


@pytest_twisted.ensureDeferred
async def test_when_a_client_leaves_its_work_ends_and_the_next_number_is_worked_on(
    log: LogRecorder,
) -> None:
    place = Place()
    leaves, stays = place.client(HARD_LINE), place.client(LARGE[0])
    worker = place.worker
    leaves.vanish()
    await place.receive(stays, LARGE[1])
    await until(lambda: log.events("child-reaped"))
    assert [event["pid"] for event in log.events("child-reaped")] == [worker]


@pytest_twisted.ensureDeferred
async def test_answers_of_a_connection_come_in_the_order_of_its_lines() -> None:
    place = Place()
    lines = [b"6\n", LARGE[0], b"no\n", b"7\n", OTHER_LARGE[0], OTHER_LARGE[0], b"1\r\n", b"8"]
    client, other = place.client(b"".join(lines)), place.client(*lines)
    client.end()
    other.end()
    large, other_large = LARGE[1], OTHER_LARGE[1]
    answers = [b"2 3\r\n", large, b"error: not an integer\r\n", b"7\r\n", other_large, other_large]
    answers += [b"error: below 2\r\n", b"2 2 2\r\n"]
    await place.come_to(lambda: client.is_closed and other.is_closed)
    assert client.received == other.received == b"".join(answers)


@pytest_twisted.ensureDeferred
async def test_a_worker_that_dies_at_work_is_an_error_and_the_next_number_is_worked_on() -> None:
    place = Place()
    client, other = place.client(HARD_LINE), place.client(LARGE[0])
    await place.come_to(lambda: place.is_ready)
    os.kill(place.worker, signal.SIGKILL)
    await place.receive(client, b"error: the worker ended (signal SIGKILL)\r\n")
    await place.receive(other, LARGE[1])


@pytest_twisted.ensureDeferred
async def test_a_worker_that_dies_at_rest_is_replaced() -> None:
    place = Place()
    client = place.client(LARGE[0])
    await place.receive(client, LARGE[1])
    os.kill(place.worker, signal.SIGKILL)
    await place.come_to(lambda: place.factoring._worker is None)
    client.send(OTHER_LARGE[0])
    await place.receive(client, LARGE[1] + OTHER_LARGE[1])


def test_where_no_process_can_be_had_large_numbers_are_told_that_it_is_busy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    place = Place()

    def no_process(*_: Any, **__: Any) -> Any:
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "posix_spawnp", no_process)
    assert place.client(LARGE[0] + b"42\n").received == BUSY + b"2 3 7\r\n"


def test_a_host_that_can_run_no_worker_is_told_at_start_and_answers_small_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: LogRecorder
) -> None:
    monkeypatch.setattr(program, "PATH", str(tmp_path))
    place = Place()
    [warning] = log.events("warning")
    assert warning["service"] == "factor"
    why = str(warning["reason"])
    assert why.startswith("programs cannot be run: env, setsid, prlimit, setpriv are not on this")
    assert why.endswith(': numbers of 2^64 and more are answered "error: busy"')
    assert place.client(LARGE[0] + b"42\n").received == BUSY + b"2 3 7\r\n"


@pytest_twisted.ensureDeferred
async def test_a_stop_ends_the_worker(log: LogRecorder) -> None:
    place = Place()
    place.client(HARD_LINE)
    worker = place.worker
    place.factoring.stop()
    await until(lambda: log.events("child-reaped"))
    assert [event["pid"] for event in log.events("child-reaped")] == [worker]
    with pytest.raises(ProcessLookupError):
        os.kill(worker, 0)


@pytest_twisted.ensureDeferred
async def test_datagrams_get_the_same_answers_when_they_are_there() -> None:
    place = Place()
    port = open_port("factor", place.context)
    assert port.ask(LARGE[0]) == []
    assert port.ask(b"42") == [b"2 3 7\r\n"]
    assert port.ask(OTHER_LARGE[0], ("192.0.2.9", 50_009)) == []
    await place.come_to(lambda: len(port.sent) == 3)
    assert port.answers[1:] == [LARGE[1], OTHER_LARGE[1]]
    assert [one.to[0] for one in port.sent] == ["192.0.2.7", "192.0.2.7", "192.0.2.9"]
    assert port.ask(HARD_LINE) == []
    place.loop.advance(5)
    assert port.answers[3:] == [LATE]


def test_a_port_that_closes_waits_for_no_answer() -> None:
    place = Place()
    port = open_port("factor", place.context)
    for _ in range(5):
        assert port.ask(HARD_LINE) == []
    port.stopListening()
    assert place.factoring._job is None
    assert not place.factoring._waiting
    assert port.sent == []


def test_no_more_than_64_answers_are_owed_to_datagrams() -> None:
    place = Place(max_waiting=1000, reply_burst=1000)
    port = open_port("factor", place.context)
    for _ in range(MAX_OWED + 10):
        assert port.ask(HARD_LINE) == []
    assert len(place.factoring._waiting) == MAX_OWED - 1
    assert port.counted["refused"] == 10


def test_who_still_waits_when_the_service_stops_is_told_that_it_is_busy() -> None:
    context = make_context("factor", max_digits=200)
    port = open_port("factor", context)
    for _ in range(3):
        port.ask(HARD_LINE)
    answered = port.protocol.when_answered()  # type: ignore[attr-defined]
    context.shared.stop()
    assert port.answers == [BUSY] * 3
    assert answered.called
    assert port.ask(HARD_LINE) == [BUSY]
