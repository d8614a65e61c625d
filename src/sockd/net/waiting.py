"""Waiting for something, and no longer than for so many seconds."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime


def within(seconds: float, waited: Deferred[Any], clock: IReactorTime) -> Deferred[None]:
    """Fires when what is waited for does, which does not fail, or after so many seconds."""
    over: Deferred[None] = Deferred()
    end = clock.callLater(seconds, over.callback, None)

    def has_fired(_: object) -> None:
        if end.active():
            end.cancel()
            over.callback(None)

    waited.addCallback(has_fired)
    return over
