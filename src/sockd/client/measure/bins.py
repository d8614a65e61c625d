"""Bins for durations: log-linear ones to count them in, and round ones to show them in.

A log-linear bin is a 128th of a power of two wide, so that a duration and the middle of its bin
differ by 1/256 of it at most; below 256 ns each has its own. There are 7,296 of them for 63 bits.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import count, pairwise

HALVES = 128
"""Bins for each power of two."""
_EXACT = 2 * HALVES
_BITS = HALVES.bit_length()
_TENTHS = (10, 12, 15, 20, 25, 30, 40, 50, 60, 80)
"""Round steps within a power of ten, each some 26 % above the last (Renard's R10)."""
_THIRDS = (10, 20, 50)
_POWERS = (10,)


def bin_of(duration_ns: int) -> int:
    """The number of the bin that a duration is counted in."""
    if duration_ns < _EXACT:
        return duration_ns
    shift = duration_ns.bit_length() - _BITS
    return shift * HALVES + (duration_ns >> shift)


def middle_of(number: int) -> int:
    """The duration that stands for all of a bin."""
    if number < _EXACT:
        return number
    shift = number // HALVES - 1
    return ((number - shift * HALVES) << shift) + (1 << shift >> 1)


def edges(least: int, most: int, bins: int) -> list[int]:
    """Round edges of at most `bins` bins, the first from `least` or less to the last above `most`.

    Even steps where the durations are within a factor of two, else steps that grow with them.
    """
    if most < 2 * least or most < bins:
        return _even(least, most, bins)
    for steps in (_TENTHS, _THIRDS, _POWERS):
        found = _growing(least, most, steps)
        if len(found) <= bins + 1:
            return found
    return [found[0], *found[-bins:]]


def _even(least: int, most: int, bins: int) -> list[int]:
    """Edges at the finest even step that suffices: 1, 2 or 5 times a power of ten."""
    every = (digit * 10**exponent for exponent in count() for digit in (1, 2, 5))
    step = next(step for step in every if most // step - least // step < bins)
    return list(range(least // step * step, most + step + 1, step))


def _growing(least: int, most: int, steps: Sequence[int]) -> list[int]:
    """Edges at steps that are repeated in each power of ten."""
    found = [0]
    for exponent in count():
        for step in steps:
            edge = step * 10**exponent
            found = [edge] if edge <= least else [*found, edge]
            if edge > most:
                return found
    raise AssertionError  # it counts without end


def fill(counted: Iterable[tuple[int, int]], within: Sequence[int]) -> list[tuple[int, int, int]]:
    """How many durations are in each bin: from, to before, how many. They come in order."""
    found = []
    waiting = iter(counted)
    duration, times = next(waiting, (0, 0))
    for start, end in pairwise(within):
        total = 0
        while times and duration < end:
            total += times
            duration, times = next(waiting, (0, 0))
        found.append((start, end, total))
    return found
