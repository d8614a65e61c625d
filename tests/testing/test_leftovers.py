"""A test that leaves something behind has failed."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from sockd.testing import LogRecorder, Loop, connect, make_context, make_world, nothing_left
from tests.memory import REACTOR
from tests.testing.kinds import SHOUT

KEPT: list[Callable[[], object]] = []
"""What takes away what a test here has left."""


def leave_a_timer() -> None:
    loop = Loop()
    make_context(SHOUT, make_world(loop))
    loop.callLater(5, print)


def leave_a_timer_of_the_reactor() -> None:
    KEPT.append(REACTOR.callLater(600, print).cancel)


def leave_a_descriptor() -> None:
    descriptor = os.open(os.devnull, os.O_RDONLY)
    KEPT.append(lambda: os.close(descriptor))


def leave_a_fault() -> None:
    Logger().error("by design")


def leave_a_deferred_that_failed_unseen() -> None:
    failed: Deferred[None] = Deferred()
    failed.errback(ZeroDivisionError("by design"))


def leave_a_session() -> None:
    client = connect(SHOUT, make_context(SHOUT))
    # whoever holds it does not let go of it
    client.protocol.connectionLost = lambda reason: None
    KEPT.append(lambda: client.protocol.context.guard.leave(client.protocol))


LEFT: dict[Callable[[], None], str] = {
    leave_a_timer: "a delayed call",
    leave_a_timer_of_the_reactor: "a delayed call",
    leave_a_descriptor: "a descriptor: /dev/null",
    leave_a_fault: "a fault in the log: .* by design",
    leave_a_deferred_that_failed_unseen: "ZeroDivisionError",
    leave_a_session: "an open session",
}


@pytest.mark.parametrize("leave", LEFT, ids=lambda leave: leave.__name__)
def test_what_is_left_is_told(leave: Callable[[], None], log: LogRecorder) -> None:
    with pytest.raises(AssertionError, match=LEFT[leave]), nothing_left():
        leave()
    while KEPT:
        KEPT.pop()()
    log.flush_faults()


def test_clients_and_what_they_share_end_with_the_test() -> None:
    with nothing_left() as log:
        client = connect(SHOUT, make_context(SHOUT))
        client.send(b"a\n")
    assert client.is_closed
    assert [str(one["reason"]) for one in log.events("closed")] == ["connection lost"]


def test_a_fault_that_the_test_knows_of_is_none(log: LogRecorder) -> None:
    with nothing_left() as inner:
        leave_a_fault()
        assert len(inner.flush_faults()) == 1
    log.flush_faults()


def test_what_fails_within_is_what_is_told() -> None:
    def leave_and_fail() -> None:
        leave_a_timer()
        raise ZeroDivisionError("by design")

    with pytest.raises(ZeroDivisionError, match="by design"), nothing_left():
        leave_and_fail()
