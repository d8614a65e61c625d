"""RFC 8305: which address is tried when, and which one wins."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.python.failure import Failure

from sockd.client.net.loop import Timers
from sockd.client.net.resolve import Address

ATTEMPT_DELAY = 0.25
"""Seconds until the next address is tried beside one that has not answered: RFC 8305, section 8."""
MOST_ATTEMPTS = 16
"""Addresses that are tried: whoever holds a name can give it any number."""

T = TypeVar("T")


def interleave(addresses: list[Address]) -> list[Address]:
    """The families by turns, the first address's family first; within one the order is kept."""
    if not addresses:
        return []
    first = [address for address in addresses if address.family == addresses[0].family]
    other = [address for address in addresses if address.family != addresses[0].family]
    both = min(len(first), len(other))
    pairs = [address for pair in zip(first, other, strict=False) for address in pair]
    return (pairs + first[both:] + other[both:])[:MOST_ATTEMPTS]


class AllFailed(Exception):
    """No address was reached; `failures` has all of them, in the order that they were tried."""

    def __init__(self, failures: dict[Address, Exception | None]) -> None:
        super().__init__()
        self.failures = failures
        """None for one that had not answered when the time was over."""


@define(eq=False)
class Race(Generic[T]):
    """Attempts beside each other; the first that connects wins, the others are cancelled."""

    timers: Timers
    connect: Callable[[Address], Deferred[T]]
    """Begins an attempt, which can be cancelled."""
    addresses: list[Address]
    wait: float
    delay: float = ATTEMPT_DELAY
    _next: int = field(default=0, init=False)
    _attempts: dict[Address, Deferred[T]] = field(factory=dict, init=False)
    """Those that have no end yet."""
    _failures: dict[Address, Exception | None] = field(factory=dict, init=False)
    _result: Deferred[tuple[Address, T]] = field(init=False)
    _timer: IDelayedCall | None = field(default=None, init=False)
    _end: IDelayedCall | None = field(default=None, init=False)
    _is_over: bool = field(default=False, init=False)

    def run(self) -> Deferred[tuple[Address, T]]:
        """The first address that was reached, and what connecting there gave; or AllFailed."""
        self._result = Deferred(lambda _: self._stop())
        self._end = self.timers.callLater(max(0.0, self.wait), self._lose)
        self._try_next()
        return self._result

    def _try_next(self) -> None:
        _cancel(self._timer)
        self._timer = None
        if self._next >= len(self.addresses):
            if not self._attempts:
                self._lose()
            return
        address = self.addresses[self._next]
        self._next += 1
        self._failures[address] = None
        if self._next < len(self.addresses):
            self._timer = self.timers.callLater(self.delay, self._try_next)
        attempt = self._attempts[address] = self.connect(address)
        attempt.addCallbacks(self._win, self._fail, (address,), errbackArgs=(address,))

    def _win(self, connected: T, address: Address) -> None:
        del self._attempts[address]
        self._stop()
        self._result.callback((address, connected))

    def _fail(self, failure: Failure, address: Address) -> None:
        if self._is_over:
            return
        del self._attempts[address]
        self._failures[address] = failure.value if isinstance(failure.value, Exception) else None
        self._try_next()

    def _lose(self) -> None:
        self._stop()
        self._result.errback(AllFailed(self._failures))

    def _stop(self) -> None:
        self._is_over = True
        _cancel(self._timer)
        _cancel(self._end)
        attempts, self._attempts = self._attempts, {}
        for attempt in attempts.values():
            attempt.cancel()


def _cancel(timer: IDelayedCall | None) -> None:
    if timer is not None and timer.active():
        timer.cancel()
