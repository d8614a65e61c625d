"""Datagrams that nobody answers, and when they go out."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from sockd.client.asking import Asking
from sockd.client.errors import BadAnswer
from sockd.client.exits import Exit
from sockd.client.net.icmp import NotDelivered
from sockd.client.process import Run
from sockd.client.talk.oneway import GRACE, HOLDS, MOST_BEHIND, OneWayHost
from sockd.client.targets import Target, Transport
from tests.client.askers import bounce, wait_refused
from tests.client.liars import datagram_liar
from tests.processes import PATIENCE

HOUR = 3600.0


class Deaf(Clock):
    """A clock that is moved, on which nothing is ever there to be read."""

    def addReader(self, reader: Any) -> None:
        """Taken, and never asked."""

    removeReader = removeWriter = addReader


@pytest.mark.parametrize("interval", [0.25, 0.5])
def test_a_run_that_stood_still_does_not_send_an_hours_datagrams_at_once(
    tmp_path: Path, interval: float
) -> None:
    path, clock = tmp_path / "sink", Deaf()
    with datagram_liar(lambda _: [], path=path) as liar:
        target = Target(Transport.UNIXGRAM, path=str(path))
        host, over = going(clock, target, interval=interval)
        over.addErrback(lambda failure: failure.trap(CancelledError) and None)
        clock.advance(HOUR)
        made_up = round(MOST_BEHIND / interval)
        assert host.summary(None).counts.sent in range(made_up, made_up + 3)
        clock.advance(interval * 1.5)
        over.cancel()
        assert host.summary(None).counts.sent in range(made_up + 1, made_up + 4)
        assert len(liar.wait_heard(made_up)) >= made_up


def going(clock: Clock, target: Target, **options: Any) -> tuple[OneWayHost, Deferred[None]]:
    """A host that is being sent to on a clock that is moved; nothing is read but when asked."""
    run = Run(
        clock,
        Asking(**options),
        lambda _: None,
        monotonic_ns=lambda: round(clock.seconds() * 1e9),
    )
    host = OneWayHost(run, target, b"x")
    going = Deferred.fromCoroutine(host.go())
    clock.advance(0)
    return host, going


@contextmanager
def moody() -> Iterator[tuple[Target, socket.socket]]:
    """An address at which nobody hears, until the socket is bound."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as hears,
    ):
        for sock in (taken, hears):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        taken.bind(("127.0.0.1", 0))
        taken.connect(("127.0.0.1", 9))  # so that what others send finds no socket
        yield Target(Transport.UDP, host="127.0.0.1", port=taken.getsockname()[1]), hears


def refused(host: OneWayHost) -> None:
    """Wait until the kernel has said so of the last datagram."""
    assert host._datagrams is not None
    wait_refused(host._datagrams)


def is_there(host: OneWayHost) -> bool:
    """What a run asks of it at the deadline."""
    return host.has_answered


def test_what_is_reported_before_the_last_does_not_cut_the_wait_for_the_rest_short() -> None:
    clock = Deaf()
    with moody() as (target, _):
        host, over = going(clock, target, count=2, interval=0.1)
        refused(host)
        clock.advance(0.1)  # with the second the first is known to be undelivered
        clock.advance(0)
        clock.advance(GRACE * 0.9)
        assert not over.called
        refused(host)
        clock.advance(GRACE)
        clock.advance(0)
        failed = over.result
        assert isinstance(failed, Failure)
        over.addErrback(lambda failure: failure.trap(NotDelivered) and None)
        found = host.summary(None)
    assert (found.counts.sent, found.counts.undelivered, found.counts.loss) == (2, 2, None)
    assert [one.count for one in found.icmp] == [2]


def test_what_is_reported_by_the_deadline_is_known_at_the_deadline() -> None:
    clock = Deaf()
    with moody() as (target, _):
        host, over = going(clock, target, interval=1.0)
        refused(host)
        assert (host.has_answered, isinstance(host.fault, NotDelivered)) == (False, True)
        over.addErrback(lambda failure: failure.trap(CancelledError) and None)
        over.cancel()
    assert host.summary(None).exit is Exit.UNREACHABLE


def test_what_is_reported_when_it_is_stopped_is_told() -> None:
    clock = Deaf()
    with moody() as (target, _):
        host, over = going(clock, target, interval=1.0)
        refused(host)
        over.addErrback(lambda failure: failure.trap(CancelledError) and None)
        over.cancel()
        found = host.summary(None)
    assert (found.exit, found.counts.undelivered, found.notes) == (Exit.UNREACHABLE, 1, ())


def test_who_takes_most_and_the_last_is_there_though_some_did_not_arrive() -> None:
    clock = Deaf()
    with moody() as (target, hears):
        host, over = going(clock, target, interval=HOLDS)
        over.addErrback(lambda failure: failure.trap(CancelledError) and None)
        refused(host)
        assert not is_there(host)
        hears.bind(("127.0.0.1", target.port))
        clock.advance(HOLDS)
        assert not is_there(host)  # half of them
        clock.advance(HOLDS)
        assert is_there(host)
        found = host.summary(None)
        over.cancel()
    assert (found.exit, found.error, found.counts.undelivered) == (Exit.ANSWERED, None, 1)


def test_a_report_holds_while_others_may_be_held_back() -> None:
    clock = Deaf()
    with moody() as (target, hears):
        host, over = going(clock, target, interval=HOLDS / 8)
        over.addErrback(lambda failure: failure.trap(CancelledError) and None)
        refused(host)
        assert not is_there(host)
        hears.bind(("127.0.0.1", target.port))
        for _ in range(7):
            clock.advance(HOLDS / 8)
        assert not is_there(host)  # though most were not reported
        clock.advance(HOLDS / 8)
        assert is_there(host)
        over.cancel()


def test_an_answer_that_came_while_the_process_stood_still_is_found_at_the_end() -> None:
    clock = Deaf()
    with moody() as (target, hears):
        hears.bind(("127.0.0.1", target.port))
        hears.settimeout(PATIENCE)
        host, over = going(clock, target, count=1)
        bounce(hears)
        assert host._datagrams is not None
        assert select.select([host._datagrams.opened.sock], [], [], PATIENCE)[0]
        clock.advance(HOUR)
        clock.advance(0)
        failures: list[Failure] = []
        over.addErrback(failures.append)
    [failure] = failures
    assert failure.check(BadAnswer), failure
    assert "answered with 1 bytes" in str(failure.value)
