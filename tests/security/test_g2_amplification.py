"""G2: nobody borrows a service to flood somebody else."""

from __future__ import annotations

import selectors
import socket
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from sockd.net.datagram import MAX_ANSWER
from sockd.service import find
from tests.daemons import run, two_hosts
from tests.processes import PATIENCE
from tests.security.hosts import Watched, heard, program, sniffer, udp

SERVER = "10.77.0.1"
CLIENT = "10.77.0.2"
KINDS = {name: kind.datagram for name, kind in find().kinds.items() if kind.datagram}
PORTS = {name: 7001 + number for number, name in enumerate(KINDS)}
NEVER_LONGER = {"echo", "reverse", "chargen", "discard"}
OTHERWISE = {"chat"}
"""Tells strangers at most three times what they send: tests/chat."""
ALWAYS = ("echo", "chargen", "daytime", "time", "quote")
"""Services that have an answer to everything."""
SIZES = (0, 1, 2, 3, 5, 17, 100, 511, 512, 513, 1400, 8193, 65_507)
RATE = 10
BURST = 20
FLOOD_SECONDS = 2.0
FLOOD = f"""
import socket, time
from itertools import cycle
socks = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(8)]
ports = {sorted(PORTS.values())!r}
end = time.monotonic() + {FLOOD_SECONDS}
for sock, port in zip(cycle(socks), cycle(ports)):
    if time.monotonic() > end:
        break
    try:
        sock.sendto(b"", ({SERVER!r}, port))
    except OSError:
        pass
"""


def config() -> str:
    """Every service that answers datagrams."""
    return "".join(
        f'[service.{name}]\nlisten = ["udp:{port}:interface={SERVER}"]\n'
        for name, port in PORTS.items()
    )


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Watched, str]]:
    """A daemon on one host, and the other host: a stranger to it."""
    with two_hosts() as (first, second), Watched(tmp_path, config(), namespace=first) as daemon:
        yield daemon, second


def questions(size: int) -> list[bytes]:
    """Datagrams of a size that make much of little, where anything does."""
    texts = [b"4" * size, (b"1: " + "é́".encode() * size)[:size], b"Europe/" + b"\x07" * size]
    return [text for text in texts if len(text) == size]


def ask(host: str, asked: list[bytes]) -> dict[str, list[tuple[bytes, bytes]]]:
    """What each service answers to each datagram, each from a port of its own."""
    answers: dict[str, list[tuple[bytes, bytes]]] = {name: [] for name in PORTS}
    with ExitStack() as stack, selectors.DefaultSelector() as selector:

        def collect(seconds: float) -> bool:
            ready = selector.select(seconds)
            for key, _ in ready:
                assert isinstance(key.fileobj, socket.socket)
                name, data = key.data
                answers[name].append((data, key.fileobj.recv(65_535)))
            return bool(ready)

        for number, data in enumerate(asked, start=1):
            for name, port in PORTS.items():
                sock = stack.enter_context(udp(host))
                sock.sendto(data, (SERVER, port))
                selector.register(sock, selectors.EVENT_READ, (name, data))
            # one at a time: a queue that nobody reads for a while has no room for all of them
            until = time.monotonic() + PATIENCE
            while any(len(answers[name]) < number for name in ALWAYS):
                assert time.monotonic() < until, f"no answer to {data[:50]!r}"
                collect(0.1)
        while collect(0.7):
            pass
    return answers


@pytest.mark.parametrize("part", [SIZES[:5], SIZES[5:9], SIZES[9:]], ids=str)
def test_an_answer_is_no_longer_than_the_question_or_512_bytes(
    served: tuple[Watched, str], part: tuple[int, ...]
) -> None:
    """echo, reverse and chargen send no more than they got; the others at most 512 bytes, once."""
    _, client = served
    asked = [data for size in part for data in questions(size)]
    for name, answers in ask(client, asked).items():
        assert len(answers) <= len(asked)
        for question, answer in answers:
            limit = len(question) if name in NEVER_LONGER else MAX_ANSWER
            assert len(answer) <= limit, (name, question[:50], answer[:50])
        if name in ALWAYS:
            assert len(answers) == len(asked), name


def test_what_can_amplify_is_declared() -> None:
    """The services that are not held to the length of the question are held to a rate."""
    assert {name for name, kind in KINDS.items() if not kind.amplifies} == NEVER_LONGER | OTHERWISE


def test_a_flood_from_one_network_gets_a_burst_and_then_a_rate(
    served: tuple[Watched, str],
) -> None:
    """Thousands of datagrams a second, empty ones, from many ports of one source: 20, then 10/s."""
    daemon, client = served
    start = time.monotonic()
    with (
        sniffer(client, _card(client)) as ear,
        program(sys.executable, "-c", FLOOD, host=client) as flood,
    ):
        everything = []
        while flood.process.poll() is None:
            everything += heard(ear, 0.1)
        everything += heard(ear, 1.0)
        answers = [one for one in everything if one[0] == SERVER]
    seconds = time.monotonic() - start
    counts = Counter(port for _, port, _, _, _ in answers)
    size = Counter[int]()
    for _, port, _, _, data in answers:
        size[port] += len(data)
    for name, port in PORTS.items():
        if name in NEVER_LONGER | OTHERWISE:  # what is empty is not even an event
            assert size[port] == 0
        else:
            assert BURST <= counts[port] <= BURST + RATE * seconds + 1, name
            assert size[port] <= MAX_ANSWER * counts[port]
    daemon.wait_for("refused")


def _card(host: str) -> str:
    names = run("ip", "-n", host, "-o", "link", "show", "type", "veth").split(": ")
    return names[1].partition("@")[0]
