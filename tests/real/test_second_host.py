"""A daemon seen from the next host: nobody there is trusted, as loopback is."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.daemons import Daemon, ask, give, inside, receive_all, run, socket_on, two_hosts

CONFIG = """
[defaults]
trusted = ["10.99.0.0/24"]
[service.echo]
listen = ["tcp:7:interface=*", "udp:7:interface=*"]
[service.factor]
listen = ["udp:7801:interface=*"]
deadline = "1m"
[service.daytime]
listen = ["udp:13:interface=*"]
[service.ack]
listen = ["tcp:8888:interface=*"]
greeting = ""
[service.said]
listen = ["tcp:3456:interface=*"]
connect_rate = "5/h"
[service.reverse]
listen = ["tcp:7800:interface=*", "udp:7800:interface=*"]
deny = ["10.77.0.0/24", "fd77::/64"]
allow = ["0.0.0.0/0", "::/0", "10.77.0.3/32", "fd77::3/128"]
[service.chosen]
kind = "reverse"
listen = ["tcp:7799:interface=*"]
allow = ["10.77.0.3/32", "fd77::3/128"]
"""
HERE = ("10.77.0.101/24", "10.88.0.1/24", "10.99.0.1/24", "fd77::101/64", "fd88::1/64")
THERE = ("10.77.0.3/24", "10.88.0.2/24", "10.99.0.2/24", "fd77::3/64", "fd88::2/64")
"""More addresses: of the daemon's host and of its neighbour."""
PER_SOURCE, BURST, RATE = 20, 20, 10
"""Defaults: connections of one source; answers that it gets at once, and each second after."""
FLOOD, CHUNKS = 10_000, 10


class Neighbour:
    """The second host, from any of its addresses."""

    def __init__(self, host: str, daemon: Daemon) -> None:
        self.host = host
        self.daemon = daemon

    def tcp(self, source: str, port: int) -> socket.socket:
        return self._connected(source, gateway(source), port, socket.SOCK_STREAM)

    def udp(self, source: str, port: int, to: str = "") -> socket.socket:
        """A connected socket: it hears only what comes from the address that it asked."""
        return self._connected(source, to or gateway(source), port, socket.SOCK_DGRAM)

    def nc(self, source: str, port: int, *options: str, data: bytes) -> bytes:
        command = ["nc.openbsd", "-s", source, *options, gateway(source), str(port)]
        return inside(self.host, *command, data=data)

    def _connected(self, source: str, to: str, port: int, kind: int) -> socket.socket:
        family = socket.AF_INET6 if ":" in source else socket.AF_INET
        sock = socket_on(self.host, family, kind)
        try:
            sock.bind((source, 0))
            sock.connect((to, port))
        except OSError:
            sock.close()
            raise
        return sock


def gateway(source: str) -> str:
    """The daemon's address on the network of one of its neighbour's."""
    return source[:-1] + "1"


@pytest.fixture(scope="module")
def neighbour(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Neighbour]:
    folder = tmp_path_factory.mktemp("second-host")
    with two_hosts() as (first, second):
        for host, addresses in ((first, HERE), (second, THERE)):
            (end,) = (
                line.split()[1].partition("@")[0]
                for line in run("ip", "-n", host, "-o", "link").splitlines()
                if "link-netns" in line
            )
            for address in addresses:
                give(host, address, end)
        with Daemon(folder, CONFIG, namespace=first) as daemon:
            yield Neighbour(second, daemon)


@pytest.mark.parametrize(
    ("source", "asked"),
    [
        ("10.77.0.2", "10.77.0.1"),
        ("10.77.0.2", "10.77.0.101"),
        ("10.77.0.2", "10.88.0.1"),
        ("fd77::2", "fd77::1"),
        ("fd77::2", "fd77::101"),
        ("fd77::2", "fd88::1"),
    ],
)
def test_a_datagram_is_answered_from_the_address_that_it_asked(
    neighbour: Neighbour, source: str, asked: str
) -> None:
    """At once, and later: factors of a large number are found in another process."""
    for port, question, answer in (
        (7, b"who is it?", b"who is it?"),
        (7801, b"1000000000000000000000000000057", b"1000000000000000000000000000057\r\n"),
    ):
        with neighbour.udp(source, port, asked) as sock:
            sock.send(question)
            assert sock.recv(1024) == answer


@pytest.mark.parametrize(
    ("denied", "prefix", "allowed"),
    [
        ("10.77.0.2", "10.77.0.0/24", ("10.77.0.3", "10.88.0.2")),
        ("fd77::2", "fd77::/64", ("fd77::3", "fd88::2")),
    ],
)
def test_who_is_denied_gets_nothing_and_the_log_names_the_rule(
    neighbour: Neighbour, denied: str, prefix: str, allowed: tuple[str, str]
) -> None:
    """The most specific prefix that matches decides."""
    assert neighbour.nc(denied, 7800, "-N", data=b"stressed\n") == b""
    with neighbour.udp(denied, 7800) as silenced:
        silenced.send(b"stressed")
        for source in allowed:
            assert neighbour.nc(source, 7800, "-N", data=b"stressed\n") == b"desserts\r\n"
            assert neighbour.nc(source, 7800, "-u", "-W1", data=b"stressed") == b"desserts"
        # those who asked later have their answers
        silenced.setblocking(False)
        with pytest.raises(BlockingIOError):
            silenced.recv(1024)
    refused = [
        (event["reason"], event["prefix"])
        for event in neighbour.daemon.events("refused")
        if event["service"] == "reverse" and event["peer_address"] == denied
    ]
    assert refused == [("deny", prefix)] * 2


@pytest.mark.parametrize(
    ("chosen", "others"),
    [("10.77.0.3", ("10.77.0.2", "10.88.0.2")), ("fd77::3", ("fd77::2", "fd88::2"))],
)
def test_where_some_are_allowed_the_others_are_refused(
    neighbour: Neighbour, chosen: str, others: tuple[str, str]
) -> None:
    assert neighbour.nc(chosen, 7799, "-N", data=b"stressed\n") == b"desserts\r\n"
    for source in others:
        assert neighbour.nc(source, 7799, "-N", data=b"stressed\n") == b""
    neighbour.daemon.wait_for("refused", service="chosen", reason="allow")


@pytest.mark.parametrize(("noisy", "quiet"), [("10.77.0.2", "10.77.0.3"), ("fd77::2", "fd88::2")])
def test_a_source_has_at_most_20_connections_and_takes_no_others_place(
    neighbour: Neighbour, noisy: str, quiet: str
) -> None:
    """One source is an IPv4 address or an IPv6 /64."""
    with ExitStack() as stack:
        held = [stack.enter_context(neighbour.tcp(noisy, 8888)) for _ in range(PER_SOURCE)]
        for sock in held:
            sock.sendall(b"hello\n")
            assert sock.recv(100) == b"OK : hello\r\n"
        with neighbour.tcp(noisy, 8888) as one_more:
            assert receive_all(one_more) == b""
        reason = "max_connections_per_source"
        neighbour.daemon.wait_for("refused", service="ack", reason=reason, limit=PER_SOURCE)
        assert ask(neighbour.tcp(quiet, 8888), b"hello\n") == b"OK : hello\r\n"
        for sock in held:
            sock.sendall(b"still here\n")
            assert sock.recv(100) == b"OK : still here\r\n"
        assert ask(held.pop(), b"") == b""
        assert ask(neighbour.tcp(noisy, 8888), b"again\n") == b"OK : again\r\n"


@pytest.mark.parametrize(("noisy", "quiet"), [("10.77.0.2", "10.77.0.3"), ("fd77::2", "fd88::2")])
def test_a_source_connects_no_faster_than_connect_rate(
    neighbour: Neighbour, noisy: str, quiet: str
) -> None:
    for _ in range(5):
        assert ask(neighbour.tcp(noisy, 3456), b"hello\n") == b"You said:hello\r\n"
    with neighbour.tcp(noisy, 3456) as one_more:
        assert receive_all(one_more) == b""
    neighbour.daemon.wait_for("refused", service="said", reason="connect_rate", limit="5/h")
    assert ask(neighbour.tcp(quiet, 3456), b"hello\n") == b"You said:hello\r\n"


def test_a_trusted_source_connects_as_often_as_it_likes(neighbour: Neighbour) -> None:
    with ExitStack() as stack:
        held = [
            stack.enter_context(neighbour.tcp("10.99.0.2", 8888)) for _ in range(2 * PER_SOURCE)
        ]
        for sock in held:
            sock.sendall(b"hello\n")
            assert sock.recv(100) == b"OK : hello\r\n"
    for _ in range(10):
        assert ask(neighbour.tcp("10.99.0.2", 3456), b"hello\n") == b"You said:hello\r\n"


@pytest.mark.parametrize(("noisy", "quiet"), [("10.77.0.2", "10.88.0.2"), ("fd77::2", "fd88::2")])
def test_ten_thousand_questions_of_one_network_get_few_answers_and_silence_no_other(
    neighbour: Neighbour, noisy: str, quiet: str
) -> None:
    """20 at once and 10 a second: what anybody can have sent to a forged source."""

    def reports() -> int:
        return sum(
            event["service"] == "daytime"
            and (event["reason"], event["limit"]) == ("reply_rate", f"{RATE}/s")
            for event in neighbour.daemon.events("refused")
        )

    before = reports()
    with neighbour.udp(noisy, 13) as flood, neighbour.udp(quiet, 13) as other:
        begin = time.monotonic()
        for _ in range(CHUNKS):
            for _ in range(FLOOD // CHUNKS):
                flood.send(b"")
            other.send(b"")
            assert other.recv(1024).endswith(b"\r\n")
        answers = []
        flood.settimeout(2.0)
        while True:
            try:
                answers.append(flood.recv(1024))
            except TimeoutError:
                break
        seconds = time.monotonic() - begin
    assert BURST <= len(answers) <= BURST + RATE * seconds
    assert all(len(answer) == len("Sat Jun 17 18:06:14 2000\r\n") for answer in answers)
    assert 0 < reports() - before < 100 + 10 * seconds
