"""Both clocks at one moment: what the kernel says by the one is carried over to the other."""

from __future__ import annotations

import time
from typing import NamedTuple

_CLOCKS_NS = 20_000
"""Between two clocks that are read at one moment: more, and another process ran between them."""
_CLOCK_TRIES = 3


class ClockReading(NamedTuple):
    """Both clocks at one moment, in nanoseconds: what the one says is carried over to the other."""

    monotonic_ns: int
    wall_ns: int

    @property
    def offset_ns(self) -> int:
        """What to add to a time by the wall clock to have it by the monotonic clock."""
        return self.monotonic_ns - self.wall_ns


def read_clocks() -> ClockReading:
    """Both clocks, as close together as this process is let."""
    for _ in range(_CLOCK_TRIES):
        both = ClockReading(time.monotonic_ns(), time.time_ns())
        if time.monotonic_ns() - both.monotonic_ns < _CLOCKS_NS:
            break
    return both
