"""Whether losses look like a server's budget for one source, and not like loss on the way."""

from __future__ import annotations

from collections.abc import Sequence

from sockd.client.report import Counts

FEWEST_INTERVALS = 3
"""Seconds that must look alike: two can be chance."""
MOST_ANSWERED = 0.8
"""The part of the probes that is answered at most: a budget that lets more pass is no hindrance."""
FEWEST_ANSWERS = 3
"""Of a second: fewer say nothing about how even they are."""
UNEVEN = 2.0
"""How far the variance of loss by chance is above that of a budget, at least."""


def looks_like_budget(intervals: Sequence[Counts]) -> bool:
    """Whether the answers of each second are fewer than the probes, and about the same number.

    The first second may have more: budgets allow a burst. Loss by chance of part p of n probes
    spreads by n * p * (1 - p), the variance of a binomial distribution; an even budget by 1 or 2.
    """
    full = [counts for counts in intervals[1:] if counts.sent]
    if len(full) < FEWEST_INTERVALS:
        return False
    sent = sum(counts.sent for counts in full)
    received = [counts.received for counts in full]
    answered = sum(received) / sent
    mean = sum(received) / len(received)
    if answered > MOST_ANSWERED or min(received) < FEWEST_ANSWERS:
        return False
    variance = sum((number - mean) ** 2 for number in received) / len(received)
    by_chance = sent / len(full) * answered * (1 - answered)
    return variance * UNEVEN <= by_chance and max(received) - min(received) <= 2
