"""`sock daytime`, `quote`, `greet`: texts of our server, and of servers that lie."""

from __future__ import annotations

import itertools
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme

from sockd.client.commands.texts import MOST_TEXT
from sockd.client.exits import Exit
from sockd.formats.quotes import builtin_quotes
from sockd.formats.said import MOST_QUOTE
from tests.client.commands.site import STREAMS, TRANSPORTS, Site, certify, served
from tests.client.issuers import Issuer
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
from tests.reactor.ports import nobody
from tests.real.programs import ctimes

SOON = "200ms"
"""A wait that must run out."""
LATE = "60s"
"""A wait that must not."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with served(tmp_path_factory.mktemp("texts"), ["daytime", "quote", "greet"]) as running:
        yield running


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_daytime_prints_the_date_and_the_time(site: Site, transport: str) -> None:
    begin = time.time()
    done = sock("daytime", *site.to("daytime", transport), "-W", LATE)
    assert done.code == Exit.ANSWERED, done.err
    assert done.out.removesuffix(b"\r\n") in ctimes(begin, time.time())
    assert done.err == ""


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_quote_prints_a_quotation(site: Site, transport: str) -> None:
    done = sock("quote", *site.to("quote", transport), "-W", LATE)
    assert (done.code, done.out in builtin_quotes(), done.err) == (Exit.ANSWERED, True, "")


@pytest.mark.parametrize("transport", STREAMS)
def test_greet_prints_the_greeting(site: Site, transport: str) -> None:
    done = sock("greet", *site.to("greet", transport), "-W", LATE)
    assert done.code == Exit.ANSWERED, done.err
    assert done.out.startswith(b"Hello there, ")
    assert b", it's now " in done.out


def test_greet_has_no_datagrams(site: Site) -> None:
    assert sock("greet", "--udp", "127.0.0.1").code == Exit.USAGE


def test_several_hosts_are_asked_at_once_and_each_answer_is_named(site: Site) -> None:
    has_answered = threading.Event()

    def waits(_: Told) -> None:
        assert has_answered.wait(50)

    with stream_liar(waits) as silent, refusing_port() as nobody:
        unheard = f"127.0.0.1:{silent.port}"
        hosts = [
            unheard,
            f"localhost:{site.port('daytime')}",
            f"127.0.0.2:{nobody}",
        ]
        begin = time.time()
        # the silent one and the dead one are told, and end nothing
        with sock_open("daytime", *hosts, "-W", LATE, "-4") as process:
            assert process.stdout is not None
            name, _, text = process.stdout.readline().decode().partition(": ")
            end = time.time()
            has_answered.set()
            _, err = process.communicate(timeout=50)
    assert process.returncode == Exit.BAD_ANSWER
    assert name == "localhost"
    assert text.rstrip().encode() in ctimes(begin, end)
    assert f"{unheard} closed without a word" in err.decode()
    assert f"127.0.0.2:{nobody}" in err.decode()


def test_any_is_content_with_so_many_answers(site: Site) -> None:
    with stream_liar(stays) as silent:
        hosts = [f"127.0.0.1:{silent.port}", f"localhost:{site.port('daytime')}"]
        done = sock("daytime", *hosts, "-W", LATE, "--any", "1", "-4", seconds=50)
    assert (done.code, done.err) == (Exit.ANSWERED, "")
    assert done.out.startswith(b"localhost: ")


def test_who_has_not_answered_by_the_deadline_is_told() -> None:
    with stream_liar(stays) as silent:
        unheard = f"127.0.0.1:{silent.port}"
        done = sock("daytime", unheard, "-W", LATE, "-w", "300ms", seconds=50)
    assert done.code == Exit.TIMEOUT
    assert f"no answer from {unheard} by the end of 0.3 s" in done.err


LIES: dict[str, tuple[list[Step], Exit, str]] = {
    "silent": ([stays], Exit.TIMEOUT, "within 0.2 s"),
    "empty": ([], Exit.BAD_ANSWER, "closed without a word"),
    "resetting": ([resets], Exit.UNREACHABLE, "reset"),
    "resetting in between": ([says(b"Sat Nov"), resets], Exit.UNREACHABLE, "reset"),
    "garbage": ([says(b"\0\1\2\xff")], Exit.BAD_ANSWER, "sent no text: its byte 0 is 0x00"),
    "escaping": ([says(b"it is \x1b[2J")], Exit.BAD_ANSWER, "its byte 6 is 0x1b"),
    "endless": ([says(b"x" * (MOST_TEXT + 1)), stays], Exit.BAD_ANSWER, "sent more than 65536"),
    "unfinished": ([says(b"Sat Nov"), stays], Exit.TIMEOUT, "within 0.2 s"),
}


@pytest.mark.parametrize(
    ("command", "lie"),
    [*(("daytime", lie) for lie in LIES), ("quote", "empty"), ("greet", "garbage")],
)
def test_each_kind_of_wrong_server_has_its_exit_code(command: str, lie: str) -> None:
    script, code, words = LIES[lie]
    wait = SOON if code is Exit.TIMEOUT else LATE
    with stream_liar(*script) as liar:
        done = sock(command, f"127.0.0.1:{liar.port}", "-W", wait)
    assert (done.code, words in done.err) == (code, True), done.err


def test_a_text_of_the_greatest_size_is_taken_and_one_more_is_not() -> None:
    with stream_liar(says(b"x" * MOST_TEXT)) as liar:
        done = sock("daytime", f"127.0.0.1:{liar.port}", "-W", LATE)
    assert (done.code, len(done.out)) == (Exit.ANSWERED, MOST_TEXT)
    with stream_liar(says(b"x" * (MOST_TEXT + 1))) as liar:
        done = sock("daytime", f"127.0.0.1:{liar.port}", "-W", LATE)
    assert done.code == Exit.BAD_ANSWER


def test_an_answer_that_drips_must_end_within_the_wait() -> None:
    # each byte comes in time, the end never does
    with stream_liar(drips(b"x" * 100_000, lambda: time.sleep(0.01))) as liar:
        done = sock("daytime", f"127.0.0.1:{liar.port}", "-W", "500ms")
    assert (done.code, "within 0.5 s" in done.err) == (Exit.TIMEOUT, True)


def test_a_text_that_tls_does_not_end_may_be_cut_short(tmp_path: Path) -> None:
    authority, key = certify(tmp_path)
    # the liar closes TCP without TLS's close_notify
    with stream_liar(says(b"Sat Nov 28 20:00:00 2026\r\n"), tls=(key, key)) as liar:
        done = sock("daytime", f"127.0.0.1:{liar.port}", "--tls", "--ca", authority, "-W", LATE)
    assert (done.code, "closed without TLS's end" in done.err) == (Exit.BAD_ANSWER, True), done.err


def test_a_refused_connection_is_told() -> None:
    with refusing_port() as port:
        done = sock("daytime", f"127.0.0.1:{port}")
    assert (done.code, "connection refused" in done.err) == (Exit.UNREACHABLE, True)


def test_a_name_that_is_not_found_is_told() -> None:
    done = sock("daytime", "no-such-host.invalid", "-W", LATE)
    assert (done.code, "no-such-host.invalid" in done.err) == (Exit.NAME, True)


def test_a_certificate_that_nobody_vouches_for_is_refused_unless_insecure(site: Site) -> None:
    port = site.port("daytime", "tls")
    done = sock("daytime", f"127.0.0.1:{port}", "--tls", "-W", LATE)
    assert (done.code, done.out) == (Exit.CERTIFICATE, b"")
    done = sock("daytime", f"127.0.0.1:{port}", "--tls", "--insecure", "-W", LATE)
    assert (done.code, done.out.endswith(b"\r\n")) == (Exit.ANSWERED, True)


DATAGRAMS: dict[str, tuple[Callable[[bytes], list[bytes]], Exit, str]] = {
    "silent": (lambda _: [], Exit.TIMEOUT, "no answer"),
    "empty": (lambda _: [b""], Exit.BAD_ANSWER, "sent an empty answer"),
    "garbage": (lambda _: [b"ab\0"], Exit.BAD_ANSWER, "its byte 2 is 0x00"),
}


@pytest.mark.parametrize("lie", DATAGRAMS)
def test_each_kind_of_wrong_datagram_has_its_exit_code(lie: str) -> None:
    answers, code, words = DATAGRAMS[lie]
    with datagram_liar(answers) as liar:
        done = sock("daytime", "--udp", f"127.0.0.1:{liar.port}", "-W", "1s")
    assert (done.code, words in done.err) == (code, True), done.err


def test_a_lost_question_is_asked_again_where_that_is_allowed() -> None:
    asked = itertools.count(1)
    with datagram_liar(lambda _: [b"late\r\n"] if next(asked) == 3 else []) as liar:
        done = sock("daytime", "--udp", f"127.0.0.1:{liar.port}", "-W", "300ms", "--retries", "9")
    assert (done.code, done.out) == (Exit.ANSWERED, b"late\r\n")


def test_a_question_has_the_size_that_is_asked_for() -> None:
    with datagram_liar(lambda data: [b"%d" % len(data)]) as liar:
        assert sock("quote", "--udp", f"127.0.0.1:{liar.port}", "-W", LATE).out == b"0"
        assert sock("quote", "--udp", f"127.0.0.1:{liar.port}", "-s", "77", "-W", LATE).out == b"77"


@pytest.mark.parametrize("size", [MOST_QUOTE, MOST_QUOTE + 1])
def test_a_quotation_that_is_too_long_is_printed_with_a_note(size: int) -> None:
    with stream_liar(says(b"q" * size)) as liar:
        done = sock("quote", f"127.0.0.1:{liar.port}", "-J", "-W", LATE)
    notes = summary(done)["hosts"][0]["notes"]
    assert done.code == Exit.ANSWERED
    assert notes == (
        [] if size == MOST_QUOTE else [f"the quotation has {size} bytes, RFC 865 allows 512"]
    )


def summary(done: Done) -> dict[str, list[dict[str, object]]]:
    """The last line of a run that was told as JSON."""
    found: dict[str, list[dict[str, object]]] = json.loads(done.out.splitlines()[-1])
    return found


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("-s", "8"), "-s is for datagrams: on a connection nothing is asked"),
        (("--udp", "-s", "65508"), "a datagram has at most 65507 bytes, not 65508"),
        (("--any", "2"), "--any 2 can never be: 1 host is asked"),
    ],
)
def test_an_option_that_could_do_nothing_is_a_mistake(options: tuple[str, ...], words: str) -> None:
    for command in ("daytime", "quote"):
        done = sock(command, *options)
        assert (done.code, done.out) == (2, b"")
        assert words in done.err


def test_each_address_must_have_a_certificate_of_the_name(tmp_path: Path) -> None:
    """It is the name that was asked for, and not the address, which certificates rarely have."""
    issuer = Issuer(tmp_path, trustme.CA())
    file = issuer.issue("localhost")

    def ask(*options: str) -> Done:
        with stream_liar(says(b"now\n"), tls=(file, file)) as server:
            there = ("--tls", "--ca", issuer.ca, "-4", "--port", str(server.port), "-W", LATE)
            return sock("get", *there, "--all-addresses", *options, "localhost")

    good, wrong = ask(), ask("--server-name", "example")
    assert (good.code, good.out) == (0, b"now\n"), good.err
    assert wrong.code == 5


def test_bytes_of_questions_by_datagrams_are_counted() -> None:
    with datagram_liar(lambda _: [b"now\r\n"]) as server:
        there = f"127.0.0.1:{server.port}"
        done = sock("daytime", "--udp", "-s", "8", "-c", "2", "-i", "0", "-J", there, "-W", LATE)
    counts = json.loads(done.out.splitlines()[-1])["hosts"][0]["counts"]
    assert (counts["bytes_sent"], counts["bytes_received"]) == (16, 10)


def test_timing_says_where_there_is_no_connection_to_tell_of() -> None:
    with datagram_liar(lambda _: [b"now\r\n"]) as server:
        done = sock("daytime", "--udp", "--timing", f"127.0.0.1:{server.port}", "-W", LATE)
    assert (done.code, done.out) == (0, b"now\r\n")
    assert done.err == "--timing: no name was looked up, and datagrams have no other step\n"
    with refusing_port() as port:
        refused = sock("daytime", "--timing", f"127.0.0.1:{port}")
    assert refused.err.splitlines()[-1] == "--timing: there was no connection"


def test_how_long_a_name_was_looked_up_is_told_over_datagrams_too() -> None:
    options = ("--udp", "-4", "-c", "2", "-i", "10ms", "-W", LATE)
    with datagram_liar(lambda _: [b"now\r\n"]) as server:
        there = f"localhost:{server.port}"
        done = sock("daytime", *options, "-J", there)
        table = sock("daytime", *options, "--timing", there)
        check = sock("daytime", *options, "--check", there)
    events = [json.loads(line) for line in done.out.splitlines()]
    first, second = (event["timing"] for event in events if event["type"] == "probe")
    assert first.pop("resolve_ns") > 0
    assert set(first.values()) == {None}
    assert second is None, "it was looked up once"
    assert events[-1]["hosts"][0]["timing"]["resolve_ns"] > 0
    title, heads, row = table.err.splitlines()[-3:]
    assert (title, heads.split()[:2]) == ("Timing", ["host", "resolve"])
    assert re.fullmatch(r"localhost +[\d.]+ (µs|ms|s)(  +-){4}", row)
    assert b"'resolve'=" in check.out


@pytest.mark.parametrize("command", ["echo", "discard"])
def test_whoever_only_sends_datagrams_tells_how_long_the_name_was_looked_up(command: str) -> None:
    with datagram_liar(lambda data: [data] if command == "echo" else []) as server:
        there = ("-4", "--port", str(server.port), "-W", LATE, "localhost")
        done = sock(command, "--udp", "-c", "1", "-J", *there)
    assert json.loads(done.out.splitlines()[-1])["hosts"][0]["timing"]["resolve_ns"] > 0


def test_over_datagrams_messages_name_the_host_and_its_address() -> None:
    with nobody() as (_, port):
        done = sock("daytime", "--udp", "-4", f"localhost:{port}", "-W", LATE)
    assert done.err.startswith(f"sock: localhost:{port} (127.0.0.1): port unreachable")
