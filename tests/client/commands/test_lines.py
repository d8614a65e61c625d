"""`sock reverse`, `factor`, `ack` and `said`: over every transport, and with servers that lie."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client.liars import (
    Step,
    datagram_liar,
    drips,
    echoes,
    hears,
    hears_end,
    refusing_port,
    resets,
    says,
    stays,
    stream_liar,
)
from tests.client.running import SOCK, Done, sock, sock_open, unspoilt
from tests.client.served import DATAGRAMS, PATIENT, STREAMS, served, way
from tests.daemons import Daemon
from tests.processes import run, running

EVERY = (*STREAMS, *DATAGRAMS)
Files = tuple[Path, Path, Path]


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory, tls_files: Files) -> Iterator[Daemon]:
    """The four services, with ack's greeting."""
    services = {
        "reverse": EVERY,
        "factor": EVERY,
        "ack": (*EVERY, 'greeting = "Hello client"'),
        "said": STREAMS,
    }
    with served(tmp_path_factory.mktemp("lines"), tls_files, services) as found:
        yield found


@pytest.mark.parametrize("transport", EVERY)
def test_lines_of_arguments_come_back_reversed(
    daemon: Daemon, tls_files: Files, transport: str
) -> None:
    done = sock("reverse", *way(daemon, "reverse", transport, tls_files), "stressed", "", "wörld")
    assert (done.code, done.out, done.err) == (0, "desserts\n\ndlröw\n".encode(), "")


@pytest.mark.parametrize("transport", EVERY)
def test_lines_of_standard_input_come_back_reversed(
    daemon: Daemon, tls_files: Files, transport: str
) -> None:
    lines = b"LF\nCRLF\r\n\xff\xfe odd\nlast without an end"
    done = sock("reverse", *way(daemon, "reverse", transport, tls_files), stdin=lines)
    assert (done.code, done.err) == (0, "")
    assert done.out == b"FL\nFLRC\nddo \xfe\xff\ndne na tuohtiw tsal\n"


@pytest.mark.parametrize("transport", EVERY)
def test_factors_are_printed_and_what_has_none_is_refused(
    daemon: Daemon, tls_files: Files, transport: str
) -> None:
    done = sock("factor", *way(daemon, "factor", transport, tls_files), "42", "-5", "one", "360")
    assert (done.code, done.out) == (1, b"2 3 7\n2 2 2 3 3 5\n")
    assert "'-5': below 2" in done.err
    assert "'one': not an integer" in done.err


def test_answers_and_refusals_come_in_the_order_of_their_lines(
    daemon: Daemon, tls_files: Files
) -> None:
    there = way(daemon, "factor", "tcp", tls_files)
    with running([SOCK, "factor", *there, "6", "-5", "10", "one"]) as both:
        assert both.wait() == 1
    told = [line.rpartition(": ")[2] for line in both.text().splitlines()]
    assert told == ["2 3", "below 2", "2 5", "not an integer"]


@pytest.mark.parametrize("transport", EVERY)
def test_lines_are_acknowledged(daemon: Daemon, tls_files: Files, transport: str) -> None:
    done = sock("ack", *way(daemon, "ack", transport, tls_files), "hello", "how are you")
    assert (done.code, done.out, done.err) == (0, b"OK : hello\nOK : how are you\n", "")


def test_a_greeting_is_printed_with_v(daemon: Daemon, tls_files: Files) -> None:
    done = sock("ack", "-v", *way(daemon, "ack", "tcp", tls_files), "hello")
    assert (done.code, done.out) == (0, b"Hello client\nOK : hello\n")


@pytest.mark.parametrize("transport", STREAMS)
def test_one_line_is_said(daemon: Daemon, tls_files: Files, transport: str) -> None:
    there = way(daemon, "said", transport, tls_files)
    assert sock("said", *there, "Hello", "there!").out == b"You said:Hello there!\n"
    assert sock("said", *there, stdin=b"first\nsecond\n").out == b"You said:first\n"


def test_a_refusal_is_critical_for_monitoring_and_an_error_for_programs(
    daemon: Daemon, tls_files: Files
) -> None:
    there = way(daemon, "factor", "tcp", tls_files)
    done = sock("factor", *there, "one", "--check")
    assert done.code == 2
    assert b"not an integer" in done.out
    done = sock("factor", *there, "--json", "one")
    *_, error, _, summary = map(json.loads, done.out.splitlines())
    assert (error["reason"], error["exit"]) == ("refused", 1)
    assert summary["exit"] == 1
    assert summary["hosts"][0]["values"] == {"lines": 1, "answers": 0, "refused": 1}


def test_numbers_below_0_are_data_and_families_are_options(
    daemon: Daemon, tls_files: Files
) -> None:
    there = way(daemon, "factor", "tcp", tls_files)
    for arguments in (["-42"], ["-5", "-W", "20"], ["-W", "20", "-46"]):
        done = sock("factor", *there, *arguments)
        assert done.code == 1
        assert "below 2" in done.err
    assert sock("factor", *there, "-4", "6").out == b"2 3\n"
    done = sock("factor", *there, "--", "-4")
    assert "'-4': below 2" in done.err


def test_several_hosts_are_asked_side_by_side_in_rows(daemon: Daemon, tls_files: Files) -> None:
    port = daemon.address("reverse", "tcp")[1]
    hosts = ("-H", f"localhost:{port}", "-H", f"127.0.0.1:{port}")
    rows = [b"127.0.0.1: cba", b"127.0.0.1: fed", b"localhost: cba", b"localhost: fed"]
    assert sorted(sock("reverse", *hosts, "abc", "def").out.splitlines()) == rows
    assert sorted(sock("reverse", *hosts, stdin=b"abc\ndef\n").out.splitlines()) == rows


def test_a_host_that_is_not_there_keeps_the_others_from_nothing(
    daemon: Daemon, tls_files: Files
) -> None:
    port = daemon.address("reverse", "tcp")[1]
    with refusing_port() as dead, stream_liar(stays) as silent:
        done = sock(
            "reverse",
            "-W3",
            *(
                "-H",
                f"127.0.0.1:{dead}",
                "-H",
                f"localhost:{port}",
                "-H",
                f"127.0.0.1:{silent.port}",
            ),
            stdin=b"line\n" * 50_000,
        )
    assert done.out == b"localhost: enil\n" * 50_000
    assert done.code == 3
    assert "connection refused" in done.err
    assert "within 3 s" in done.err


def test_a_big_file_streams_through_in_bounded_memory(
    daemon: Daemon, tls_files: Files, tmp_path: Path
) -> None:
    big = tmp_path / "big"
    big.write_bytes(b"".join(b"%d\n" % number for number in range(1_000_000, 3_000_000)))
    there = " ".join(way(daemon, "reverse", "tcp", tls_files))
    script = f"ulimit -v 1000000; {SOCK} reverse {there} < {big} | rev | cmp - {big}"
    done = run("bash", "-o", "pipefail", "-c", script, seconds=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_reader_that_has_had_enough_is_no_error(daemon: Daemon, tls_files: Files) -> None:
    there = " ".join(way(daemon, "reverse", "tcp", tls_files))
    script = f"yes stressed | {SOCK} reverse {there} | head -1; echo ${{PIPESTATUS[1]}}"
    done = run("bash", "-c", script)
    assert (done.stdout, done.stderr) == ("desserts\n0\n", "")


def test_answers_are_printed_as_they_come_and_an_end_of_input_ends(
    daemon: Daemon, tls_files: Files
) -> None:
    with sock_open("reverse", *way(daemon, "reverse", "tcp", tls_files)) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for line in (b"stressed\n", b"live\n"):
            process.stdin.write(line)
            process.stdin.flush()
            assert process.stdout.readline() == line[-2::-1] + b"\n"
        process.stdin.close()
        assert process.wait(30) == 0


def test_an_interrupt_ends_it_by_that_signal_while_it_waits_for_input(
    daemon: Daemon, tls_files: Files
) -> None:
    with sock_open("reverse", *way(daemon, "reverse", "tcp", tls_files)) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"abc\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"cba\n"
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(30) == -signal.SIGINT


LIES: list[tuple[str, list[str], list[Step], int, str]] = [
    ("other bytes", ["reverse", "abc"], [hears(4), says(b"xyz\r\n")], 4, "answered 'xyz' to 'abc'"),
    ("no prime", ["factor", "42"], [echoes], 4, "answered '42' to '42'"),
    ("a wrong product", ["factor", "42"], [hears(3), says(b"2 3\n")], 4, "'2 3' to '42'"),
    ("not ascending", ["factor", "42"], [hears(3), says(b"7 3 2\n")], 4, "'7 3 2'"),
    ("a factor of 1", ["factor", "42"], [hears(3), says(b"1 2 3 7\n")], 4, "'1 2 3 7'"),
    ("no number", ["factor", "42"], [hears(3), says(b"\x1b[31m\n")], 4, "x1b[31m"),
    ("an early end", ["reverse", "ab", "c"], [hears(5), says(b"ba\r\n")], 4, "1 answers to 2"),
    ("too much", ["reverse", "ab"], [hears(3), says(b"ba\r\nba\r\n")], 4, "which nobody asked"),
    ("an endless line", ["reverse", "ab"], [hears(3), says(b"x" * 1_100_000)], 4, "more than"),
    ("no OK", ["ack", "ab"], [says(b"Hi\r\n"), hears(3), says(b"KO : ab\r\n")], 4, "'KO : ab'"),
    ("only a greeting", ["ack", "ab"], [says(b"Hi\r\n"), hears_end], 4, "said 'Hi'"),
    ("others said it", ["said", "ab"], [hears(3), says(b"You said:ac\r\n")], 4, "'You said:ac'"),
    ("silence", ["reverse", "-W", "0.3", "abc"], [stays], 3, "no answer from"),
    ("half a line", ["reverse", "-W", "0.3", "abc"], [says(b"cb"), stays], 3, "within 0.3 s"),
    ("a reset", ["reverse", "abc"], [hears(4), resets], 1, "reset"),
    ("busy", ["factor", "42"], [says(b"error: busy\r\n")], 1, "busy"),
]


@pytest.mark.parametrize(
    ("command", "script", "code", "said"), [pytest.param(*lie[1:], id=lie[0]) for lie in LIES]
)
def test_a_lie_on_a_connection_has_its_exit_code(
    command: list[str], script: list[Step], code: int, said: str
) -> None:
    with stream_liar(*script) as liar:
        done = sock(command[0], *PATIENT, "-H", f"127.0.0.1:{liar.port}", *command[1:])
    assert (done.code, said in done.err) == (code, True), done.err
    assert "\x1b" not in done.err
    assert done.err.count("\n") == 1


@pytest.mark.parametrize(
    ("command", "answer", "code", "said"),
    [
        pytest.param(["reverse", "abc"], b"1: xyz", 4, "'xyz' to", id="other bytes"),
        pytest.param(["reverse", "abc"], b"2: cba", 4, "'2: cba'", id="another number"),
        pytest.param(["factor", "42"], b"2 3\r\n", 4, "'2 3'", id="a wrong product"),
        pytest.param(["ack", "a"], b"", 4, "answered ''", id="an empty datagram"),
        pytest.param(["ack", "a"], b"error: no\r\n", 1, "no", id="an error"),
        pytest.param(["ack", "-W", "0.3", "a"], None, 3, "line 1: 'a'", id="silence"),
    ],
)
def test_a_lie_in_a_datagram_has_its_exit_code(
    command: list[str], answer: bytes | None, code: int, said: str
) -> None:
    with datagram_liar(lambda _: [] if answer is None else [answer]) as liar:
        done = sock(command[0], *PATIENT, "--udp", "-H", f"127.0.0.1:{liar.port}", *command[1:])
    assert (done.code, said in done.err) == (code, True), done.err


def test_a_datagram_that_is_not_answered_is_sent_again_with_retries() -> None:
    asked: list[bytes] = []

    def every_third(data: bytes) -> list[bytes]:
        asked.append(data)
        number, _, text = data.partition(b": ")
        return [number + b": " + text[::-1]] if asked.count(data) == 3 else []

    def once() -> Done:
        asked.clear()
        with datagram_liar(every_third) as liar:
            there = ("--udp", "-H", f"127.0.0.1:{liar.port}", "-W", "1", "--retries", "2")
            return sock("reverse", *there, "abc", "def")

    done = unspoilt(once, lambda done: done.code == 0)
    assert (done.code, done.out) == (0, b"cba\nfed\n")
    assert asked == [b"1: abc"] * 3 + [b"2: def"] * 3


def test_an_answer_that_comes_twice_is_not_taken_for_the_next() -> None:
    with datagram_liar(lambda data: [b"OK : " + data + b"\r\n"] * 2) as liar:
        done = sock("ack", *PATIENT, "--udp", "-H", f"127.0.0.1:{liar.port}", "a", "b", "c")
    assert (done.code, done.out) == (0, b"OK : a\nOK : b\nOK : c\n")


def test_nobody_there_is_unreachable_over_streams_and_datagrams() -> None:
    with refusing_port() as port:
        for options in ([], ["--udp"]):
            done = sock("reverse", *options, "-H", f"127.0.0.1:{port}", "a")
            assert (done.code, done.out) == (1, b""), done.err


def test_a_name_that_nobody_has_is_told_so() -> None:
    assert sock("reverse", "-H", "nobody.invalid", "a").code == 6


def test_a_line_that_is_too_long_is_told_and_not_sent() -> None:
    with stream_liar(echoes) as liar:
        done = sock("reverse", "-H", f"127.0.0.1:{liar.port}", stdin=b"aa\n" + b"x" * 2_000_000)
        assert b"xx" not in liar.wait_heard(1)
    assert (done.code, done.out) == (2, b"aa\n") or (done.code, done.out) == (2, b"")
    assert "line 2 of the input has more than 1048576 bytes" in done.err


def test_standard_input_is_not_asked_twice() -> None:
    for options in (["-c", "2"], ["--retries", "1"]):
        done = sock("reverse", *options, stdin=b"a\n")
        assert (done.code, "read once" in done.err) == (2, True)


def test_arguments_are_asked_count_times_and_again_after_a_reset() -> None:
    with stream_liar(hears(2), says(b"a\r\n")) as liar:
        done = sock(
            "reverse", "-W", "60s", "-c", "2", "-i", "0.01", "-H", f"127.0.0.1:{liar.port}", "a"
        )
        assert (done.code, done.out) == (0, b"a\na\n")
        assert liar.wait_heard(2) == b"a\na\n"
    with stream_liar(hears(2), resets) as liar:
        done = sock("reverse", "-W", "60s", "--retries", "2", "-H", f"127.0.0.1:{liar.port}", "a")
        assert done.code == 1
        assert liar.wait_heard(3) == b"a\n" * 3


def test_input_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with stream_liar(echoes) as liar, (tmp_path / "written").open("wb") as file:
        done = sock("reverse", "-H", f"127.0.0.1:{liar.port}", stdin=file.fileno())
    assert (done.code, done.err) == (2, "sock: cannot read standard input: bad file descriptor\n")


def test_an_error_that_ends_the_connection_is_the_end(daemon: Daemon, tls_files: Files) -> None:
    lines = b"ab\n" + b"x" * 20_000 + b"\nnever\n"
    done = sock("reverse", *way(daemon, "reverse", "tcp", tls_files), stdin=lines)
    assert (done.code, done.out) == (1, b"ba\n")
    assert "line longer than 16384 bytes" in done.err


def test_lines_work_with_a_server_of_others_and_a_slow_one() -> None:
    with stream_liar(hears(4), drips(b"cba\r\n"), hears_end) as liar:
        done = sock("reverse", *PATIENT, "-H", f"127.0.0.1:{liar.port}", "abc")
        assert (done.code, done.out) == (0, b"cba\n")
    with stream_liar(hears_end, says(b"desserts\nevil\n")) as liar:
        done = sock("reverse", "-W", "60s", "-H", f"127.0.0.1:{liar.port}", "stressed", "live")
    assert (done.code, done.out) == (0, b"desserts\nevil\n")


def test_a_control_character_in_a_message_is_escaped_once() -> None:
    with stream_liar(says(b"\x1b[31m\r\n")) as liar:
        there = f"127.0.0.1:{liar.port}"
        done = sock("factor", "-H", there, "42")
    assert done.code == 4
    assert done.err == f"sock: {there} answered '\\x1b[31m' to '42'\n"
