"""Datagrams of `sock chargen` and `discard`: what is sent, what is reported, and what ends it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from sockd.client.exits import Exit
from tests.client.commands.site import Site, served
from tests.client.liars import datagram_liar, refusing_port
from tests.client.running import Done, sock, sock_open

LATE = "60s"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with served(tmp_path_factory.mktemp("flows"), ["chargen", "discard"]) as running:
        yield running


def host(done: Done) -> dict[str, Any]:
    """The summary of a run of one host, told as JSON."""
    found: dict[str, Any] = json.loads(done.out.splitlines()[-1])["hosts"][0]
    return found


@pytest.mark.parametrize("count", [1, 3])
def test_datagrams_are_sent_and_nothing_comes_back(count: int) -> None:
    with datagram_liar(lambda _: []) as liar:
        to = f"127.0.0.1:{liar.port}"
        done = sock("discard", "--udp", to, "-c", str(count), "-i", "10ms", "-s", "100", "-J")
        assert liar.wait_heard(count) == bytes(100 * count)
    found = host(done)
    assert (done.code, found["counts"]["sent"]) == (Exit.ANSWERED, count)
    assert found["counts"]["bytes_sent"] == 100 * count
    assert found["counts"]["loss"] is None


@pytest.mark.parametrize("transport", ["udp", "unixgram"])
def test_our_service_takes_datagrams(site: Site, transport: str) -> None:
    done = sock("discard", *site.to("discard", transport), "-c", "2", "-i", "0")
    assert (done.code, done.out) == (Exit.ANSWERED, b"")


def test_what_the_network_reports_as_undelivered_is_told() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.connect(("127.0.0.1", 9))  # so that what others send finds no socket
        done = sock("discard", "--udp", f"127.0.0.1:{taken.getsockname()[1]}", "-W", LATE, "-J")
    found = host(done)
    assert done.code == Exit.UNREACHABLE
    [icmp] = found["icmp"]
    assert (icmp["count"], icmp["sender"]) == (1, "127.0.0.1")
    assert "port unreachable" in found["error"]


def test_what_was_reported_is_told_at_the_end_and_no_silence() -> None:
    with refusing_port() as port:  # of TCP: nobody hears its datagrams either
        there = f"127.0.0.1:{port}"
        with sock_open("discard", "--udp", there, "-i", "10ms", "-J") as process:
            assert process.stdout is not None
            told = map(json.loads, process.stdout)
            next(event for event in told if event.get("counts", {}).get("undelivered"))
            os.kill(process.pid, signal.SIGINT)
            *_, last = told
    [found] = last["hosts"]
    assert last["interrupted"]
    assert (last["exit"], found["exit"]) == (Exit.UNREACHABLE, Exit.UNREACHABLE)
    assert "port unreachable" in found["error"]


def test_a_service_that_answers_datagrams_does_not_discard() -> None:
    with datagram_liar(lambda _: [b"thanks"]) as liar:
        done = sock("discard", "--udp", f"127.0.0.1:{liar.port}", "-W", LATE)
    assert (done.code, "is silent" in done.err) == (Exit.BAD_ANSWER, True)


def test_an_answer_ends_what_would_be_sent_without_end() -> None:
    with datagram_liar(lambda _: [b"thanks"]) as liar:
        done = sock("discard", "--udp", f"127.0.0.1:{liar.port}", "-i", "10ms", "-J")
    assert (done.code, "is silent" in host(done)["error"]) == (Exit.BAD_ANSWER, True)


@pytest.mark.parametrize("command", ["chargen", "discard"])
def test_datagrams_flow_to_the_deadline(site: Site, command: str) -> None:
    with sock_open(command, *site.to(command, "udp"), "-w", "10m", "-W", LATE, "-J") as process:
        await_two(process)


def test_only_the_rate_is_that_of_several_datagrams(site: Site) -> None:
    with sock_open("chargen", *site.to("chargen", "udp"), "--rate", "-W", LATE, "-J") as process:
        await_two(process)
    done = sock("chargen", *site.to("chargen", "udp"), "--rate", "--check")
    assert (done.code, b"give -c or -w" in done.out + done.err.encode()) == (3, True), done


def await_two(process: subprocess.Popen[bytes]) -> None:
    """Until a second datagram has been sent."""
    assert process.stdout is not None
    sent = 0
    while sent < 2:
        told = json.loads(process.stdout.readline())
        assert told["type"] != "summary"
        sent += told["counts"]["sent"] if told["type"] == "interval" else 0


def test_where_nothing_is_due_a_limit_for_loss_is_unknown_and_one_for_reports_is_not() -> None:
    with datagram_liar(lambda _: []) as liar:
        options = ("discard", "--udp", f"127.0.0.1:{liar.port}", "-c3", "-i0", "--check", "--crit")
        assert sock(*options, "loss=5").code == 3
        assert sock(*options, "undelivered=0").code == 0
    with refusing_port() as port:  # of TCP: nobody hears its datagrams either
        options = ("discard", "--udp", f"localhost:{port}", "-4", "-c3", "-i0", "-J")
        done = sock(*options)
    found = host(done)
    assert (done.code, found["counts"]["undelivered"], found["counts"]["loss"]) == (1, 3, None)
    assert found["error"].startswith(f"localhost:{port} (127.0.0.1): port unreachable")
    assert found["notes"] == []


def test_a_device_that_is_not_there_is_told_once_and_nothing_else() -> None:
    for command in ("chargen", "discard"):
        done = sock(command, "--udp", "-c", "2", "-I", "nodev", "127.0.0.1:9")
        assert (done.code, done.err.count("-I nodev: ")) == (Exit.USAGE, 1), done.err
        assert "nothing comes back" not in done.err
