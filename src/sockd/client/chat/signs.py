"""Signs of life: a server logs off who sends none, and an old one may not know them."""

from __future__ import annotations

from attrs import define

ALIVE_SECONDS = 30.0
"""Between two signs of life."""
SIGN_SECONDS = 1.0
"""Within which an old server that knows no signs of life says so."""


@define(eq=False)
class Signs:
    """Ours."""

    next_at: float = 0.0
    _sent_at: float = float("-inf")
    _unknown: bytes | None = None
    """What an old server says that does not know them."""

    def begin(self, now: float) -> None:
        """A log-in is one."""
        self.next_at = now + ALIVE_SECONDS

    def sent(self, now: float) -> None:
        """There was one."""
        self.next_at, self._sent_at = now + ALIVE_SECONDS, now

    def is_answer(self, error: bytes, wished_at: float, now: float) -> bool:
        """Whether an old server answers so to a sign of life, and not to what was sent last."""
        is_to_sign = wished_at < self._sent_at <= now < self._sent_at + SIGN_SECONDS
        if self._unknown is None and is_to_sign:
            self._unknown = error
        return error == self._unknown
