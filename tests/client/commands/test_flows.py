"""`sock chargen` and `discard`: what flows, how fast, and what ends it."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sockd.client.commands.flows import DISCARD_BYTES
from sockd.client.exits import Exit
from sockd.formats.chargen import LINE, MOST_DATAGRAM, PATTERN
from tests.client.commands.site import STREAMS, Site, served
from tests.client.liars import (
    Step,
    Told,
    datagram_liar,
    hears,
    hears_end,
    refusing_port,
    resets,
    says,
    stays,
    stream_liar,
)
from tests.client.running import SOCK, Done, sock, sock_open
from tests.processes import PATIENCE, finish

LATE = "60s"
MUCH = 10 * len(PATTERN) + 5
ROTATIONS = PATTERN * 11


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with served(tmp_path_factory.mktemp("flows"), ["chargen", "discard"]) as running:
        yield running


def host(done: Done) -> dict[str, Any]:
    """The summary of a run of one host, told as JSON."""
    found: dict[str, Any] = json.loads(done.out.splitlines()[-1])["hosts"][0]
    return found


# chargen


@pytest.mark.parametrize("transport", STREAMS)
def test_chargen_prints_as_much_of_the_pattern_as_is_asked_for(site: Site, transport: str) -> None:
    done = sock("chargen", *site.to("chargen", transport), "-W", LATE, "-s", str(MUCH))
    assert (done.code, done.out == ROTATIONS[:MUCH]) == (Exit.ANSWERED, True), done.err


@pytest.mark.parametrize("transport", ["udp", "unixgram"])
@pytest.mark.parametrize("size", [0, 1, LINE, MOST_DATAGRAM, 60_000])
def test_a_datagram_of_the_pattern_is_no_longer_than_its_question(
    site: Site, transport: str, size: int
) -> None:
    done = sock("chargen", *site.to("chargen", transport), "-W", LATE, "-s", str(size))
    assert (done.code, done.out) == (Exit.ANSWERED, PATTERN[: min(size, MOST_DATAGRAM)]), done.err


def test_chargen_tells_how_fast_it_comes(site: Site) -> None:
    done = sock("chargen", *site.to("chargen", "tcp"), "-W", LATE, "-s", "4m", "-J")
    found = host(done)
    assert found["counts"]["bytes_received"] == 4 << 20
    assert found["rate_bps"] == pytest.approx((4 << 23) * 1e9 / found["values"]["took_ns"], 0.001)
    assert PATTERN[:LINE] not in done.out


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_rate_prints_no_pattern(site: Site, transport: str) -> None:
    more = ["-c", "2", "-i", "0"] if transport == "udp" else []
    to = site.to("chargen", transport)
    done = sock("chargen", *to, "-W", LATE, "-s", "500", "--rate", *more)
    assert (done.code, done.out, "bit/s" in done.err) == (Exit.ANSWERED, b"", True), done.err


def test_quiet_prints_the_pattern_and_the_figures_at_the_end(site: Site) -> None:
    done = sock("chargen", *site.to("chargen", "tcp"), "-W", LATE, "-s", "500", "-q")
    assert (done.code, done.out) == (Exit.ANSWERED, PATTERN[:500])
    assert "500 bytes" in done.err


def test_chargen_ends_at_the_deadline_and_that_is_no_fault(site: Site) -> None:
    done = sock("chargen", *site.to("chargen", "tcp"), "--rate", "-w", "3s", "-W", LATE, "-J")
    assert done.code == Exit.ANSWERED
    assert host(done)["counts"]["bytes_received"] > 0
    assert host(done)["rate_bps"] > 0


def test_chargen_is_told_each_second(site: Site) -> None:
    # at least one interval passes though the machine stands still: it ends after 3 s
    done = sock("chargen", *site.to("chargen", "tcp"), "-w", "3s", "-W", LATE, "-J")
    intervals = [json.loads(line) for line in done.out.splitlines() if b'"type":"interval"' in line]
    assert intervals
    carried = sum(one["counts"]["bytes_received"] for one in intervals)
    assert 0 < carried <= host(done)["counts"]["bytes_received"]


def test_a_reader_that_has_had_enough_is_no_error(site: Site) -> None:
    with sock_open("chargen", *site.to("chargen", "tcp"), "-W", LATE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read(LINE) == PATTERN[:LINE]
        process.stdout.close()
        assert process.wait(PATIENCE) == Exit.ANSWERED
        complaints = process.stderr.read()  # a summary is none
        assert b"sock:" not in complaints
        assert b"Traceback" not in complaints


def test_an_interrupt_ends_chargen_with_its_summary(site: Site) -> None:
    with sock_open("chargen", *site.to("chargen", "tcp"), "-W", LATE, "-J") as process:
        assert process.stdout is not None
        for line in process.stdout:
            if b'"interval"' in line:
                break
        os.kill(process.pid, signal.SIGINT)
        *_, last = process.stdout
        assert process.wait(PATIENCE) == -signal.SIGINT
    summary = json.loads(last)
    assert (summary["type"], summary["interrupted"]) == ("summary", True)
    assert summary["hosts"][0]["counts"]["bytes_received"] > 0


BROKEN = PATTERN[:1000] + b"!" + PATTERN[1001:]
LIES: dict[str, tuple[list[Step], Exit, str]] = {
    "silent": ([stays], Exit.TIMEOUT, "within 0.3 s"),
    "empty": ([], Exit.BAD_ANSWER, "ended after 0 of 5000 bytes"),
    "short": ([says(PATTERN[:4999])], Exit.BAD_ANSWER, "ended after 4999 of 5000 bytes"),
    "falling silent": ([says(PATTERN[:100]), stays], Exit.TIMEOUT, "within 0.3 s"),
    "resetting": ([resets], Exit.UNREACHABLE, "reset"),
    "resetting in between": ([says(PATTERN[:100]), resets], Exit.UNREACHABLE, "reset"),
    "garbage": ([says(b"\0" * 5000)], Exit.BAD_ANSWER, "at byte 0 (line 1, column 1)"),
    "corrupt": ([says(BROKEN), stays], Exit.BAD_ANSWER, "at byte 1000 (line 14, column 39)"),
    "beginning elsewhere": ([says(PATTERN[LINE * 5 :]), stays], Exit.ANSWERED, ""),
}


@pytest.mark.parametrize("lie", LIES)
def test_each_kind_of_wrong_pattern_has_its_exit_code(lie: str) -> None:
    script, code, words = LIES[lie]
    wait = "300ms" if code is Exit.TIMEOUT else LATE
    with stream_liar(*script) as liar:
        done = sock("chargen", f"127.0.0.1:{liar.port}", "-W", wait, "-s", "5000")
    assert (done.code, words in done.err) == (code, True), done.err


def test_a_server_that_closes_without_a_word_generates_nothing() -> None:
    with stream_liar() as liar:
        done = sock("chargen", f"127.0.0.1:{liar.port}", "-W", LATE)
    assert (done.code, "closed without a word" in done.err) == (Exit.BAD_ANSWER, True)


def test_a_server_that_ends_the_pattern_is_noted() -> None:
    with stream_liar(says(PATTERN)) as liar:
        done = sock("chargen", f"127.0.0.1:{liar.port}", "-W", LATE, "-J")
    [note] = host(done)["notes"]
    assert (done.code, "has ended it" in note) == (Exit.ANSWERED, True)


def test_unchecked_takes_any_data() -> None:
    with stream_liar(says(b"\0\1\2")) as liar:
        done = sock("chargen", f"127.0.0.1:{liar.port}", "-W", LATE, "--unchecked")
    assert (done.code, done.out) == (Exit.ANSWERED, b"\0\1\2")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (PATTERN[: MOST_DATAGRAM + 1], "RFC 864 allows 512"),
        (b"\1", "corrupt"),
        (PATTERN[:9] + b"\1", "at byte 9"),
    ],
)
def test_a_datagram_that_breaks_the_pattern_is_told(data: bytes, words: str) -> None:
    with datagram_liar(lambda _: [data]) as liar:
        done = sock("chargen", "--udp", f"127.0.0.1:{liar.port}", "-W", LATE)
    assert (done.code, words in done.err) == (Exit.BAD_ANSWER, True), done.err


def test_a_datagrams_question_fits_a_datagram() -> None:
    assert sock("chargen", "--udp", "127.0.0.1", "-s", "64k").code == Exit.USAGE
    assert sock("chargen", "127.0.0.1", "-c", "2").code == Exit.USAGE


# discard


@pytest.mark.parametrize("transport", STREAMS)
@pytest.mark.parametrize("size", [0, 1, 3_000_000])
def test_discard_is_over_when_the_service_has_taken_all(
    site: Site, transport: str, size: int
) -> None:
    done = sock("discard", *site.to("discard", transport), "-W", LATE, "-s", str(size), "-J")
    found = host(done)
    assert (done.code, found["counts"]["bytes_sent"]) == (Exit.ANSWERED, size)
    assert found["values"]["taken_by"] == "service"
    assert found["notes"] == []
    if size:
        taken = size * 8e9 / found["values"]["took_ns"]
        assert found["rate_bps"] == int(taken) or found["rate_bps"] == pytest.approx(taken)


def test_discard_sends_some_megabytes_if_nothing_else_is_said() -> None:
    heard: list[int] = []

    def count(told: Told) -> None:
        size = 0
        while data := told.sock.recv(1 << 20):
            size += len(data)
        heard.append(size)

    with stream_liar(count) as liar:
        done = sock("discard", f"127.0.0.1:{liar.port}", "-W", LATE)
    assert (done.code, heard) == (Exit.ANSWERED, [DISCARD_BYTES])


@pytest.mark.parametrize("transport", ["tcp", "unix"])
def test_a_service_that_does_not_close_is_measured_by_its_kernels_acknowledgements(
    transport: str, tmp_path: Path
) -> None:
    path = tmp_path / "discard" if transport == "unix" else None
    with stream_liar(hears_end, stays, path=path) as liar:
        to = ["--unix", path] if path else [f"127.0.0.1:{liar.port}"]
        done = sock("discard", *to, "-W", "1s", "-s", "1m", "-J")
    found = host(done)
    assert (done.code, found["values"]["taken_by"]) == (Exit.ANSWERED, "kernel")
    assert found["counts"]["bytes_sent"] == 1 << 20
    [note] = found["notes"]
    assert "did not close" in note


def test_a_service_that_takes_nothing_is_a_timeout() -> None:
    with stream_liar(stays) as liar:
        done = sock("discard", f"127.0.0.1:{liar.port}", "-W", "500ms", "-s", "64m")
    assert (done.code, "took nothing more within 0.5 s" in done.err) == (Exit.TIMEOUT, True)


def test_a_service_that_resets_is_told() -> None:
    with stream_liar(hears(1), resets) as liar:
        done = sock("discard", f"127.0.0.1:{liar.port}", "-W", LATE, "-s", "64m")
    assert (done.code, "reset" in done.err) == (Exit.UNREACHABLE, True), done.err


@pytest.mark.parametrize("size", ["0", "64m"])
def test_a_service_that_discards_says_nothing(size: str) -> None:
    def drain(told: Told) -> None:
        while told.sock.recv(1 << 20):
            pass

    with stream_liar(says(b"ah"), drain) as liar:
        done = sock("discard", f"127.0.0.1:{liar.port}", "-W", LATE, "-s", size)
    assert (done.code, "is silent" in done.err) == (Exit.BAD_ANSWER, True), done.err


def test_what_is_in_our_own_queues_at_the_deadline_does_not_count() -> None:
    with stream_liar(hears(100_000), stays) as liar:
        done = sock("discard", f"127.0.0.1:{liar.port}", "-W", LATE, "-w", "3s", "-s", "1g", "-J")
        found = host(done)
        # acknowledged is what the other kernel has room for, too
        assert 100_000 <= found["counts"]["bytes_sent"] < 1 << 28
    assert done.code == Exit.ANSWERED


def test_nobody_there_is_told(tmp_path: Path) -> None:
    with refusing_port() as port:
        for command in ("chargen", "discard"):
            assert sock(command, f"127.0.0.1:{port}").code == Exit.UNREACHABLE
    for more in ([], ["--udp"]):
        done = sock("discard", "--unix", tmp_path / "nobody", *more)
        assert done.code == Exit.UNREACHABLE, done.err


def test_a_full_disk_is_told_in_a_line(site: Site) -> None:
    script = 'exec "$0" "$@" >/dev/full'
    done = finish(["sh", "-c", script, SOCK, "chargen", *site.to("chargen", "tcp"), "-W", LATE])
    told = done.stderr.decode().splitlines()
    assert (done.returncode, told[-1]) == (
        Exit.UNREACHABLE,
        "sock: cannot write the output: no space left on device",
    )
    assert "Traceback" not in done.stderr.decode()


def test_what_is_never_answered_is_not_asked_again() -> None:
    done = sock("discard", "--udp", "--retries", "1")
    assert (done.code, done.out) == (2, b"")
    assert "--retries asks again where no answer came: here none ever comes" in done.err


@pytest.mark.parametrize(("command", "options"), [("chargen", "-s or -w"), ("beacon", "-c or -w")])
def test_a_plugin_of_monitoring_must_come_to_an_end(command: str, options: str) -> None:
    done = sock(command, "--check")
    assert done.code == 3
    told = f"SOCK UNKNOWN - --check has to come to an end: give {options}\n"
    assert done.out == told.encode()
