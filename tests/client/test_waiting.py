"""Coroutines that wait side by side."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock

from sockd.client.errors import ClientError, Unreachable
from sockd.client.waiting import beside, sleep, wake, within


@define(eq=False)
class Part:
    """A coroutine that waits until a test lets it go on, and knows how it ended."""

    waits: Deferred[None] = field(factory=Deferred)
    ended: list[str] = field(factory=list)

    async def go(self) -> Any:
        """Return `done`."""
        try:
            await self.waits
        except CancelledError:
            self.ended.append("cancelled")
            raise
        self.ended.append("done")
        return "done"


def run(main: Part, side: Part) -> tuple[Deferred[Any], list[Any]]:
    """Both, and where the result will be."""
    got: list[Any] = []
    running = Deferred.fromCoroutine(beside(main.go(), side.go()))
    running.addBoth(got.append)
    return running, got


def test_the_end_of_the_main_one_ends_the_other() -> None:
    main, side = Part(), Part()
    _, got = run(main, side)
    main.waits.callback(None)
    assert (got, main.ended, side.ended) == (["done"], ["done"], ["cancelled"])


def test_the_end_of_the_other_one_ends_nothing() -> None:
    main, side = Part(), Part()
    _, got = run(main, side)
    side.waits.callback(None)
    assert (got, main.ended, side.ended) == ([], [], ["done"])
    main.waits.callback(None)
    assert got == ["done"]


@pytest.mark.parametrize("fails", ["main", "side"])
def test_what_one_raises_ends_both(fails: str) -> None:
    parts = {"main": Part(), "side": Part()}
    _, got = run(parts["main"], parts["side"])
    failed = parts.pop(fails)
    failed.waits.errback(Unreachable("gone"))
    [other] = parts.values()
    assert other.ended == ["cancelled"]
    assert got[0].check(ClientError)
    assert str(got[0].value) == "gone"


def test_a_cancellation_ends_both() -> None:
    main, side = Part(), Part()
    running, got = run(main, side)
    running.cancel()
    assert got[0].check(CancelledError)
    assert (main.ended, side.ended) == (["cancelled"], ["cancelled"])


def test_who_is_woken_goes_on_in_the_next_turn_if_he_still_waits() -> None:
    clock = Clock()
    stays, leaves = Part(), Part()
    going = [Deferred.fromCoroutine(part.go()) for part in (stays, leaves)]
    for deferred in going:
        deferred.addErrback(lambda failure: failure.trap(CancelledError))
    wake(clock, stays.waits)
    wake(clock, leaves.waits)
    assert (stays.ended, leaves.ended) == ([], [])
    going[1].cancel()
    clock.advance(0)
    assert (stays.ended, leaves.ended) == (["done"], ["cancelled"])


def test_waiting_within_a_time_ends_what_takes_longer() -> None:
    clock = Clock()
    quick, slow = Part(), Part()
    got: list[Any] = []
    Deferred.fromCoroutine(within(clock, 2.0, quick.go())).addBoth(got.append)
    Deferred.fromCoroutine(within(clock, 2.0, slow.go())).addBoth(got.append)
    quick.waits.callback(None)
    clock.advance(2.0)
    assert got[0] == "done"
    assert got[1].check(TimeoutError)
    assert slow.ended == ["cancelled"]
    assert clock.getDelayedCalls() == []


def test_a_sleep_that_is_cancelled_leaves_no_timer() -> None:
    clock = Clock()
    sleeping = sleep(clock, 1.0)
    sleeping.addErrback(lambda failure: failure.trap(CancelledError))
    sleeping.cancel()
    assert clock.getDelayedCalls() == []
