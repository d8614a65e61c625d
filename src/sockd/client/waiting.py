"""Waiting in coroutines: for a moment, or for no longer than that."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import AlreadyCalled, AlreadyCancelled
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from sockd.client.errors import ClientError, Unreachable

T = TypeVar("T")


def sleep(clock: IReactorTime, seconds: float) -> Deferred[None]:
    """Fires after so many seconds; cancelling it cancels the timer."""

    def cancelled(_: Deferred[None]) -> None:
        with suppress(AlreadyCalled, AlreadyCancelled):
            call.cancel()

    waits: Deferred[None] = Deferred(cancelled)
    call = clock.callLater(max(0.0, seconds), waits.callback, None)
    return waits


async def within(
    clock: IReactorTime, seconds: float | None, task: Coroutine[Deferred[Any], Any, T]
) -> T:
    """The result of a coroutine; TimeoutError where it takes longer. None: as long as it takes."""
    deferred = Deferred.fromCoroutine(task)
    if seconds is None:
        return await deferred
    is_over = False

    def stop() -> None:
        nonlocal is_over
        is_over = True
        deferred.cancel()

    call = clock.callLater(seconds, stop)
    try:
        return await deferred
    except CancelledError:
        if is_over:
            raise TimeoutError from None
        raise
    finally:
        if call.active():
            call.cancel()


def watch(
    task: Coroutine[Deferred[Any], Any, None],
    told: Callable[[ClientError], None],
    at_end: str,
) -> None:
    """Tell of the error that ends a coroutine, or that it ended: `Unreachable` with these words."""

    def ended(failure: Failure | None) -> None:
        if failure is None:
            told(Unreachable(at_end))
        elif isinstance(failure.value, ClientError):
            told(failure.value)
        else:
            failure.raiseException()

    Deferred.fromCoroutine(task).addBoth(ended)


def wake(clock: IReactorTime, waits: Deferred[None]) -> None:
    """Fire it in the reactor's next turn, unless it was cancelled by then.

    A coroutine must not go on within another one: it may end it, and what runs cannot be cancelled.
    """

    def fire() -> None:
        if not waits.called:
            waits.callback(None)

    clock.callLater(0, fire)


async def beside(
    main: Coroutine[Deferred[Any], Any, T], side: Coroutine[Deferred[Any], Any, None]
) -> T:
    """The result of `main`, while `side` runs too; what `side` raises ends both.

    They wake each other by `wake` alone.
    """
    failures: list[Failure] = []
    running = Deferred.fromCoroutine(main)

    def failed(failure: Failure) -> None:
        if not failure.check(CancelledError):
            failures.append(failure)
            running.cancel()

    beside_it = Deferred.fromCoroutine(side)
    beside_it.addErrback(failed)
    try:
        return await running
    except CancelledError:
        if failures:
            failures[0].raiseException()
        raise
    finally:
        beside_it.cancel()
