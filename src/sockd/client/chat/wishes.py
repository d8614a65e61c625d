"""What the user wants to be sent, in order, and no faster than the server takes it.

Where somebody speaks depends on the channels joined before, so whatever was wished after a join
waits until that is answered. Pure: told the time, in seconds.
"""

from __future__ import annotations

from collections import deque

from attrs import define, field, frozen

from sockd.formats.chat.events import Code

BURST = 4
RATE = 1.9
"""Events at once, and a second after that: a little less than the 5 and 2 that a server takes of
one user, as on the way some are held up and come closer together than they were sent. An old
server is spared as much: what comes too fast for it is lost without a word."""
MOST = 100
"""Wishes that wait; who pipes a file in waits from there on."""
ANSWER_SECONDS = 7.0
"""Until the answer to a join that never comes holds up nothing more: longer than a new server is
asked for it, so that nothing is said in another channel meanwhile."""
CHANGES = (Code.JOIN_REQ, Code.PART_REQ)


@frozen
class Wish:
    """An event to be sent."""

    code: Code
    text: bytes
    shown: str = ""
    """What of it its user would want back."""
    is_again: bool = False
    """A join of a channel that we are in."""


@define(eq=False)
class Wishes:
    """Those that wait."""

    _waiting: deque[Wish] = field(factory=deque, init=False)
    _tokens: float = field(default=float(BURST), init=False)
    _tokens_at: float = field(default=0.0, init=False)
    _changing_until: float | None = field(default=None, init=False)

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, wish: Wish) -> bool:
        """One more; False where too many wait."""
        if len(self._waiting) >= MOST:
            return False
        self._waiting.append(wish)
        return True

    def add_first(self, wishes: list[Wish]) -> None:
        """These come before all others, in this order."""
        self._waiting.extendleft(reversed(wishes))

    def take(self, now: float) -> Wish | None:
        """The next, if it may go now."""
        self._fill(now)
        at = self.ready_at
        if at is None or at > now:
            return None
        self._tokens -= 1
        wish = self._waiting.popleft()
        self._changing_until = now + ANSWER_SECONDS if wish.code in CHANGES else None
        return wish

    def drop_again(self) -> None:
        """Joins of channels that we are in are about to be wished anew."""
        self._waiting = deque(one for one in self._waiting if not one.is_again)

    def charge(self, count: float) -> None:
        """So many were sent again: the server may not have had the first tries."""
        self._tokens -= count

    def slow_down(self) -> None:
        """The server has had too many: the next waits for its turn."""
        self._tokens = min(self._tokens, 0.0)

    def answered(self) -> None:
        """The server has answered a join or a part, or refused it."""
        self._changing_until = None

    @property
    def is_change_next(self) -> bool:
        """Whether the next is to be in other channels."""
        return bool(self._waiting) and self._waiting[0].code in CHANGES

    def is_changing(self, now: float) -> bool:
        """Whether the answer to a change is awaited."""
        return self._changing_until is not None and now < self._changing_until

    @property
    def ready_at(self) -> float | None:
        """When the next may go; None where there is none."""
        if not self._waiting:
            return None
        at = self._tokens_at
        if self._tokens < 1:
            at += (1 - self._tokens) / RATE
        return max(at, self._changing_until or at)

    def clear(self) -> list[Wish]:
        """None of them will be sent."""
        gone = list(self._waiting)
        self._waiting.clear()
        self._changing_until = None
        return gone

    def _fill(self, now: float) -> None:
        if now > self._tokens_at:
            self._tokens = min(BURST, self._tokens + (now - self._tokens_at) * RATE)
            self._tokens_at = now
