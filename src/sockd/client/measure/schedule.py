"""When probes are due: by a schedule that answers do not move, or as a window of them allows."""

from __future__ import annotations


class Schedule:
    """An open loop: probe n is due at `start_ns` + n * `interval_ns`, whatever became of others.

    A slot is missed where the next one is due before anything was sent: it is counted and left out,
    as to catch up would be a burst that nobody asked for. What was sent late by less than that has
    its lateness (its send less its due time), which is the instrument's delay and not the
    network's. Raises ValueError for an interval that is not positive.
    """

    __slots__ = ("_slot", "interval_ns", "missed", "start_ns")

    def __init__(self, start_ns: int, interval_ns: int) -> None:
        if interval_ns <= 0:
            raise ValueError("the interval of a schedule is greater than 0")
        self.start_ns = start_ns
        self.interval_ns = interval_ns
        self.missed = 0
        """Slots in which nothing was sent."""
        self._slot = 0

    @property
    def due_ns(self) -> int:
        """When the next probe is due."""
        return self.start_ns + self._slot * self.interval_ns

    def take(self, now_ns: int) -> int | None:
        """The due time of the probe that is to be sent now; None where it is too early.

        The slot is taken by it: it is to be sent, or counted as failed.
        """
        slot = (now_ns - self.start_ns) // self.interval_ns
        if slot < self._slot:
            return None
        self.missed += slot - self._slot
        self._slot = slot + 1
        return self.start_ns + slot * self.interval_ns


class Window:
    """A closed loop: a probe is sent when one before it was answered, lost or failed.

    So a slow answer holds back what would have met the same slowness: round trips of a window tell
    what the path carries, and look better than those of a schedule. Summaries say that it was one.
    """

    __slots__ = ("size",)

    def __init__(self, size: int) -> None:
        self.size = size
        """Probes on their way at once."""

    def room(self, in_flight: int) -> int:
        """How many may be sent now."""
        return max(0, self.size - in_flight)
