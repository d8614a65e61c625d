"""From where on nobody has looked: where the unread mark goes. Pure: told the time, in seconds.

Terminals that report it say whether they have the focus; of others it is taken from when somebody
typed last.
"""

from __future__ import annotations

from attrs import define, field

AWAY_SECONDS = 60.0
"""Without a key, after which nobody looks, where the terminal does not say."""


@define(eq=False)
class Unread:
    """One mark, above the first message that comes while nobody looks."""

    has_focus: bool | None = field(default=None, init=False)
    """None where the terminal has not said so yet."""
    _touched: float = field(default=0.0, init=False)
    _is_marked: bool = field(default=False, init=False)

    def touch(self, now: float) -> None:
        """Somebody has typed."""
        self._touched = now
        self._is_marked = False

    def focus(self, has_focus: bool, now: float) -> None:
        """The terminal has got the focus, or lost it."""
        self.has_focus = has_focus
        self.touch(now)

    def message(self, now: float) -> bool:
        """A message has come. Whether the mark goes above it."""
        is_away = (
            now - self._touched >= AWAY_SECONDS if self.has_focus is None else not self.has_focus
        )
        if not is_away or self._is_marked:
            return False
        self._is_marked = True
        return True
