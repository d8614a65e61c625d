"""What was sent and is not confirmed yet: each is sent again a few times, then given up.

Pure: told the time, in seconds.
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import define, field

RETRIES = (0.3, 1.0, 3.0)
"""Seconds from one try to the next."""
GIVES_UP = 3.0
"""Seconds after the last try."""


@define(eq=False)
class Pending:
    """An event that the server has not confirmed."""

    number: int
    data: bytes
    """As it is sent, each time the same: so the server knows a double."""
    code: int
    text: str
    """What of it its user would want back."""
    next_at: float
    tries: int = 1


@define(eq=False)
class Unconfirmed:
    """All of them, by number."""

    _pending: dict[int, Pending] = field(init=False, factory=dict)

    def __len__(self) -> int:
        return len(self._pending)

    def add(self, number: int, data: bytes, code: int, text: str, now: float) -> None:
        """It has just been sent."""
        self._pending[number] = Pending(number, data, code, text, now + RETRIES[0])

    def settle(self, number: int) -> Pending | None:
        """It is confirmed, or refused. None where it is not awaited."""
        return self._pending.pop(number, None)

    def due(self, now: float) -> tuple[Sequence[Pending], Sequence[Pending]]:
        """Those to send again now, and those that are given up."""
        again, over = [], []
        for one in list(self._pending.values()):
            if now < one.next_at:
                continue
            if one.tries > len(RETRIES):
                over.append(self._pending.pop(one.number))
                continue
            one.next_at = now + (RETRIES[one.tries] if one.tries < len(RETRIES) else GIVES_UP)
            one.tries += 1
            again.append(one)
        return again, over

    @property
    def next_at(self) -> float | None:
        """When one is due next."""
        return min((one.next_at for one in self._pending.values()), default=None)

    def clear(self) -> Sequence[Pending]:
        """None of them will be confirmed."""
        gone = list(self._pending.values())
        self._pending.clear()
        return gone
