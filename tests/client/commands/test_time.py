"""`sock time`: clocks of servers, honest, ahead, lying or silent, beside ours."""

from __future__ import annotations

import itertools
import json
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockd.client.commands.time import OFFSET_COLUMNS, PRECISE_NS, interval_text, row
from sockd.client.exits import Exit
from sockd.client.talk.clock_offset import Bounds
from sockd.formats.time import time_since_1900
from tests.client.commands.site import TRANSPORTS, Site, served
from tests.client.liars import (
    Step,
    Told,
    datagram_liar,
    drips,
    refusing_port,
    resets,
    says,
    stays,
    stream_liar,
)
from tests.client.running import Done, sock, sock_open
from tests.real.programs import ctimes

SECOND = 1_000_000_000
LATE = "60s"
ROW = re.compile(
    r"(?P<name>\S+) +(?:(?P<low>[+-]\d+\.\d+)\.\.(?P<high>[+-]\d+\.\d+)|0) s  (?P<ctime>.*)"
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with served(tmp_path_factory.mktemp("time"), ["time"]) as running:
        yield running


def rows(done: Done) -> list[re.Match[str]]:
    found = [ROW.fullmatch(line) for line in done.out.decode().splitlines()]
    assert None not in found, done.out
    return [line for line in found if line is not None]


def bounds(line: re.Match[str]) -> tuple[float, float]:
    return float(line["low"]), float(line["high"])


def values(done: Done) -> dict[str, int]:
    """What the summary of a run of one host, told as JSON, says of its clock."""
    found: dict[str, int] = json.loads(done.out.splitlines()[-1])["hosts"][0]["values"]
    return found


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_our_own_clock_does_not_differ_from_itself(site: Site, transport: str) -> None:
    begin = time.time()
    done = sock("time", *site.to("time", transport), "-W", LATE)
    assert (done.code, done.err) == (Exit.ANSWERED, "")
    line = rows(done)[-1]
    low, high = bounds(line)
    assert low <= 0 < high
    assert high - low > 1
    assert line["ctime"].encode() in ctimes(begin, time.time())


def test_a_row_for_our_clock_goes_first_unless_localhost_is_asked(site: Site) -> None:
    here = f"127.0.0.1:{site.port('time')}"
    names = [line["name"] for line in rows(sock("time", here, "-W", LATE))]
    assert names == ["localhost", "127.0.0.1"]
    assert [line["name"] for line in rows(sock("time", here, "-q", "-W", LATE))] == ["127.0.0.1"]
    done = sock("time", f"localhost:{site.port('time')}", "-W", LATE)
    assert [line["name"] for line in rows(done)] == ["localhost"]
    assert rows(done)[0]["low"] is not None


def test_a_dead_host_is_a_row_and_not_the_end(site: Site) -> None:
    with refusing_port() as nobody:
        hosts = [f"127.0.0.2:{nobody}", "no.such.invalid", f"127.0.0.1:{site.port('time')}"]
        done = sock("time", *hosts, "-W", LATE)
    assert done.code == Exit.NAME
    lines = {line.split()[0]: line for line in done.out.decode().splitlines()}
    assert set(lines) == {"localhost", "127.0.0.1", "127.0.0.2", "no.such.invalid"}
    assert re.search(r" -  nobody answers at .*connection refused", lines["127.0.0.2"])
    assert re.search(r" -  .*no\.such\.invalid", lines["no.such.invalid"])
    assert ROW.fullmatch(lines["127.0.0.1"])


@pytest.mark.parametrize("ahead", [-86_400, 3_600])
def test_a_clock_that_is_off_is_told_as_far_as_it_is_off(ahead: int, tmp_path: Path) -> None:
    with served(tmp_path, ["time"], ["faketime", "-f", f"{ahead:+d}s"]) as off:
        for transport in ("tcp", "udp"):
            done = sock("time", *off.to("time", transport), "-W", LATE, "-J")
            found = values(done)
            assert found["offset_low_ns"] <= ahead * SECOND < found["offset_high_ns"]
            assert abs(found["their_time"] - time.time() - ahead) < 60


def test_more_questions_narrow_the_interval(site: Site) -> None:
    done = sock("time", *site.to("time", "udp"), "-W", LATE, "-c", "4", "-i", "250ms", "-J")
    found = values(done)
    width = found["offset_high_ns"] - found["offset_low_ns"]
    probes = [json.loads(line) for line in done.out.splitlines() if b'"probe"' in line]
    allowed = [probe["values"] for probe in probes]
    assert len(probes) == 4
    assert width < min(one["offset_high_ns"] - one["offset_low_ns"] for one in allowed)


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_precise_asks_until_some_milliseconds_are_left(site: Site, transport: str) -> None:
    done = sock("time", "--precise", *site.to("time", transport), "-W", LATE, "-J")
    assert done.code == Exit.ANSWERED, done.err
    found = values(done)
    width = found["offset_high_ns"] - found["offset_low_ns"]
    summary = json.loads(done.out.splitlines()[-1])["hosts"][0]
    fastest = min(
        json.loads(line)["values"]["offset_high_ns"] - json.loads(line)["values"]["offset_low_ns"]
        for line in done.out.splitlines()
        if b'"probe"' in line
    )
    # or as many as an answer takes: a slow machine answers slowly
    assert width <= 2 * max(PRECISE_NS, fastest - SECOND) or summary["counts"]["sent"] == 40
    assert found["offset_low_ns"] <= 0 < found["offset_high_ns"]


def test_precise_gives_up_where_no_difference_fits() -> None:
    moments = itertools.count(1_000_000_000, 1_000)
    with datagram_liar(lambda _: [time_since_1900(next(moments))]) as liar:
        done = sock("time", "--precise", "--udp", f"127.0.0.1:{liar.port}", "-W", LATE, "-q")
    assert done.code == Exit.BAD_ANSWER
    assert "no difference fits all answers" in done.out.decode()
    assert "no difference fits all answers" in done.out.decode()


def test_a_clock_that_is_set_between_questions_is_noted() -> None:
    moments = itertools.count(1_000_000_000, 1_000)
    with datagram_liar(lambda _: [time_since_1900(next(moments))]) as liar:
        to = f"127.0.0.1:{liar.port}"
        done = sock("time", "--udp", to, "-W", LATE, "-c", "2", "-i", "0", "-J")
    assert done.code == Exit.ANSWERED
    [note] = json.loads(done.out.splitlines()[-1])["hosts"][0]["notes"]
    assert "was set meanwhile" in note
    assert values(done)["their_time"] == 1_000_001_000


def test_precise_goes_on_though_a_question_is_lost() -> None:
    turns = itertools.count()

    def answer(_: bytes) -> list[bytes]:
        return [] if next(turns) == 2 else [time_since_1900(time.time())]

    with datagram_liar(answer) as liar:
        to = f"127.0.0.1:{liar.port}"
        done = sock("time", "--precise", "--udp", to, "-W", "3s", "-J")
    assert done.code == Exit.ANSWERED
    assert values(done)["offset_low_ns"] <= 0 < values(done)["offset_high_ns"]


def test_what_is_known_at_the_deadline_is_told() -> None:
    turns = itertools.count()
    with datagram_liar(lambda _: [] if next(turns) else [time_since_1900(time.time())]) as liar:
        to = f"127.0.0.1:{liar.port}"
        done = sock("time", "--precise", "--udp", to, "-W", LATE, "-w", "4s", "-q")
    assert done.code == Exit.ANSWERED, done.err
    low, high = bounds(rows(done)[0])
    assert low <= 0 < high


def test_who_has_not_answered_at_the_deadline_has_a_row() -> None:
    with stream_liar(stays) as liar:
        done = sock("time", f"127.0.0.1:{liar.port}", "-W", LATE, "-w", "500ms", "-q")
    assert done.code == Exit.TIMEOUT
    assert done.out.split(maxsplit=2)[2] == b"no answer when the run ended\n"


def test_a_row_says_why_there_was_no_answer_where_that_is_known() -> None:
    with (
        refusing_port() as port,
        sock_open("time", f"127.0.0.1:{port}", "-i", "10ms", "-W", LATE) as process,
    ):
        assert process.stderr is not None
        assert b"failed" in process.stderr.readline()
        os.kill(process.pid, signal.SIGINT)
        out, _ = process.communicate(timeout=60)
    assert b"connection refused" in out.splitlines()[-1]


def now(told: Told) -> None:
    told.sock.sendall(time_since_1900(time.time()))


LIES: dict[str, tuple[list[Step], Exit, str]] = {
    "silent": ([stays], Exit.TIMEOUT, "within 0.2 s"),
    "empty": ([], Exit.BAD_ANSWER, "ended after 0 of 4 bytes"),
    "short": ([says(b"abc")], Exit.BAD_ANSWER, "ended after 3 of 4 bytes"),
    "long": ([says(b"abcde"), stays], Exit.BAD_ANSWER, "sent more than 4 bytes"),
    "unfinished": ([says(b"ab"), stays], Exit.TIMEOUT, "within 0.2 s"),
    "resetting": ([resets], Exit.UNREACHABLE, "reset"),
    "staying": ([now, stays], Exit.ANSWERED, ""),
    "dripping": ([drips(b"\xe9\0\0\0")], Exit.ANSWERED, ""),
}


@pytest.mark.parametrize("lie", LIES)
def test_each_kind_of_wrong_server_has_its_exit_code(lie: str) -> None:
    script, code, words = LIES[lie]
    with stream_liar(*script) as liar:
        wait = "200ms" if code is Exit.TIMEOUT else LATE
        done = sock("time", f"127.0.0.1:{liar.port}", "-W", wait, "-q")
    assert (done.code, words in done.out.decode()) == (code, True), done.out
    assert words in done.out.decode()


DATAGRAMS: dict[str, Callable[[bytes], list[bytes]]] = {
    "empty": lambda _: [b""],
    "short": lambda _: [b"abc"],
    "long": lambda _: [b"abcde"],
}


@pytest.mark.parametrize("lie", DATAGRAMS)
def test_a_datagram_of_another_length_than_four_is_no_time(lie: str) -> None:
    with datagram_liar(DATAGRAMS[lie]) as liar:
        done = sock("time", "--udp", f"127.0.0.1:{liar.port}", "-W", LATE)
    assert (done.code, "a time has 4 bytes" in done.out.decode()) == (Exit.BAD_ANSWER, True)


@given(st.integers(-(2**55), 2**55), st.integers(1, 2 * SECOND))
def test_an_interval_is_told_rounded_outwards(low: int, width: int) -> None:
    text = interval_text(Bounds(low, low + width))
    shown = [float(part) for part in text.removesuffix(" s").split("..")]
    assert shown[0] <= low / 1e9 + 1e-6
    assert shown[1] >= (low + width) / 1e9 - 1e-6
    assert shown[1] - shown[0] <= width / 1e9 + 0.02 + 1e-6


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (-410_000_001, 600_000_000, "-0.42..+0.60 s"),
        (3_599_500_000_000, 3_600_600_000_000, "+3599.50..+3600.60 s"),
        (-1, 4_000_000, "-0.0001..+0.0040 s"),
        (1_000_000, 101_000_000, "+0.001..+0.101 s"),
    ],
)
def test_an_interval_has_the_places_that_make_sense(low: int, high: int, text: str) -> None:
    assert interval_text(Bounds(low, high)) == text


def test_no_name_gets_an_escape_through() -> None:
    assert "\x1b" not in row("\x1b[2J", "-", "\x1b[2J", 9)
    assert row(r"a\b", "-", r"no 'a\b'", 3) == rf"a\b  {'-':>{OFFSET_COLUMNS}}  no 'a\b'"


def test_a_row_that_is_too_wide_for_the_terminal_has_a_second_line() -> None:
    assert row("a", "-", "no way there", 4, 80) == f"a     {'-':>{OFFSET_COLUMNS}}  no way there"
    head, *rest = row("a", "-", "nobody answers there at all", 4, 30).split("\n")
    assert head == f"a     {'-':>{OFFSET_COLUMNS}}"
    assert rest == ["    nobody answers there at", "    all"]
