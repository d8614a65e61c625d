"""Timers of the reactor: neither early nor spun for, and none is kept that was cancelled."""

from __future__ import annotations

import pytest

from sockd.reactor.timers import MOST_CANCELLED
from tests.reactor.programs import said

TIMERS = 300
BRIEF = f"""
runs = due = early = 0
run_until_current = reactor.runUntilCurrent

def count():
    global runs
    runs += 1
    run_until_current()

def again(delay, set_at):
    global due, early
    due += 1
    early += reactor.seconds() < set_at + delay
    if due < {TIMERS}:
        set_timer((due % 7 + 1) * 0.0003)
    else:
        reactor.stop()

def set_timer(delay):
    reactor.callLater(delay, again, delay, reactor.seconds())

reactor.runUntilCurrent = count
set_timer(0.0003)
reactor.run()
print(runs, early)
"""
CANCELLED = """
import socket, weakref
from twisted.internet.abstract import FileDescriptor

ours, theirs = socket.socketpair()
theirs.send(b"x")
made = []

class Reads(FileDescriptor):
    def fileno(self):
        return ours.fileno()

    def doRead(self):
        call = reactor.callLater(3600, print)
        made.append(weakref.ref(call))
        call.cancel()
        if len(made) == 5000:
            print(sum(one() is not None for one in made))
            reactor.stop()

reactor.callWhenRunning(Reads(reactor).startReading)
reactor.run()
"""


@pytest.mark.uvloop
@pytest.mark.parametrize("reactor", ["uvloop", "epoll"])
def test_timers_of_less_than_milliseconds_are_not_early_and_the_reactor_does_not_spin_for_them(
    reactor: str,
) -> None:
    """One may come between two ticks of the loop's clock, and is then waited for once more."""
    [line] = said(BRIEF, reactor)
    runs, early = map(int, line.split())
    assert early == 0
    assert runs <= 3 * TIMERS


@pytest.mark.uvloop
@pytest.mark.parametrize("reactor", ["uvloop", "epoll"])
def test_timers_that_were_cancelled_are_forgotten_though_none_is_due(reactor: str) -> None:
    [kept] = said(CANCELLED, reactor)
    assert int(kept) <= MOST_CANCELLED + 2
