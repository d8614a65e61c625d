"""Two clocks read as one: what the kernel stamps by the wall clock, told by the monotonic clock.

The kernel says by CLOCK_REALTIME when a datagram came, which may be set at any moment; sends are
told by CLOCK_MONOTONIC, which may not. The difference of the two changes when the wall clock is
set, and only then: slewing by NTP moves both. So each reading of the difference must agree with
the one before it, within what the readings are good for; where it does not, the clock was set, and
no stamp of the datagrams that were just read can be trusted: nobody knows which came before.
"""

from __future__ import annotations

from collections.abc import Callable

TRIES = 3
"""To read both clocks close together: what is preempted three times in a row is a busy machine."""
TIGHT_NS = 2_000
"""A reading within that is not repeated: it takes some 200 ns where nothing comes between."""
GRAIN_NS = 1_000
"""What two exact readings may differ by: clocks that count whole microseconds."""


class Clocks:
    """The monotonic clock, and how far it is from the wall clock.

    Both are functions that return nanoseconds, as `time.monotonic_ns` and `time.time_ns`.
    """

    __slots__ = ("_error_ns", "_offset_ns", "monotonic", "realtime", "steps")

    def __init__(self, monotonic: Callable[[], int], realtime: Callable[[], int]) -> None:
        self.monotonic = monotonic
        self.realtime = realtime
        self.steps = 0
        """How often the wall clock was set since it was first read."""
        self._offset_ns, self._error_ns = self._difference()[1:]

    def read(self) -> tuple[int, int | None]:
        """Now by the monotonic clock; what to add to a stamp to have it by the monotonic clock.

        To be called after datagrams were read. None for the second: the wall clock was set since
        the last reading, so their stamps say nothing.
        """
        now_ns, offset_ns, error_ns = self._difference()
        if abs(offset_ns - self._offset_ns) > error_ns + self._error_ns + GRAIN_NS:
            self.steps += 1
            self._offset_ns, self._error_ns = offset_ns, error_ns
            return now_ns, None
        if error_ns < self._error_ns:
            self._offset_ns, self._error_ns = offset_ns, error_ns
        return now_ns, self._offset_ns

    def _difference(self) -> tuple[int, int, int]:
        """Now; the monotonic clock less the wall clock; by how much that may be wrong at most.

        The wall clock was read between two readings of the monotonic clock: the process may stand
        still in between, so the closest of some tries is taken.
        """
        closest: tuple[int, int, int] | None = None
        for _ in range(TRIES):
            before_ns = self.monotonic()
            real_ns = self.realtime()
            after_ns = self.monotonic()
            reading = (after_ns - before_ns, before_ns, real_ns)
            closest = min(closest, reading) if closest else reading
            if reading[0] <= TIGHT_NS:
                break
        width_ns, before_ns, real_ns = closest or reading
        return after_ns, before_ns + width_ns // 2 - real_ns, (width_ns + 1) // 2


def carried_over(
    stamp_ns: int | None, offset_ns: int | None, not_before_ns: int, now_ns: int
) -> int | None:
    """When a datagram came, by the monotonic clock, from its stamp by the wall clock.

    None where there is no stamp, where it cannot be trusted (no offset), and where it does not fit:
    it is before the question was sent, or after now. Whoever asks takes the time at which it
    read the datagram then, and counts the stamp as discarded.
    """
    if stamp_ns is None or offset_ns is None:
        return None
    at_ns = stamp_ns + offset_ns
    return at_ns if not_before_ns <= at_ns <= now_ns else None
