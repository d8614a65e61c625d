"""From a command line to a run: every address of every host."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import CancelledError, Deferred

from sockd.client.asking import Asking
from sockd.client.asks import ConversationHost, Talk
from sockd.client.commands.texts import DAYTIME, ask_text
from sockd.client.errors import TimedOut
from sockd.client.exits import Exit
from sockd.client.net import resolve
from sockd.client.process import Run
from sockd.client.reach import reach
from sockd.client.report import Error, Event, Summary
from sockd.client.start import ask_all, every_address
from sockd.client.targets import Target, Transport
from tests.client.liars import datagram_liar, refusing_port, says, stream_liar
from tests.client.running import SOCK, sock, sock_open
from tests.memory import REACTOR
from tests.processes import PATIENCE

IP_PKTINFO = 8  # linux/in.h
LATE = ("-W", "60s")


def test_a_name_that_is_not_found_keeps_no_other_host_from_being_asked() -> None:
    with datagram_liar(lambda data: [data]) as server:
        done = sock(
            "echo", "-J", *LATE, "--all-addresses", "-c1", "--port", str(server.port),
            "nobody.invalid", "127.0.0.1",
        )  # fmt: skip
    told = [json.loads(line) for line in done.out.splitlines()]
    assert [event["type"] for event in told].count("summary") == 1
    hosts = {host["target"]: host for host in told[-1]["hosts"]}
    assert hosts["127.0.0.1"]["counts"]["received"] == 1
    assert hosts["nobody.invalid"]["exit"] == 6
    assert done.code == 6


@contextmanager
def hanging(monkeypatch: pytest.MonkeyPatch, count: int) -> Iterator[threading.Barrier]:
    """A name server that answers once it has been asked so many questions."""
    all_asked = threading.Barrier(count, timeout=PATIENCE)

    def look(host: str, port: int, family: int, kind: int) -> list[Any]:
        all_asked.wait()
        return [(socket.AF_INET, kind, 0, "", ("192.0.2.1", port))]

    monkeypatch.setattr(resolve.LOOKUPS, "getaddrinfo", look)
    try:
        yield all_asked
    finally:
        all_asked.abort()


def targets(*names: str) -> list[Target]:
    return [Target(Transport.UDP, name, 7) for name in names]


@pytest_twisted.ensureDeferred
async def test_all_names_are_asked_for_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(REACTOR, Asking(wait=PATIENCE), lambda _: None)
    with hanging(monkeypatch, 3):
        found = await every_address(run, targets("a.invalid", "b.invalid", "c.invalid"))
    assert [target.host for target in found] == ["192.0.2.1"], "each address once"


@pytest_twisted.ensureDeferred
async def test_who_looks_for_names_can_be_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(REACTOR, Asking(wait=PATIENCE), lambda _: None)
    with hanging(monkeypatch, 9):
        looking = Deferred.fromCoroutine(every_address(run, targets("a.invalid", "b.invalid")))
        looking.cancel()
        with pytest.raises(CancelledError):
            await looking


async def ask(
    asking: Asking, *names: str, transport: Transport = Transport.UDP, port: int = 7
) -> tuple[Exit, list[Event]]:
    """How a run ends that asks these, and what it has told."""
    told: list[Event] = []
    run = Run(REACTOR, asking, told.append)
    asked = [Target(transport, name, port) for name in names]
    code = await ask_all(
        run, "daytime", asked, lambda run, one: ConversationHost(run, DAYTIME, one), {}
    )
    return code, told


@pytest.mark.parametrize("all_addresses", [False, True])
@pytest_twisted.ensureDeferred
async def test_a_run_ends_by_its_deadline_though_names_are_still_looked_up(
    monkeypatch: pytest.MonkeyPatch, all_addresses: bool
) -> None:
    asking = Asking(wait=PATIENCE, deadline=0.01, all_addresses=all_addresses)
    with hanging(monkeypatch, 99):
        code, told = await ask(asking, *(f"{number}.invalid" for number in range(20)))
    assert code is Exit.TIMEOUT
    errors = [event for event in told if isinstance(event, Error)]
    assert [(error.message, error.exit) for error in errors] == [
        (f"no answer from {number}.invalid:7 by the end of 0.01 s", Exit.TIMEOUT)
        for number in range(20)
    ]


@pytest.mark.parametrize("all_addresses", [False, True])
@pytest_twisted.ensureDeferred
async def test_a_name_service_that_does_not_answer_in_time_is_no_name_that_is_not_found(
    monkeypatch: pytest.MonkeyPatch, all_addresses: bool
) -> None:
    with hanging(monkeypatch, 99):
        code, told = await ask(Asking(wait=0.01, all_addresses=all_addresses), "a.invalid")
    assert code is Exit.TIMEOUT
    [error] = [event for event in told if isinstance(event, Error)]
    assert error.reason == "timeout"
    assert error.message == "no answer from the name service for a.invalid within 0.01 s"


@pytest_twisted.ensureDeferred
async def test_a_name_service_that_fails_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def look(host: str, port: int, family: int, kind: int) -> list[Any]:
        asked.append(host)
        raise socket.gaierror(socket.EAI_FAIL, "it fails")

    monkeypatch.setattr(resolve.LOOKUPS, "getaddrinfo", look)
    for transport in (Transport.UDP, Transport.TCP):
        asking = Asking(wait=PATIENCE, all_addresses=True)
        code, told = await ask(asking, "a.invalid", transport=transport)
        assert code is Exit.UNREACHABLE
        [error] = [event for event in told if isinstance(event, Error)]
        assert error.message == "the name service fails for a.invalid (it fails)"
    assert asked == ["a.invalid", "a.invalid"]


@pytest_twisted.ensureDeferred
async def test_a_name_that_was_not_found_is_asked_for_anew_by_the_next_question(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fails = iter((True, False))

    def look(host: str, port: int, family: int, kind: int) -> list[Any]:
        if next(fails):
            raise socket.gaierror(socket.EAI_FAIL, "it fails")
        return socket.getaddrinfo("127.0.0.1", port, 0, kind)

    monkeypatch.setattr(resolve.LOOKUPS, "getaddrinfo", look)
    with datagram_liar(lambda _: [b"now"]) as server:
        asking = Asking(wait=PATIENCE, all_addresses=True, retries=1)
        code, _ = await ask(asking, "a.invalid", port=server.port)
    assert code is Exit.ANSWERED


@pytest.mark.parametrize("transport", [Transport.UDP, Transport.TCP])
@pytest_twisted.ensureDeferred
async def test_of_every_address_is_told_how_long_its_name_was_looked_up(
    monkeypatch: pytest.MonkeyPatch, transport: Transport
) -> None:
    def look(host: str, port: int, family: int, kind: int) -> list[Any]:
        return socket.getaddrinfo("127.0.0.1", port, 0, kind)

    monkeypatch.setattr(resolve.LOOKUPS, "getaddrinfo", look)
    with datagram_liar(lambda _: [b"now"]) as datagrams, stream_liar(says(b"now")) as streams:
        port = datagrams.port if transport is Transport.UDP else streams.port
        asking = Asking(wait=PATIENCE, all_addresses=True)
        code, told = await ask(asking, "a.invalid", transport=transport, port=port)
    assert code is Exit.ANSWERED
    summary = told[-1]
    assert isinstance(summary, Summary)
    [host] = summary.hosts
    assert host.target == "a.invalid (127.0.0.1)"
    assert host.timing is not None
    assert 0 < (host.timing.resolve_ns or 0) <= summary.elapsed_ns


@pytest_twisted.ensureDeferred
async def test_messages_of_an_address_name_it_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def look(host: str, port: int, family: int, kind: int) -> list[Any]:
        return socket.getaddrinfo("127.0.0.1", port, 0, kind)

    monkeypatch.setattr(resolve.LOOKUPS, "getaddrinfo", look)
    with refusing_port() as port:  # of TCP: nobody hears its datagrams either
        _, told = await ask(Asking(wait=PATIENCE, all_addresses=True), "a.invalid", port=port)
    [error] = [event for event in told if isinstance(event, Error)]
    assert error.message.startswith(f"127.0.0.1:{port}: port unreachable")


@pytest_twisted.ensureDeferred
async def test_who_is_silent_is_told_by_name_and_address(monkeypatch: pytest.MonkeyPatch) -> None:
    def look(host: str, port: int, family: int, kind: int) -> list[Any]:
        return socket.getaddrinfo("127.0.0.1", port, 0, kind)

    monkeypatch.setattr(resolve.LOOKUPS, "getaddrinfo", look)
    run = Run(REACTOR, Asking(wait=PATIENCE), lambda _: None)
    with datagram_liar(lambda _: []) as server:
        target = Target(Transport.UDP, "a.invalid", server.port)
        datagrams = await reach(run, target)
        run.asking = Asking(wait=0.01)
        with pytest.raises(TimedOut) as told:
            await ask_text(datagrams, Talk(run, target, 0))
        datagrams.close()
    assert str(told.value) == f"no answer from {target} (127.0.0.1) within 0.01 s"


def test_a_question_that_waits_for_its_answer_is_told_to_be_on_its_way() -> None:
    with (
        datagram_liar(lambda _: []) as server,
        sock_open("daytime", "--udp", "-J", "-c2", *LATE, f"127.0.0.1:{server.port}") as process,
    ):
        assert process.stdout is not None
        interval = next(line for line in process.stdout if b'"type":"interval"' in line)
    assert json.loads(interval)["counts"]["in_flight"] == 1


def test_what_cannot_be_meant_is_asked_once() -> None:
    done = sock("daytime", "--udp", "-J", "-c9", "-i9", "-I", "nosuch0", "127.0.0.1")
    assert done.code == 2
    assert json.loads(done.out.splitlines()[-1])["hosts"][0]["counts"]["sent"] == 1


@pytest_twisted.ensureDeferred
async def test_each_address_is_asked_once_and_called_by_the_first_name_that_has_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known = {"a.invalid": ["192.0.2.1", "2001:db8::1"], "b.invalid": ["192.0.2.1", "192.0.2.2"]}

    def look(host: str, port: int, family: int, kind: int) -> list[Any]:
        return [socket.getaddrinfo(one, port, 0, kind)[0] for one in known[host]]

    monkeypatch.setattr(resolve.LOOKUPS, "getaddrinfo", look)
    run = Run(REACTOR, Asking(wait=PATIENCE), lambda _: None)
    found = await every_address(run, targets("a.invalid", "b.invalid", "192.0.2.3"))
    assert [(target.name, target.address) for target in found] == [
        ("a.invalid (192.0.2.1)", "192.0.2.1"),
        ("a.invalid (2001:db8::1)", "2001:db8::1"),
        ("b.invalid (192.0.2.2)", "192.0.2.2"),
        ("192.0.2.3", None),
    ]


def test_of_every_address_name_and_address_are_told() -> None:
    # 127.2 is a short form of an address: another name of it
    with udp_everywhere() as port:
        there = (*LATE, "--all-addresses", "-4", "-c1", "--port", str(port), "localhost", "127.2")
        read, done = sock("echo", *there), sock("echo", "-J", *there)
    lines = read.err.splitlines()
    assert {line.split(": seq")[0] for line in lines if ": seq" in line} == {
        "64 bytes from localhost (127.0.0.1)",
        "64 bytes from 127.2 (127.0.0.2)",
    }
    assert sum(line.startswith("localhost (127.0.0.1)  ") for line in lines) >= 2, read.err
    *_, last = (json.loads(line) for line in done.out.splitlines())
    assert [(host["target"], host["name"], host["address"]) for host in last["hosts"]] == [
        ("localhost (127.0.0.1)", "localhost", "127.0.0.1"),
        ("127.2 (127.0.0.2)", "127.2", "127.0.0.2"),
    ]


def test_of_an_address_that_does_not_answer_name_and_address_are_told_too() -> None:
    with refusing_port() as port:
        there = (*LATE, "--all-addresses", "-4", "--port", str(port), "localhost", "127.2")
        read, done = sock("daytime", *there), sock("daytime", "-J", *there)
        rows = sock("time", *there).out.decode().splitlines()
        ours, _ = sock("time", *there[:-2], "127.2").out.decode().splitlines()
    assert f"sock: 127.2 (127.0.0.2): nobody answers at 127.0.0.2:{port}: connection" in read.err
    events = [json.loads(line) for line in done.out.splitlines()]
    assert {event["address"] for event in events if event["type"] == "probe"} == {
        "127.0.0.1",
        "127.0.0.2",
    }
    assert [(host["name"], host["address"]) for host in events[-1]["hosts"]] == [
        ("localhost", "127.0.0.1"),
        ("127.2", "127.0.0.2"),
    ]
    assert {line.index(" -  nobody") for line in rows} == {rows[0].index(" -  nobody")}
    assert sorted(line.split("  ")[0] for line in rows) == [
        "127.2 (127.0.0.2)",
        "localhost (127.0.0.1)",
    ]
    assert ours.startswith("localhost  ")


def test_many_hosts_are_asked_however_few_descriptors_a_shell_allows() -> None:
    hosts = " ".join(f"127.0.{number // 200}.{number % 200 + 1}" for number in range(30))
    with udp_everywhere() as port:
        done = subprocess.run(
            [
                "sh",
                "-c",
                f'ulimit -S -n 64; exec "$0" echo -W 60 -q -c1 --port {port} {hosts}',
                SOCK,
            ],
            capture_output=True,
            timeout=PATIENCE,
            check=False,
        )
    assert done.returncode == 0, done.stderr


@contextmanager
def udp_everywhere() -> Iterator[int]:
    """A server at all addresses of this host that answers from the one that was asked."""

    def serve() -> None:
        while True:
            data, told, _, asker = listening.recvmsg(1_000, 100)
            if not data:
                return
            listening.sendmsg([data], told, 0, asker)

    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening,
        ThreadPoolExecutor(1) as pool,
    ):
        listening.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
        listening.bind(("", 0))
        port = listening.getsockname()[1]
        serving = pool.submit(serve)
        try:
            yield port
        finally:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
                last.sendto(b"", ("127.0.0.1", port))
            serving.result(PATIENCE)
