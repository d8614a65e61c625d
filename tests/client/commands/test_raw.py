"""`sock get` and `sock send`: bytes as they are, in both directions."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockd.client.asking import LARGEST_SIZE, Asking
from sockd.client.commands.raw import destination, parse_hex
from tests.client.liars import (
    Step,
    datagram_liar,
    echoes,
    hears,
    hears_end,
    refusing_port,
    resets,
    says,
    stays,
    stream_liar,
)
from tests.client.running import SOCK, sock, sock_open, unspoilt
from tests.client.served import DATAGRAMS, PATIENT, STREAMS, served, way
from tests.daemons import Daemon
from tests.processes import run, wait_until

EVERY = (*STREAMS, *DATAGRAMS)
HOST = "127.0.0.1"
Files = tuple[Path, Path, Path]


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory, tls_files: Files) -> Iterator[Daemon]:
    """Services that speak first, that answer, and that hear alone."""
    services = {
        "echo": EVERY,
        "discard": STREAMS,
        "greet": STREAMS,
    }
    with served(tmp_path_factory.mktemp("raw"), tls_files, services) as found:
        yield found


def there(daemon: Daemon, service: str, transport: str, tls_files: Files) -> list[str]:
    """The options and the host, where there is one."""
    return [*way(daemon, service, transport, tls_files), *([] if "unix" in transport else [HOST])]


@pytest.mark.parametrize("transport", STREAMS)
def test_get_prints_what_is_sent_to_its_end(
    daemon: Daemon, tls_files: Files, transport: str
) -> None:
    done = sock("get", *there(daemon, "greet", transport, tls_files))
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(b"Hello there, ")
    assert done.out.endswith(b"\r\n")


@pytest.mark.parametrize("transport", EVERY)
def test_send_prints_the_answer_byte_by_byte(
    daemon: Daemon, tls_files: Files, transport: str
) -> None:
    options = there(daemon, "echo", transport, tls_files)
    done = sock("send", "--answers", "1", *options, stdin=b"\0\xff\r any \x1b byte\n")
    assert (done.code, done.out, done.err) == (0, b"\0\xff\r any \x1b byte\n", "")


def test_words_are_sent_as_they_are_and_hex_as_bytes(daemon: Daemon, tls_files: Files) -> None:
    options = there(daemon, "echo", "tcp", tls_files)
    assert sock("send", *options, "-5", "two  words").out == b"-5 two  words"
    probe = sock("send", "--hex", *options, "1616161600FFFFFFFFFF")
    assert probe.out == b"\x16\x16\x16\x16\0\xff\xff\xff\xff\xff"
    assert sock("send", "--hex", *options, "16:ff", "00 01").out == b"\x16\xff\0\x01"


def test_a_port_stands_behind_the_host_or_in_it(daemon: Daemon, tls_files: Files) -> None:
    port = str(daemon.address("greet", "tcp")[1])
    for words in ([HOST, port], [f"{HOST}:{port}"], ["--port", port, HOST]):
        assert sock("get", *words).code == 0


def test_an_end_without_an_answer_is_no_error(daemon: Daemon, tls_files: Files) -> None:
    options = there(daemon, "discard", "tcp", tls_files)
    done = sock("send", *options, "into the void")
    assert (done.code, done.out, done.err) == (0, b"", "")


def test_a_big_file_goes_both_ways_at_once(
    daemon: Daemon, tls_files: Files, tmp_path: Path
) -> None:
    big = tmp_path / "big"
    big.write_bytes(os.urandom(1 << 16) * 512)
    options = " ".join(there(daemon, "echo", "tcp", tls_files))
    script = f"{SOCK} send {options} < {big} | cmp - {big}"
    done = run("bash", "-o", "pipefail", "-c", script, seconds=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_reader_that_has_had_enough_is_no_error(daemon: Daemon, tls_files: Files) -> None:
    options = " ".join(there(daemon, "echo", "tcp", tls_files))
    done = run("bash", "-c", f"yes | {SOCK} send {options} | head -1; echo ${{PIPESTATUS[1]}}")
    assert (done.stdout, done.stderr) == ("y\n0\n", "")


def test_data_is_finished_unless_it_is_kept_open() -> None:
    with stream_liar(hears_end, says(b"end")) as liar:
        assert sock("send", "-W", "60s", HOST, str(liar.port), "data").out == b"end"
    with stream_liar(hears_end) as liar:
        done = sock("send", "--keep-open", "-W", "0.3", HOST, str(liar.port), "data")
        assert (done.code, done.out) == (3, b"")
        assert liar.wait_heard(1) == b"data"


def test_the_name_timeout_is_that_of_wait() -> None:
    with stream_liar(stays) as liar:
        done = sock("send", "--timeout", "0.3", HOST, str(liar.port), "data")
    assert (done.code, "within 0.3 s" in done.err) == (3, True)


def test_so_many_lines_or_datagrams_are_enough() -> None:
    with stream_liar(says(b"one\ntwo\nthr"), says(b"ee\nfour"), stays) as liar:
        done = sock("send", *PATIENT, "--answers", "3", HOST, str(liar.port), "data")
    assert (done.code, done.out) == (0, b"one\ntwo\nthree\n")
    with datagram_liar(lambda data: [b"one ", b"two ", b"three "]) as liar:
        done = sock("send", *PATIENT, "--udp", "--answers", "2", HOST, str(liar.port), "data")
        assert (done.code, done.out) == (0, b"one two ")
        done = unspoilt(
            lambda: sock("send", "--udp", "-W", "2", HOST, str(liar.port), "data"),
            lambda done: done.code == 0,
        )
        assert (done.code, done.out) == (0, b"one two three ")


def test_standard_input_is_one_datagram_an_empty_one_too() -> None:
    with datagram_liar(lambda data: [b"%d" % len(data)]) as liar:
        options = ("send", *PATIENT, "--udp", "--answers", "1", HOST, str(liar.port))
        assert sock(*options, stdin=b"two\nlines\n").out == b"10"
        assert sock(*options).out == b"0"
        done = sock(*options, stdin=bytes(LARGEST_SIZE + 1))
        assert (done.code, "more than a datagram's 65507 bytes" in done.err) == (2, True)
        assert len(liar.heard) == 2


def test_where_no_answer_is_due_a_datagram_is_sent_and_that_is_all() -> None:
    with datagram_liar(lambda data: [b"not asked for"]) as liar:
        words = (HOST, str(liar.port), "data")
        done = sock("send", "--udp", "--answers", "0", "-W", "10m", *words)
        assert (done.code, done.out, done.err) == (0, b"", "")
        assert liar.wait_heard(1) == b"data"
        done = sock("send", "--udp", "--answers", "0", "--explain", *words)
        assert "# round trip" not in done.err
        assert liar.wait_heard(2) == b"data" * 2
        done = sock("send", "--udp", "--answers", "0", "-c3", "-i0", "-J", *words)
        assert liar.wait_heard(5) == b"data" * 5
    [told] = json.loads(done.out.splitlines()[-1])["hosts"]
    counts = told["counts"]
    assert (done.code, counts["sent"], counts["received"], counts["loss"]) == (0, 3, 0, None)


def test_what_the_network_has_said_by_then_is_told() -> None:
    with refusing_port() as port:  # of TCP: nobody hears its datagrams either
        options = ("send", "--udp", "--answers", "0", HOST, str(port), "data")
        # the kernel may take a moment, for which it is not waited
        wait_until(lambda: sock(*options).code == 1, "our kernel has said that nobody is there")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ((), "--answers 0 is for datagrams: a connection ends when the other side does"),
        (("--udp", "--retries", "1"), "--retries asks again where no answer came: none is due"),
    ],
)
def test_what_awaits_no_answer_has_no_use_for_some_options(
    options: tuple[str, ...], told: str
) -> None:
    done = sock("send", "--answers", "0", *options, HOST, "7", "data")
    assert (done.code, told in done.err) == (2, True), done.err


def test_an_answer_after_which_it_is_silent_is_an_answer() -> None:
    with stream_liar(hears_end, says(b"answer"), stays) as liar:
        done = sock("send", "-W", "2", HOST, str(liar.port), "data")
    assert (done.code, done.out, done.err) == (0, b"answer", "")


@pytest.mark.parametrize(
    ("arguments", "script", "code", "out"),
    [
        pytest.param(["get"], [], 0, b"", id="get: an end at once"),
        pytest.param(["get", "-W", "0.3"], [stays], 3, b"", id="get: silence"),
        pytest.param(["get", "-W", "2"], [says(b"a"), stays], 3, b"a", id="get: falls silent"),
        pytest.param(["get"], [resets], 1, b"", id="get: a reset"),
        pytest.param(["send", "-W", "0.3"], [hears(1), stays], 3, b"", id="send: silence"),
        pytest.param(["send"], [hears(1), resets], 1, b"", id="send: a reset"),
    ],
)
def test_a_server_that_does_not_answer_has_its_exit_code(
    arguments: list[str], script: list[Step], code: int, out: bytes
) -> None:
    with stream_liar(*script) as liar:
        done = sock(*arguments[:1], *PATIENT, *arguments[1:], HOST, str(liar.port), stdin=b"data")
    assert (done.code, done.out) == (code, out), done.err
    assert done.err.count("\n") == (1 if code else 0)


def test_a_server_that_ends_while_input_is_waited_for_ends_it() -> None:
    with (
        stream_liar(hears(5), says(b"bye\n")) as liar,
        sock_open("send", HOST, str(liar.port)) as process,
    ):
        assert process.stdin is not None
        process.stdin.write(b"quit\n")
        process.stdin.flush()
        assert process.wait(30) == 0
        assert process.stdout is not None
        assert process.stdout.read() == b"bye\n"


def test_a_server_that_ends_before_it_has_all_is_told() -> None:
    with stream_liar(hears(1), says(b"enough\n")) as liar:
        done = sock("send", HOST, str(liar.port), stdin=bytes(50_000_000))
    assert (done.code, "reset" in done.err) == (1, True), done.err


def test_nobody_there_is_unreachable(tmp_path: Path) -> None:
    with refusing_port() as port:
        for command in (["get"], ["send"], ["send", "--udp"]):
            assert sock(*command, HOST, str(port)).code == 1
    assert sock("send", "--unix", tmp_path / "nothing", "data").code == 1


def test_an_interrupt_while_input_is_waited_for_ends_it() -> None:
    with (
        stream_liar(says(b"first"), echoes) as liar,
        sock_open("send", HOST, str(liar.port)) as process,
    ):
        assert process.stdout is not None
        assert process.stdout.read(5) == b"first"
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(30) == -signal.SIGINT


def test_a_certificate_that_does_not_hold_has_its_exit_code(
    daemon: Daemon, tls_files: Files
) -> None:
    port = str(daemon.address("greet", "tls")[1])
    assert sock("get", "--tls", HOST, port).code == 5


def test_an_end_that_tls_does_not_know_of_is_told(tls_files: Files) -> None:
    certificate, key, authority = tls_files
    with stream_liar(says(b"all?"), tls=(certificate, key)) as liar:
        done = sock("get", "-W", "60s", "--tls", "--ca", authority, HOST, str(liar.port))
    assert (done.code, done.out) == (0, b"all?")
    assert "without TLS's own end" in done.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["get"], "no HOST"),
        (["get", "localhost"], "no PORT after localhost"),
        (["get", "localhost", "no-such"], "/etc/services has no 'no-such' over tcp"),
        (["get", "localhost", "domain\n"], "has no 'domain\\n' over tcp"),
        (["get", "localhost", "65536"], "got '65536'"),
        (["get", "localhost", "7", "x"], "'x' is too much"),
        (["send", "--hex", "localhost", "7"], "--hex is for DATA"),
        (
            ["send", "--hex", "localhost", "7", "161g"],
            "character 4 of the data is no hex digit: 'g'",
        ),
        (["send", "--udp", "--keep-open", "localhost", "7", "x"], "--keep-open is for"),
        (["send", "-c", "2", "localhost", "7"], "read once"),
    ],
)
def test_a_mistake_is_told_with_its_place(arguments: list[str], said: str) -> None:
    done = sock(*arguments)
    assert (done.code, said in done.err) == (2, True), done.err


@given(st.binary(max_size=40), st.sampled_from(["", " ", ":", " : "]))
def test_hex_is_read_with_what_may_stand_between_bytes(data: bytes, between: str) -> None:
    for text in (between.join(f"{byte:02x}" for byte in data), data.hex().upper()):
        assert parse_hex(text) == data


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1", "ends after one hex digit"),
        ("16 1 6", "at character 5 of the data"),
        ("16-17", "character 3 of the data is no hex digit: '-'"),
        ("1６", "character 2"),
    ],
)
def test_what_is_no_hex_is_told_with_its_place(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_hex(text)


def test_words_are_a_destination_and_the_data() -> None:
    hosts, asking, rest = destination(["::1", "7", "a", "b"], Asking(transport="tcp"))
    assert (hosts, asking.port, rest) == (["::1"], 7, ["a", "b"])
    hosts, asking, rest = destination(["[::1]:7", "9"], Asking())
    assert (hosts, asking.port, rest) == (["[::1]:7"], None, ["9"])
    assert destination(["9"], Asking(path="/run/x"))[2] == ["9"]


@pytest.mark.parametrize(
    ("transport", "name", "port"),
    [
        ("tcp", "ftp", 21),
        ("tls", "https", 443),
        ("udp", "tftp", 69),
        ("udp", "domain", 53),
        ("tcp", "FTP", 21),
    ],
)
def test_a_port_may_be_a_service_s_name(transport: str, name: str, port: int) -> None:
    _, asking, rest = destination(["::1", name, "data"], Asking(transport=transport))
    assert (asking.port, rest) == (port, ["data"])


def test_a_service_that_is_not_known_over_the_transport_is_told() -> None:
    for transport, name, said in (
        ("tcp", "tftp", "no 'tftp' over tcp, but over udp, at port 69"),
        ("tls", "tftp", "no 'tftp' over tcp, but over udp, at port 69"),
        ("udp", "telnet", "no 'telnet' over udp, but over tcp, at port 23"),
        ("udp", "\udc80", r"no '\\udc80' over udp$"),
        ("tcp", "", "no '' over tcp$"),
    ):
        with pytest.raises(click.UsageError, match=said):
            destination(["localhost", name], Asking(transport=transport))


def test_a_port_that_is_none_is_told() -> None:
    with pytest.raises(click.UsageError, match="'0000080123'"):
        destination(["localhost", "0000080123"], Asking(transport="tcp"))
