"""What a client knows of a channel it is in: its key, and which of its events have come."""

from __future__ import annotations

from attrs import define, field

from sockd.formats.chat.texts import Group
from sockd.formats.chat.window import Arrival, Window

PATIENCE = 1.0
"""Seconds that an event may come later than those behind it, before it counts as lost."""


@define(eq=False)
class Hearing:
    """One channel."""

    title: bytes
    key: bytes = b""
    """Nothing from an old server."""
    group: Group | None = None
    _window: Window | None = field(init=False, default=None)
    _gap_since: float | None = field(init=False, default=None)

    def arrive(self, sequence: int, now: float) -> bool:
        """An event has come; False where it is to be dropped. The first one that comes says where
        we begin."""
        if self._window is None:
            self._window = Window(sequence)
            return True
        is_new = self._window.arrive(sequence) is Arrival.NEW
        if not self._window.missing():
            self._gap_since = None
        elif self._gap_since is None:
            self._gap_since = now
        return is_new

    def lost(self, now: float) -> int:
        """How many did not come in time; they are told once."""
        if self._window is None or self._gap_since is None or now < self._gap_since + PATIENCE:
            return 0
        self._gap_since = None
        missing = self._window.missing()
        for number in missing:
            self._window.arrive(number)
        return len(missing)

    @property
    def next_at(self) -> float | None:
        """When something may count as lost."""
        return None if self._gap_since is None else self._gap_since + PATIENCE
