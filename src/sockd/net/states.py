"""The states of a connection: how long each may last, and why the connection ends after that.

A connection is in the first state of `STATES` that holds. Its time begins anew whenever the state
changes, or what the state calls progress. The guard has all connections looked at once a second,
so that no message pays for a timer.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Protocol

from attrs import frozen

from sockd.access.limits import Limits
from sockd.access.reasons import Reason, because
from sockd.options.units import Duration


class Hold(Enum):
    """Why a connection is not read from. Reading goes on when no reason is left."""

    PEER = "peer"
    """The peer does not take what it was sent."""
    WORK = "work"
    """We work on what it has asked."""
    CHILD = "child"
    """A child process does not take what the peer has sent."""


NO_HOLD: frozenset[Hold] = frozenset()


class Facts(Protocol):
    """What the states need to know of a connection."""

    is_open: bool
    """It is there, its TLS handshake done."""
    is_closing: bool
    holds: frozenset[Hold]
    bytes_out: int
    requests: int
    """Requests that were taken so far."""

    @property
    def is_working(self) -> bool:
        """The peer waits for us."""

    @property
    def is_partial(self) -> bool:
        """A request has begun and is not whole."""

    @property
    def transferred(self) -> int:
        """Bytes that were sent or received so far."""

    @property
    def taken(self) -> tuple[int, int]:
        """What changes while the peer takes what it was sent."""

    @property
    def answer_timeout(self) -> float:
        """Seconds that an answer of ours may take."""


@frozen
class State:
    """A row of the table."""

    name: str
    applies: Callable[[Facts], bool]
    limit: Callable[[Limits, Facts], float]
    """Seconds that it may last without progress."""
    reason: str
    """The name of the reason for which it ends the connection."""
    progress: Callable[[Facts], object] = lambda _: None
    is_abrupt: bool = False
    """Whether the connection is cut off, and not closed in order: nobody takes what is sent."""
    is_told: bool = False
    """Whether the peer is told in an `error: ` line."""

    def because(self, limit: float) -> Reason:
        """Why a connection ends that was in this state for so many seconds."""
        return because(self.reason, limit=Duration(limit))


STATES = (
    State(
        "handshake",
        lambda session: not session.is_open,
        lambda limits, _: limits.handshake_timeout,
        "handshake_timeout",
        is_abrupt=True,
    ),
    # it is closed, or the peer does not read: what counts is whether it takes anything
    State(
        "closing",
        lambda session: session.is_closing,
        lambda limits, _: limits.write_timeout,
        "write_timeout",
        lambda session: session.taken,
        is_abrupt=True,
    ),
    State(
        "blocked",
        lambda session: Hold.PEER in session.holds,
        lambda limits, _: limits.write_timeout,
        "write_timeout",
        lambda session: session.taken,
        is_abrupt=True,
    ),
    # the peer waits for us: it is not idle
    State(
        "working",
        lambda session: session.is_working,
        lambda _, session: session.answer_timeout,
        "answer_timeout",
        lambda session: (session.requests, session.bytes_out),
        is_told=True,
    ),
    State(
        "request",
        lambda session: session.is_partial,
        lambda limits, _: limits.line_timeout,
        "line_timeout",
        lambda session: session.requests,
        is_told=True,
    ),
    State(
        "idle",
        lambda _: True,
        lambda limits, _: limits.idle_timeout,
        "idle_timeout",
        lambda session: session.transferred,
    ),
)
"""The states, the first that holds counts."""


def state_of(session: Facts) -> State:
    """The state that a connection is in."""
    return next(state for state in STATES if state.applies(session))
