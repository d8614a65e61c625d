"""The options of `sock echo` that say when, how long, how large, and by which way."""

from __future__ import annotations

import json
import re
import signal
import socket
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from attrs import define, field

from tests.client.lan import answering
from tests.client.liars import datagram_liar
from tests.client.running import SOCK, Done, sock, unspoilt
from tests.processes import running

Peer = tuple[str, int]
HELD = 10
"""Probes that are heard after one before that one is answered."""


@define
class Server:
    """Where it listens, and from where it was asked."""

    port: int
    sources: set[str] = field(factory=set)


@contextmanager
def echoing(family: int = socket.AF_INET, host: str = "127.0.0.1") -> Iterator[Server]:
    """An echo server."""
    listening = socket.socket(family, socket.SOCK_DGRAM)
    listening.bind((host, 0))
    server = Server(listening.getsockname()[1])

    def answer(sock: socket.socket, data: bytes, peer: Peer) -> None:
        server.sources.add(peer[0])
        sock.sendto(data, peer)

    with answering(listening, answer):
        yield server


def events(done: Done) -> list[dict[str, Any]]:
    return [json.loads(line) for line in done.out.splitlines()]


def host(done: Done) -> dict[str, Any]:
    """The summary of a run's only host."""
    [found] = events(done)[-1]["hosts"]
    return dict(found)


# when


def test_a_thousand_a_second_are_sent_on_time_or_told_not_to_be() -> None:
    with echoing() as server:
        done = sock("echo", "-J", "-c500", "-i0.001", "-W60", f"127.0.0.1:{server.port}")
    found, lateness = host(done), host(done)["lateness"]
    assert (done.code, found["counts"]["received"], lateness["count"]) == (0, 500, 500)
    # what is later than an interval is a slot that is missed, and is not caught up
    assert lateness["percentiles"]["p50_ns"] < 1_000_000
    slots = 499 + found["missed_slots"]
    assert events(done)[-1]["elapsed_ns"] >= slots * 1_000_000


def test_what_comes_after_its_wait_is_late_and_no_answer() -> None:
    def once() -> Done:
        held: deque[bytes] = deque()

        def answers(data: bytes) -> list[bytes]:
            held.append(data)
            return [held.popleft()] if len(held) > HELD else []

        with datagram_liar(answers) as server:
            asked = f"127.0.0.1:{server.port}"
            return sock("echo", "-J", f"-c{3 * HELD}", "-i0.02", "-W0.05", asked)

    done = unspoilt(once, lambda done: host(done)["counts"]["late"] > HELD)
    assert done.code == 3
    counts = host(done)["counts"]
    assert (counts["received"], counts["lost"]) == (0, 3 * HELD)
    # but for those whose answer came after the end
    assert HELD < counts["late"] <= 2 * HELD
    late = [event for event in events(done) if event.get("outcome") == "late"]
    assert all(event["rtt_ns"] > 50_000_000 for event in late)
    assert host(done)["error"].endswith(f": {3 * HELD} sent, {counts['late']} answered later")


def test_a_deadline_ends_it_whatever_is_on_its_way() -> None:
    with datagram_liar(lambda _: []) as silent, echoing() as server:
        told = sock("echo", "-J", "-w0.5", "-i0.02", f"127.0.0.1:{server.port}")
        nothing = sock("echo", "-J", "-w0.5", "-i0.02", "-W60", f"127.0.0.1:{silent.port}")
    assert nothing.code == 3
    assert events(told)[-1]["elapsed_ns"] >= 500_000_000
    counts = host(nothing)["counts"]
    assert counts["sent"] == counts["in_flight"] > 0
    assert (counts["lost"], counts["loss"]) == (0, None)


def test_sigquit_tells_how_it_stands_and_it_goes_on() -> None:
    with echoing() as server:
        command = [SOCK, "echo", "-i0.02", f"127.0.0.1:{server.port}"]
        with running(command) as child:
            child.wait_for(r"seq=5 time=")
            child.process.send_signal(signal.SIGQUIT)
            so_far = int(child.wait_for(r"^127\.0\.0\.1: (\d+)/\d+ answered, 0 % loss, min/avg")[1])
            child.wait_for(rf"seq={so_far + 5} time=")
            assert child.stop(signal.SIGINT) == -signal.SIGINT
    [in_the_end] = re.findall(r"(?m)^ +probes +(\d+) sent", child.text())
    assert 6 <= so_far < int(in_the_end)


# by which way


@pytest.mark.parametrize(
    ("options", "source"),
    [([], "127.0.0.1"), (["-I", "127.0.0.5"], "127.0.0.5"), (["-I", "lo"], "127.0.0.1")],
)
def test_probes_leave_from_where_they_are_told_to(options: list[str], source: str) -> None:
    with echoing() as server:
        done = sock(
            "echo", "-W", "60s", "-J", "-c2", "-i0.01", *options, f"127.0.0.1:{server.port}"
        )
    assert (done.code, server.sources) == (0, {source})


@pytest.mark.parametrize(
    ("option", "asked", "family", "address"),
    [
        ("-4", "localhost", socket.AF_INET, "127.0.0.1"),
        ("-6", "[::1]", socket.AF_INET6, "::1"),
    ],
)
def test_a_family_is_chosen(option: str, asked: str, family: int, address: str) -> None:
    with echoing(family, address) as server:
        done = sock("echo", "-W", "60s", "-J", "-c2", "-i0.01", option, f"{asked}:{server.port}")
    assert done.code == 0, done.err
    assert (host(done)["address"], server.sources) == (address, {address})


@pytest.mark.parametrize(
    ("options", "code", "told"),
    [
        (["-6", "127.0.0.1:9"], 6, "'127.0.0.1' has no address of IPv6"),
        (["-4", "[::1]:9"], 6, "'::1' has no address of IPv4"),
        (["-I", "nowhere", "127.0.0.1:9"], 2, "-I nowhere: there is no such interface"),
        (
            ["-I", "192.0.2.1", "127.0.0.1:9"],
            2,
            "-I 192.0.2.1: it is none of this host's",
        ),
        (["-I", "::1", "127.0.0.1:9"], 2, "-I ::1: it is of IPv6, what is asked of IPv4"),
    ],
)
def test_a_way_that_there_is_not_is_told(options: list[str], code: int, told: str) -> None:
    done = sock("echo", "-c1", *options)
    assert (done.code, told in done.err) == (code, True), done.err
