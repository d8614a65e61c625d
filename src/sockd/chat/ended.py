"""Sessions that have ended lately: what of them may still come, and what it is told.

A cookie is good for a minute, so what was recorded of a session could take it up again after its
end, with numbers that it has had. And who was sent away may not have heard it.
"""

from __future__ import annotations

from collections import OrderedDict

from attrs import define

from sockd.chat.members import Session, User

SECONDS = 120.0
"""How long they are remembered: longer than a cookie is good, and four signs of life long."""
KEPT = 10_000
"""How many of them: each takes a kilobyte."""
AGAIN_SECONDS = 0.2
"""Between two answers to one session that was sent away: its client tries again after 0.3 s."""


@define(eq=False)
class End:
    """The end of one session."""

    user: User
    session: Session
    at: float
    why: bytes
    """What it is told when it still comes; nothing where it may come back."""
    answered: float = float("-inf")

    def may_answer(self, now: float) -> bool:
        """Whether it is told once more."""
        if not self.why or now < self.answered + AGAIN_SECONDS:
            return False
        self.answered = now
        return True


class Ended:
    """Those that have ended lately, by their ids."""

    def __init__(self) -> None:
        self._ends: OrderedDict[bytes, End] = OrderedDict()

    def __len__(self) -> int:
        return len(self._ends)

    def add(self, user: User, now: float, why: bytes = b"") -> None:
        """A session has ended. `why`: its user was sent away."""
        if user.session is not None:
            self._ends[user.session.id] = End(user, user.session, now, why)
            if len(self._ends) > KEPT:
                self._ends.popitem(last=False)

    def find(self, session: bytes, now: float) -> End | None:
        """The end of a session, if it was lately."""
        while self._ends and now >= (oldest := next(iter(self._ends.values()))).at + SECONDS:
            del self._ends[oldest.session.id]
        return self._ends.get(session)

    def discard(self, session: bytes) -> None:
        """It was taken up again."""
        self._ends.pop(session, None)
