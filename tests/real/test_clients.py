"""Clients that others wrote and that people have at hand: ncat, nc, socat."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.daemons import REACTOR, Daemon
from tests.real.programs import Session, ctimes, feed

TEXT = "Sockets are where programs on two machines meet and talk.\n"
FILLED = b"Sockets are where programs on\r\ntwo machines meet and talk.\r\n"
QUOTES = ["Measure twice.\nCut once.", "The wire is long."]
GREETED = b"Hello client how are you\r\n"
"""What ack says first."""
CONFIG = """
[service.echo]
listen = ["tcp:0:interface=localhost"]
[service.discard]
listen = ["tcp:0:interface=localhost"]
[service.daytime]
listen = ["tcp:0:interface=localhost"]
[service.quote]
listen = ["tcp:0:interface=localhost"]
file = "{quotes}"
[service.chargen]
listen = ["tcp:0:interface=localhost"]
[service.time]
listen = ["tcp:0:interface=localhost"]
[service.greet]
listen = ["tcp:0:interface=localhost"]
[service.welcome]
listen = ["tcp:0:interface=localhost"]
[service.fortune]
listen = ["tcp:0:interface=localhost"]
command = ["no-such-program"]
[service.ack]
listen = ["tcp:0:interface=localhost"]
[service.said]
listen = ["tcp:0:interface=localhost"]
[service.reverse]
listen = ["tcp:0:interface=localhost"]
[service.factor]
listen = ["tcp:0:interface=localhost"]
[service.wrap]
listen = ["unix:${{RUNTIME}}/wrap.sock", "tcp:0:interface=localhost"]
"""


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    folder = tmp_path_factory.mktemp("clients")
    quotes = folder / "quotes"
    quotes.write_text("\n%\n".join(QUOTES) + "\n")
    with Daemon(folder, CONFIG.format(quotes=quotes)) as running:
        yield running


class Client:
    """How one program is told to connect; when its input ends it ends its half and reads on."""

    def __init__(self, daemon: Daemon, program: str, family: int) -> None:
        self.daemon = daemon
        self.program = program
        self.family = family

    def command(self, service: str) -> list[str]:
        host, port = self.daemon.address(service, "tcp", self.family)
        if self.program == "socat":
            return [
                "socat",
                "-t30",
                "-",
                f"TCP:[{host}]:{port}" if self.family else f"TCP:{host}:{port}",
            ]
        return {"ncat": ["ncat"], "nc": ["nc.openbsd", "-N"]}[self.program] + [host, str(port)]

    def ask(self, service: str, data: bytes = b"") -> bytes:
        return feed(*self.command(service), data=data)


@pytest.fixture(params=["IPv4", "IPv6"])
def family(request: pytest.FixtureRequest) -> int:
    return ["IPv4", "IPv6"].index(request.param)


@pytest.fixture(params=["ncat", "nc", "socat"])
def client(request: pytest.FixtureRequest, daemon: Daemon, family: int) -> Client:
    return Client(daemon, request.param, family)


def test_the_daemon_runs_on_the_reactor_that_the_suite_was_asked_for(daemon: Daemon) -> None:
    assert os.environ[REACTOR] in daemon.wait_for("started")["reactor"].lower()


def test_echo_sends_every_byte_back(client: Client) -> None:
    data = bytes(range(256)) * 400
    assert client.ask("echo", data) == data


def test_discard_takes_everything_and_says_nothing(client: Client) -> None:
    data = bytes(1000 + 10 * ["ncat", "nc", "socat"].index(client.program) + client.family)
    assert client.ask("discard", data) == b""
    client.daemon.wait_for("closed", service="discard", bytes_in=len(data), bytes_out=0)


def test_daytime_is_ctime_and_crlf(client: Client) -> None:
    begin = time.time()
    answer = client.ask("daytime")
    assert answer.endswith(b"\r\n")
    assert answer[:-2] in ctimes(begin, time.time())


def test_quote_is_one_quotation_of_the_file(client: Client) -> None:
    answer = client.ask("quote")
    assert answer in {text.replace("\n", "\r\n").encode() + b"\r\n" for text in QUOTES}


def test_chargen_speaks_until_the_client_leaves(client: Client) -> None:
    with Session(*client.command("chargen")) as session:
        lines = session.read(74 * 300).split(b"\r\n")[:-1]
    printable = bytes(range(32, 127)) * 2
    assert lines == [printable[n % 95 : n % 95 + 72] for n in range(300)]


def test_time_is_four_bytes_of_seconds_since_1900(client: Client) -> None:
    begin = time.time()
    answer = client.ask("time")
    assert len(answer) == 4
    assert int(begin) <= int.from_bytes(answer, "big") - 2_208_988_800 <= time.time()


def test_greet_names_the_client_and_the_time(client: Client) -> None:
    begin = time.time()
    answer = client.ask("greet")
    name, _, told = answer.removeprefix(b"Hello there, ").partition(b", it's now ")
    assert name
    assert b" " not in name
    assert told.removesuffix(b"\r\n") in ctimes(begin, time.time())


def test_welcome_says_its_own_words(client: Client) -> None:
    assert client.ask("welcome") == b"Hello client how are you\r\n"


def test_fortune_greets_and_quotes_where_there_is_no_program(client: Client) -> None:
    greeting, _, quotation = client.ask("fortune").partition(b"\r\n")
    assert greeting.startswith(b"Hello there, ")
    assert quotation.endswith(b"\r\n")
    assert b"\n" not in quotation.replace(b"\r\n", b"")


def test_ack_acknowledges_each_line(client: Client) -> None:
    answers = b"OK : hello\r\nOK : how are you\r\n"
    assert client.ask("ack", b"hello\nhow are you\r\n") == GREETED + answers


def test_ack_talks_with_two_clients_at_once(client: Client) -> None:
    command = client.command("ack")
    with Session(*command) as one, Session(*command) as other:
        one.type(b"one\n")
        assert one.read_until(b"one\r\n") == GREETED + b"OK : one\r\n"
        other.type(b"other\n")
        assert other.read_until(b"other\r\n") == GREETED + b"OK : other\r\n"
        one.type(b"one again\n")
        assert one.read_until(b"again\r\n").endswith(b"OK : one\r\nOK : one again\r\n")
        one.end_input()
        assert one.read_all() == GREETED + b"OK : one\r\nOK : one again\r\n"
        other.type(b"still here\n")
        assert other.read_until(b"here\r\n").endswith(b"OK : other\r\nOK : still here\r\n")


def test_said_answers_one_line_and_closes(client: Client) -> None:
    assert client.ask("said", b"Hello there!\nnot this\n") == b"You said:Hello there!\r\n"


def test_said_closes_however_long_the_clients_keep_their_halves_open(daemon: Daemon) -> None:
    clients = [Client(daemon, program, 0) for program in ("ncat", "nc", "socat")]
    with ExitStack() as stack:
        for length, client in enumerate(clients, start=100):
            session = stack.enter_context(Session(*client.command("said")))
            session.type(b"." * length + b"\n")
            assert session.read_until(b"\n") == b"You said:" + b"." * length + b"\r\n"
        for length, _ in enumerate(clients, start=100):
            daemon.wait_for("closed", service="said", bytes_in=length + 1)


def test_reverse_reverses_each_line_and_the_last_one_without_an_end(client: Client) -> None:
    asked = "stressed\r\nZażółć\n\nlast words".encode()
    assert client.ask("reverse", asked) == "desserts\r\nćłóżaZ\r\n\r\nsdrow tsal\r\n".encode()


def test_factor_gives_the_prime_factors_or_says_why_not(client: Client) -> None:
    answer = client.ask("factor", b"42\n97\n1000000016000000063\nmany\n")
    lines = answer.split(b"\r\n")
    assert lines[:3] == [b"2 3 7", b"97", b"1000000007 1000000009"]
    assert lines[3].startswith(b"error: ")
    assert lines[4:] == [b""]


def test_wrap_fills_the_text_once_the_client_has_ended_its_half(client: Client) -> None:
    assert client.ask("wrap", TEXT.encode()) == FILLED


@pytest.mark.parametrize("program", ["ncat -U", "nc.openbsd -N -U", "socat -t30 -"])
def test_wrap_fills_text_over_its_unix_socket(daemon: Daemon, program: str) -> None:
    path: str | Path = daemon.runtime / "wrap.sock"
    if program.startswith("socat"):
        path = f"UNIX-CONNECT:{path}"
    assert feed(*program.split(), str(path), data=TEXT.encode()) == FILLED


def test_a_client_that_never_ends_its_half_gets_its_lines_but_no_text(
    daemon: Daemon, family: int
) -> None:
    """nc without -N keeps its half open when its input ends, and leaves after a second of quiet."""
    host, port = daemon.address("reverse", "tcp", family)
    with Session("nc.openbsd", host, str(port)) as session:
        session.type(b"abc\nunfinished")
        assert session.read_until(b"\n") == b"cba\r\n"
        session.type(b" until now\n")
        assert session.read_until(b"u\r\n") == b"cba\r\nwon litnu dehsinifnu\r\n"
    asked = TEXT.encode() * (2 + family)
    host, port = daemon.address("wrap", "tcp", family)
    assert feed("nc.openbsd", "-w1", host, str(port), data=asked) == b""
    daemon.wait_for("closed", service="wrap", bytes_in=len(asked))
