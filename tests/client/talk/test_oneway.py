"""Datagrams that nobody answers, and when they go out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock

from sockd.client.asking import Asking
from sockd.client.process import Run
from sockd.client.talk.oneway import MOST_BEHIND, OneWayHost
from sockd.client.targets import Target, Transport
from tests.client.liars import datagram_liar

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
        asking, target = Asking(interval=interval), Target(Transport.UNIXGRAM, path=str(path))
        run = Run(clock, asking, lambda _: None, monotonic_ns=lambda: round(clock.seconds() * 1e9))
        host = OneWayHost(run, target, b"x")
        going = Deferred.fromCoroutine(host.go())
        going.addErrback(lambda failure: failure.trap(CancelledError) and None)
        clock.advance(0)
        clock.advance(HOUR)
        made_up = round(MOST_BEHIND / interval)
        assert host.summary(None).counts.sent in range(made_up, made_up + 3)
        clock.advance(interval * 1.5)
        going.cancel()
        assert host.summary(None).counts.sent in range(made_up + 1, made_up + 4)
        assert len(liar.wait_heard(made_up)) >= made_up
