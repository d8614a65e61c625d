"""Whether losses look like a server's budget for one source, and not like loss on the way.

A server that answers one source so many times a second loses the rest evenly; loss on the way comes
by chance, and chance is uneven. So each of these asks how likely chance were to be as even as that.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import comb, exp

from sockd.client.report import Counts

UNLIKELY = 0.02
"""Of chance: below that it is told. So one run with losses in a hundred is told of wrongly (a test
says so); less would take more seconds than most runs have."""
FULL = 0.9
"""The part of the probes of the busiest second that a second must have: the last is cut short."""
MOST_ANSWERED = 0.8
"""The part of the probes that is answered at most: a budget that lets more pass is no hindrance."""
FEWEST_ANSWERS = 3
"""Of a second: fewer say nothing about how even they are."""
FEWEST_RUNS = 2
"""Runs of answers that a loss has ended: one is not even with anything."""
MOST_RUNS = 1_000
"""Runs that are looked at, and seconds: what is even for so long need not be watched further."""

NOTE = (
    "answers came as evenly as if the server had a budget for one source: those that are lost "
    "may never have been given, and not be lost on the way; a longer -i would tell"
)
"""What a reader is told of it."""


def looks_like_budget(intervals: Sequence[Counts]) -> bool:
    """Whether, second by second of a schedule, answers are fewer than probes and evenly many.

    Budgets allow a burst, so all before the first second with a loss is left out, and that one too,
    in which it ends. Loss by chance of part p of n probes spreads by n * p * (1 - p); the sum of
    squares by that is distributed as chi-squared, of which Chernoff's bound is taken. That counts
    are whole numbers hides a twelfth of each square.
    """
    busiest = max((counts.sent for counts in intervals), default=0)
    full = [counts for counts in intervals if counts.sent and counts.sent >= FULL * busiest]
    spent = next((n for n, one in enumerate(full) if one.received < MOST_ANSWERED * one.sent), None)
    steady = [] if spent is None else full[spent + 1 :]
    received = [counts.received for counts in steady]
    if len(steady) < FEWEST_RUNS or min(received) < FEWEST_ANSWERS:
        return False
    sent = sum(counts.sent for counts in steady)
    answered, mean = sum(received) / sent, sum(received) / len(received)
    if answered > MOST_ANSWERED:
        return False
    squares = sum((number - mean) ** 2 for number in received) + len(received) / 12
    freedom = len(received) - 1
    ratio = squares / (mean * (1 - answered)) / freedom
    return ratio < 1 and (ratio * exp(1 - ratio)) ** (freedom / 2) <= UNLIKELY


def asked_like_budget(runs: Sequence[int]) -> bool:
    """Whether questions one after another were answered in runs of even length.

    `runs` has how many were answered before each loss, and at the end since the last one. A loss
    makes who asks wait, in which a budget grows again: by so many answers, after which the next
    question is lost. The first run may be longer, by the burst that budgets allow.
    """
    ended = runs[:-1]
    if len(ended) > FEWEST_RUNS and ended[0] > max(ended[1:]):
        return asked_like_budget(runs[1:])
    if len(ended) < FEWEST_RUNS or not min(ended) or runs[-1] > max(ended):
        return False
    return _chance_of_even(runs) <= UNLIKELY


def _chance_of_even(runs: Sequence[int]) -> float:
    """The chance that losses at any places make runs that differ as little, or less.

    All ways to lose so many of the questions are equally likely. Of a shortest run each of the
    others is as long or longer by the spread at most, and the last, which no loss has ended, is no
    longer than the longest.
    """
    losses, answered = len(runs) - 1, sum(runs)
    spread = max(runs[:-1]) - min(runs[:-1])
    shortest = max(0, -(-answered // len(runs)) - spread)
    ways: int = (answered // losses - shortest + 1) * ((spread + 1) ** losses - spread**losses)
    return ways / comb(answered + losses, losses)
