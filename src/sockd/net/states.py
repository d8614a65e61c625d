"""The states of a connection: how long each may last, and why the connection ends after that.

A connection is in the first state of `STATES` that holds. Its time begins anew whenever the state
changes, or what the state calls progress. Whatever the state, a text and the connection as a whole
have their time, and there may be a pace that must be kept: a byte now and then is progress, and yet
holds nothing for ever. The guard has all connections looked at once a second, so that no message
pays for a timer.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import ClassVar, Protocol

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
    since: float
    """When it began, in seconds of the clock."""
    bytes_out: int
    requests: int
    """Requests that were taken so far."""
    reads_frames: ClassVar[bool]

    @property
    def is_working(self) -> bool:
        """The peer waits for us."""

    @property
    def is_partial(self) -> bool:
        """A request has begun and is not whole."""

    @property
    def text(self) -> int:
        """Which text it is that has begun and is not whole, counted from 1; 0: none."""

    @property
    def moved(self) -> int:
        """Bytes that were received, or taken by the peer, so far."""

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
        "frame",
        lambda session: session.is_partial and session.reads_frames,
        lambda limits, _: limits.line_timeout,
        "frame_timeout",
        lambda session: session.requests,
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


@frozen
class Overdue:
    """Why a connection has to end now, and how."""

    reason: Reason
    is_abrupt: bool = False
    is_told: bool = False


class Times:
    """What is to be remembered of a connection, to tell when its time is over."""

    __slots__ = (
        "_idle_since",
        "_moved",
        "_pace_since",
        "_progress",
        "_since",
        "_state",
        "_text",
        "_text_since",
        "_transferred",
    )

    def __init__(self, since: float) -> None:
        self._state = STATES[0]
        self._progress: object = None
        self._since = self._idle_since = since
        self._transferred = 0
        self._text = 0
        self._text_since = 0.0
        self._pace_since: float | None = None
        self._moved = 0

    def overdue(self, session: Facts, limits: Limits, now: float) -> Overdue | None:
        """What is over; None if nothing is. To be asked once a second or so."""
        if (transferred := session.transferred) != self._transferred:
            self._transferred, self._idle_since = transferred, now
        state = state_of(session)
        progress = state.progress(session)
        if (state, progress) != (self._state, self._progress):
            self._state, self._progress, self._since = state, progress, now
        limit = state.limit(limits, session)
        if now - self._since >= limit:
            return Overdue(state.because(limit), state.is_abrupt, state.is_told)
        return (
            self._text_overdue(session, limits, now)
            or self._all_overdue(session, limits, now)
            or self._too_slow(session, limits, now)
        )

    def idle(self, session: Facts, now: float) -> float:
        """Seconds since a byte came or was sent: as exactly as it is asked for what is overdue."""
        return 0.0 if session.transferred != self._transferred else now - self._idle_since

    def _text_overdue(self, session: Facts, limits: Limits, now: float) -> Overdue | None:
        text = session.text
        if text != self._text:
            self._text, self._text_since = text, now
        if not text or session.is_closing or now - self._text_since < limits.text_timeout:
            return None
        return Overdue(because("text_timeout", limit=limits.text_timeout), is_told=True)

    def _all_overdue(self, session: Facts, limits: Limits, now: float) -> Overdue | None:
        over = now - session.since - limits.total_timeout
        # who was asked to end has the time that it has for taking what it was sent, once
        if over < (limits.write_timeout if session.is_closing else 0):
            return None
        is_abrupt = session.is_closing or not session.is_open
        return Overdue(because("total_timeout", limit=limits.total_timeout), is_abrupt)

    def _too_slow(self, session: Facts, limits: Limits, now: float) -> Overdue | None:
        pace = limits.min_rate
        if pace.is_off or not session.is_open:
            self._pace_since = None
            return None
        begun, before = self._pace_since, self._moved
        if begun is not None and now - begun < pace.per and not self._is_ours:
            return None
        self._pace_since, self._moved = now, session.moved
        if begun is None or self._is_ours or self._moved - before >= pace.size:
            return None
        is_stuck = session.is_closing or Hold.PEER in session.holds
        return Overdue(because("min_rate", limit=pace), is_stuck)

    @property
    def _is_ours(self) -> bool:
        """Whether the peer waits for us: that is not its pace."""
        return self._state.name == "working"
