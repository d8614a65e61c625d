"""What the network says of the client's datagrams: who is told, and what it counts for."""

from __future__ import annotations

import select
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred

from sockd.client.errors import UsageFault
from sockd.client.net.datagrams import (
    MOST_KINDS,
    open_host,
)
from sockd.client.net.icmp import MOST_ERRORS, NetworkError, NotDelivered, Origin
from tests.client.askers import FAMILIES, bounce, nobody, send_in_vain, server, to
from tests.helpers import until
from tests.memory import REACTOR
from tests.processes import PATIENCE


@pytest.mark.parametrize(("family", "host"), FAMILIES)
@pytest_twisted.ensureDeferred
async def test_nobody_there_is_said_at_once_by_whom(family: int, host: str) -> None:
    datagrams = open_host(REACTOR, nobody(family, host))
    with pytest.raises(NotDelivered, match=f"port unreachable, said by {host}$") as failed:
        await datagrams.ask(b"hello", wait=PATIENCE, retries=3)
    datagrams.close()
    assert failed.value.error.payload == b"hello"
    assert failed.value.error.destination == datagrams.address
    assert [(one.text, one.sender, one.count) for one in datagrams.icmp()] == [
        ("port unreachable", host, 1)
    ]


@pytest.mark.parametrize(("family", "host"), FAMILIES)
@pytest_twisted.ensureDeferred
async def test_errors_of_earlier_datagrams_are_no_later_ones_fault(family: int, host: str) -> None:
    told: list[NetworkError] = []
    datagrams = open_host(REACTOR, nobody(family, host), on_error=told.append)
    for number in range(100):
        datagrams.send(b"%d" % number)
    assert datagrams.send_batch([b"%d" % number for number in range(100, 132)]).refused == ()
    await until(lambda: len(told) == 132)
    assert [error.payload for error in told] == [b"%d" % number for number in range(132)]
    poll = select.poll()
    poll.register(datagrams.opened.sock, 0)
    assert poll.poll(0) == []  # nothing is left that would keep the reactor busy
    datagrams.close()


@pytest_twisted.ensureDeferred
async def test_answers_come_after_errors_as_before() -> None:
    with server() as sock:
        datagrams = open_host(REACTOR, nobody())
        with pytest.raises(NotDelivered):
            await datagrams.ask(b"hello", wait=PATIENCE)
        sock.sendto(b"still here", datagrams.opened.sock.getsockname())
        assert (await datagrams.receive(PATIENCE)).data == b"still here"
        datagrams.close()


@pytest_twisted.ensureDeferred
async def test_an_error_about_another_datagram_does_not_end_the_wait() -> None:
    with server() as sock, to(sock) as datagrams:
        asked = Deferred.fromCoroutine(datagrams.ask(b"hello", wait=PATIENCE))
        datagrams._tell_of(error(payload=b"something else"))
        bounce(sock)
        assert (await asked).data == b"hello"


def error(code: int = 3, **more: Any) -> NetworkError:
    return NetworkError(errno=111, origin=Origin.ICMP, type=3, code=code, **more)


def test_errors_at_the_end_are_counted_and_told() -> None:
    told: list[NetworkError] = []
    datagrams = open_host(REACTOR, nobody(), on_error=told.append)
    send_in_vain(datagrams)
    datagrams.close()
    assert [one.count for one in datagrams.icmp()] == [len(told)] == [1]


def test_all_errors_can_be_told_at_once() -> None:
    told: list[NetworkError] = []
    datagrams = open_host(REACTOR, nobody(), on_error=told.append)
    for _ in range(MOST_ERRORS + 1):
        send_in_vain(datagrams)
    datagrams.read_errors()
    assert len(told) == MOST_ERRORS + 1
    datagrams.close()
    assert len(told) == MOST_ERRORS + 1


def test_errors_are_counted_apart_only_to_a_bound() -> None:
    with server() as sock, to(sock) as datagrams:
        for number in range(MOST_KINDS + 5):
            datagrams._tell_of(error(sender=f"10.0.0.{number}"))
        assert len(datagrams.icmp()) == MOST_KINDS + 1
        assert datagrams.errors["others", None] == 5


def test_our_own_kernel_is_named_where_it_speaks_by_our_address() -> None:
    with server() as sock, to(sock) as datagrams:
        there = ("127.0.0.9", 7)
        datagrams._tell_of(error(code=1, sender="127.0.0.1", destination=there))
        assert [(one.text, one.sender) for one in datagrams.icmp()] == [("host unreachable", None)]


def test_what_cannot_be_sent_is_said() -> None:
    with server() as sock, to(sock) as datagrams:
        with pytest.raises(UsageFault, match=r"^cannot send to 127.*: the datagram is too long$"):
            datagrams.send(bytes(65_508))
        assert datagrams.send_batch([b"short", bytes(65_508), b"short"]).refused == (1,)
        assert datagrams.icmp() == ()
