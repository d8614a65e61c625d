"""Datagram clients that others wrote: nc, ncat, socat; over UDP and over Unix sockets."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from tests.daemons import Daemon
from tests.real.programs import Session, ctimes, feed

UDP = 'listen = ["udp:0:interface=localhost"]'
CONFIG = f"""
[service.echo]
{UDP}
[service.discard]
{UDP}
[service.daytime]
{UDP}
[service.quote]
{UDP}
[service.chargen]
{UDP}
[service.time]
{UDP}
[service.ack]
{UDP}
[service.reverse]
{UDP}
[service.factor]
{UDP}
[service.localtime]
listen = ["unixgram:${{RUNTIME}}/localtime.sock"]
"""


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with Daemon(tmp_path_factory.mktemp("datagrams"), CONFIG) as running:
        yield running


@pytest.fixture(params=["IPv4", "IPv6"])
def family(request: pytest.FixtureRequest) -> int:
    return ["IPv4", "IPv6"].index(request.param)


def ask(daemon: Daemon, service: str, family: int, data: bytes) -> bytes:
    """One datagram and its answer: nc ends with the first that comes."""
    host, port = daemon.address(service, "udp", family)
    return feed("nc.openbsd", "-u", "-W1", host, str(port), data=data)


def socat(daemon: Daemon, service: str, family: int) -> str:
    """socat's name for the address of a service."""
    host, port = daemon.address(service, "udp", family)
    return f"UDP:[{host}]:{port}" if family else f"UDP:{host}:{port}"


def test_echo_sends_a_datagram_back_whole(daemon: Daemon, family: int) -> None:
    data = bytes(range(256)) * 32
    assert ask(daemon, "echo", family, data) == data


def test_discard_sends_nothing_back(daemon: Daemon, family: int) -> None:
    host, port = daemon.address("discard", "udp", family)
    assert feed("nc.openbsd", "-u", "-w1", host, str(port), data=b"into the void") == b""


def test_daytime_is_ctime_and_crlf_for_any_datagram(daemon: Daemon, family: int) -> None:
    begin = time.time()
    answer = ask(daemon, "daytime", family, b"what time is it?")
    assert answer.endswith(b"\r\n")
    assert answer[:-2] in ctimes(begin, time.time())


def test_daytime_answers_an_empty_datagram(daemon: Daemon, family: int) -> None:
    """socat sends an empty datagram where its input ends (shut-null)."""
    begin = time.time()
    to = socat(daemon, "daytime", family) + ",shut-null"
    with Session("socat", "-t60", "-", to) as session:
        session.end_input()
        answer = session.read_until(b"\r\n")
    assert answer.removesuffix(b"\r\n") in ctimes(begin, time.time())


def test_time_is_four_bytes_of_seconds_since_1900(daemon: Daemon, family: int) -> None:
    begin = time.time()
    answer = ask(daemon, "time", family, b"?")
    assert len(answer) == 4
    assert int(begin) <= int.from_bytes(answer, "big") - 2_208_988_800 <= time.time()


def test_quote_is_one_datagram_of_at_most_512_bytes(daemon: Daemon, family: int) -> None:
    answer = ask(daemon, "quote", family, b"?")
    assert 2 < len(answer) <= 512
    assert answer.endswith(b"\r\n")


@pytest.mark.parametrize("size", [1, 73, 512, 513, 2000])
def test_chargen_is_as_long_as_the_question_and_at_most_512_bytes(
    daemon: Daemon, family: int, size: int
) -> None:
    printable = bytes(range(32, 127)) * 2
    pattern = b"".join(printable[n : n + 72] + b"\r\n" for n in range(7))
    assert ask(daemon, "chargen", family, bytes(size)) == pattern[: min(size, 512)]


def test_ack_and_factor_take_a_datagram_as_a_line(daemon: Daemon, family: int) -> None:
    assert ask(daemon, "ack", family, b"hello\n") == b"OK : hello\r\n"
    assert ask(daemon, "factor", family, b"42\n") == b"2 3 7\r\n"
    assert ask(daemon, "factor", family, b"many").startswith(b"error: ")


def test_reverse_keeps_the_number_that_a_question_begins_with(daemon: Daemon, family: int) -> None:
    answer = ask(daemon, "reverse", family, b"42: the meaning of life")
    assert answer == b"42: efil fo gninaem eht"
    assert ask(daemon, "reverse", family, "Zażółć".encode()) == "ćłóżaZ".encode()


@pytest.mark.parametrize("program", ["nc", "ncat", "socat"])
def test_clients_that_stay_get_an_answer_for_each_datagram(
    daemon: Daemon, program: str, family: int
) -> None:
    host, port = daemon.address("reverse", "udp", family)
    command = {
        "nc": ["nc.openbsd", "-u", host, str(port)],
        "ncat": ["ncat", "-u", host, str(port)],
        "socat": ["socat", "-", socat(daemon, "reverse", family)],
    }[program]
    with Session(*command) as session:
        for question, answer in (
            (b"1: abc\n", b"1: cba"),
            (b"2: stressed\n", b"1: cba2: desserts"),
        ):
            session.type(question)
            assert session.read(len(answer)) == answer


@pytest.mark.parametrize(
    ("asked", "zone"),
    [(b"Europe/Warsaw", "Europe/Warsaw"), (b"America/Anchorage\n", "America/Anchorage")],
)
def test_localtime_is_ctime_in_the_zone_without_a_line_end(
    daemon: Daemon, asked: bytes, zone: str
) -> None:
    begin = time.time()
    answer = localtime(daemon, asked).decode()
    told = datetime.strptime(answer, "%a %b %d %H:%M:%S %Y").replace(tzinfo=ZoneInfo(zone))
    assert int(begin) <= told.timestamp() <= time.time()


def test_localtime_of_no_zone_is_the_local_time(daemon: Daemon) -> None:
    begin = time.time()
    assert localtime(daemon, b" ") in ctimes(begin, time.time())


def test_localtime_of_an_unknown_zone_says_so(daemon: Daemon) -> None:
    assert localtime(daemon, b"Mars/Olympus") == b"error: unknown time zone Mars/Olympus"


def test_a_client_without_a_socket_file_is_not_answered_and_harms_nobody(daemon: Daemon) -> None:
    to = f"UNIX-SENDTO:{daemon.runtime}/localtime.sock"
    assert feed("socat", "-t0.2", "-", to, data=b"Europe/Warsaw") == b""
    daemon.wait_for("refused", service="localtime")
    assert localtime(daemon, b" ")


def localtime(daemon: Daemon, question: bytes) -> bytes:
    """What the service answers socat, which binds a socket file of its own and removes it."""
    own = daemon.folder / "client.sock"
    to = f"UNIX-SENDTO:{daemon.runtime}/localtime.sock,bind={own},unlink-close"
    with Session("socat", "-t0.1", "-", to) as session:
        session.type(question)
        session.read(1)
        session.end_input()
        answer = session.read_all()
    assert not own.exists()
    return answer
