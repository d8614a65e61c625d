"""Hosts that are asked again: so many times, or until something ends it."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Sequence
from itertools import islice

import pytest

from sockd.client.asking import Asking
from sockd.formats.time import time_since_1900
from tests.client.liars import Liar, datagram_liar, hears, refusing_port, says, stays, stream_liar
from tests.client.running import sock, sock_open

PATIENT = ("-W", "60s")
TURNS = 3
"""Answers after which it is believed to go on."""


@pytest.mark.parametrize(
    ("asking", "times"),
    [
        (Asking(), 1),
        (Asking(count=1), 1),
        (Asking(count=3), 3),
        (Asking(interval=2.0), None),
        (Asking(interval=2.0, count=1), 1),
        (Asking(interval=2.0, count=3), 3),
    ],
)
def test_a_host_is_asked_once_unless_a_count_or_an_interval_is_given(
    asking: Asking, times: int | None
) -> None:
    assert asking.times == times
    assert asking.is_repeated == (times != 1)
    assert [*islice(asking.turns(), 5)] == [*range(5 if times is None else times)]


def now(_: bytes) -> list[bytes]:
    return [time_since_1900(time.time())]


def line(_: bytes) -> list[bytes]:
    return [b"Sat Jun 17 18:06:14 2000\r\n"]


def goes_on(command: Sequence[str], liar: Liar) -> None:
    """Its answers come until it is interrupted; then it is summed up."""
    there = f"127.0.0.1:{liar.port}"
    with sock_open(*command, there, *PATIENT, "-i", "10ms", "-J") as process:
        assert process.stdout is not None
        probes = (row for row in process.stdout if b'"probe"' in row)
        assert [json.loads(row)["seq"] for row in islice(probes, TURNS)] == [*range(TURNS)]
        os.kill(process.pid, signal.SIGINT)
        *_, last = process.stdout
        assert process.wait(60) == -signal.SIGINT
    summary = json.loads(last)
    assert (summary["interrupted"], summary["is_final"]) == (True, True)
    assert summary["hosts"][0]["counts"]["received"] >= TURNS


@pytest.mark.parametrize(
    ("command", "answers"),
    [
        (("daytime", "--udp"), line),
        (("quote", "--udp"), line),
        (("time", "--udp"), now),
        (("chargen", "--udp", "--unchecked"), line),
        (("localtime", "--udp", "--host"), line),
    ],
)
def test_an_interval_without_a_count_asks_until_it_is_interrupted(
    command: tuple[str, ...], answers: Callable[[bytes], list[bytes]]
) -> None:
    with datagram_liar(answers) as liar:
        goes_on(command, liar)


@pytest.mark.parametrize("command", ["daytime", "greet", "get"])
def test_each_of_endless_questions_has_a_connection_of_its_own(command: str) -> None:
    with stream_liar(says(b"now\r\n")) as liar:
        goes_on((command,), liar)
        assert len(liar.heard) >= TURNS


def test_lines_of_arguments_are_asked_again() -> None:
    with (
        stream_liar(hears(4), says(b"cba\n")) as liar,
        sock_open(
            "reverse", "-H", f"127.0.0.1:{liar.port}", *PATIENT, "-i", "10ms", "abc"
        ) as process,
    ):
        assert process.stdout is not None
        assert [*islice(process.stdout, TURNS)] == [b"cba\n"] * TURNS


def test_datagrams_that_nobody_answers_are_sent_until_it_is_interrupted() -> None:
    with (
        datagram_liar(lambda _: []) as liar,
        sock_open("discard", "--udp", "-i", "10ms", "-J", f"127.0.0.1:{liar.port}") as process,
    ):
        liar.wait_heard(TURNS)
        os.kill(process.pid, signal.SIGINT)
        out, _ = process.communicate(timeout=60)
    [host] = json.loads(out.splitlines()[-1])["hosts"]
    assert host["counts"]["sent"] >= TURNS


def test_what_is_asked_again_has_measured_when_it_ends() -> None:
    with (
        datagram_liar(line) as liar,
        sock_open("daytime", "--udp", "-i", "10ms", *PATIENT, f"127.0.0.1:{liar.port}") as process,
    ):
        assert process.stdout is not None
        assert process.stdout.readline() == line(b"")[0]
        os.kill(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert b"  probes " in err


def test_an_answer_that_suffices_ends_what_is_asked_again() -> None:
    with datagram_liar(line) as liar:
        there = (f"127.0.0.1:{liar.port}", *PATIENT)
        done = sock("daytime", "--udp", "-i", "1h", "--any", "1", "-J", *there)
    last = json.loads(done.out.splitlines()[-1])
    assert (done.code, last["hosts"][0]["counts"]["received"]) == (0, 1)


def test_what_several_conversations_counted_is_told_together() -> None:
    with stream_liar(hears(6), says(b"cba\nfed\n")) as liar:
        there = ("-H", f"127.0.0.1:{liar.port}", *PATIENT, "-c", "3", "-i", "0", "-J")
        done = sock("reverse", *there, "abc", "def")
    *events, last = (json.loads(row) for row in done.out.splitlines())
    assert last["hosts"][0]["values"] == {"lines": 6, "answers": 6}
    each = [event["values"] for event in events if event["type"] == "probe"]
    assert each == [{"lines": 2, "answers": 2}] * 3


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("daytime", "--udp", "-i", "0"), "-i 0 asks without a pause: give it an end, -c or -w"),
        (("discard", "--udp", "-i", "0"), "-i 0 asks without a pause: give it an end, -c or -w"),
        (("reverse", "-i", "1"), "-c and -i ask again, and standard input is read once"),
        (("send", "-i", "1", "127.0.0.1", "7"), "standard input is read once"),
    ],
)
def test_what_could_not_be_asked_for_ever_is_a_mistake(
    arguments: tuple[str, ...], told: str
) -> None:
    done = sock(*arguments)
    assert (done.code, done.out, told in done.err) == (2, b"", True), done.err


def test_a_plugin_that_asks_again_must_come_to_an_end() -> None:
    done = sock("daytime", "--check", "-i", "1")
    told = b"SOCK UNKNOWN - --check has to come to an end: give -c or -w\n"
    assert (done.code, done.out) == (3, told)


def test_each_try_has_a_wait_of_its_own() -> None:
    with stream_liar(stays) as stream, datagram_liar(lambda _: []) as datagrams:
        for liar, transport in ((stream, "--tcp"), (datagrams, "--udp")):
            to = f"127.0.0.1:{liar.port}"
            done = sock("daytime", transport, "-W", "200ms", "--retries", "2", "-J", to)
            summary = json.loads(done.out.splitlines()[-1])
            assert (done.code, summary["hosts"][0]["counts"]["sent"]) == (3, 3)
            assert summary["elapsed_ns"] >= 3 * 200_000_000


def test_the_usual_wait_is_longer_than_the_kernel_looks_for_a_neighbour() -> None:
    """So that a host that is not there is told as such, and not as one that is silent."""
    tries, each = 3, 1.0  # mcast_solicit and retrans_time_ms, if nobody has set them: arp(7)
    assert tries * each + 0.5 < Asking().wait


@pytest.mark.parametrize("command", ["daytime", "time"])
def test_what_cannot_be_meant_is_asked_once_however_often_it_is_asked_for(command: str) -> None:
    done = sock(command, "--udp", "-J", "-i", "10ms", "-I", "nosuch0", "127.0.0.1")
    assert done.code == 2
    assert json.loads(done.out.splitlines()[-1])["hosts"][0]["counts"]["sent"] == 1


def test_a_question_without_an_answer_is_told_when_others_follow() -> None:
    with (
        refusing_port() as port,
        sock_open("daytime", f"127.0.0.1:{port}", "-i", "10ms") as process,
    ):
        assert process.stderr is not None
        told = [*islice(process.stderr, TURNS)]
    for number, row in enumerate(told):
        assert row.startswith(b"127.0.0.1: seq=%d failed: nobody answers at" % number), row


def test_precise_comes_to_its_end_whatever_the_interval_is() -> None:
    with datagram_liar(now) as liar:
        to = f"127.0.0.1:{liar.port}"
        done = sock("time", "--precise", "--udp", "-i", "10ms", *PATIENT, "--check", to)
    assert done.code == 0, done.out
