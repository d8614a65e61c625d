"""What a server's budget leaves out is told from what is lost by chance."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from sockd.client.measure.budget import (
    FEWEST_ANSWERS,
    MOST_RUNS,
    UNLIKELY,
    asked_like_budget,
    looks_like_budget,
)
from sockd.client.report import Counts

RUNS = 1_000
WRONG = 0.01
"""The part of runs with loss by chance that may be told of."""


def seconds(sent: int, *received: int) -> list[Counts]:
    return [Counts(sent=sent, received=number) for number in received]


# second by second


@pytest.mark.parametrize(
    "received",
    [
        (30, 10, 10, 10, 10),
        (50, 50, 30, 10, 10, 11, 10, 10),
        (30, 11, 10, 10, 11, 10, 10),
    ],
)
def test_even_answers_below_the_rate_look_like_a_budget(received: tuple[int, ...]) -> None:
    assert looks_like_budget(seconds(50, *received))


def test_the_last_second_need_not_be_whole() -> None:
    assert looks_like_budget([*seconds(50, 30, 10, 10, 10, 10), Counts(sent=20, received=4)])


@pytest.mark.parametrize(
    "received",
    [
        (),
        (50, 50, 50, 50, 50),
        (30, 10),
        (30, 10, 10),  # chance does that, too
        (49, 49, 49, 49, 49, 49),  # so few that are lost hinder nobody
        (40, 13, 7, 10, 9, 12, 10),
        (30, 0, 0, 0, 0, 0),
        (30, *[FEWEST_ANSWERS - 1] * 5),
    ],
)
def test_what_is_not_even_or_not_below_the_rate_does_not(received: tuple[int, ...]) -> None:
    assert not looks_like_budget(seconds(50, *received))


@pytest.mark.parametrize("part", [0.02, 0.2, 0.3, 0.5, 0.8])
@pytest.mark.parametrize("sent", [10, 50])
def test_loss_by_chance_is_no_budget(part: float, sent: int) -> None:
    drawn = random.Random(f"{part} {sent}")
    told = 0
    for _ in range(RUNS):
        received = [sum(drawn.random() >= part for _ in range(sent)) for _ in range(8)]
        told += looks_like_budget(seconds(sent, *received))
    assert told <= WRONG * RUNS


# one question after another


def bucket(rate: float, burst: int, interval: float, wait: float) -> Iterator[bool]:
    """Whether each question is answered: after a loss the next one comes `wait` later."""
    allowed = float(burst)
    while True:
        is_answered = allowed >= 1
        yield is_answered
        passed = interval if is_answered else wait
        allowed = min(float(burst), allowed - is_answered + rate * passed)


def runs_of(answered: Iterator[bool], count: int) -> list[int]:
    runs = [0]
    for _ in range(count):
        if next(answered):
            runs[-1] += 1
        else:
            runs.append(0)
    return runs


@pytest.mark.parametrize(
    ("rate", "burst", "interval", "wait", "count"),
    [
        (10, 20, 0.02, 3, 60),
        (10, 20, 0.02, 1, 80),
        (10, 20, 0.02, 0.2, 60),
        (4, 2, 0.02, 0.5, 15),
        (1, 1, 0.1, 1, 20),
        (100, 50, 0.001, 1, 1_000),
    ],
)
def test_questions_that_a_budget_answers_look_like_it(
    rate: float, burst: int, interval: float, wait: float, count: int
) -> None:
    assert asked_like_budget(runs_of(bucket(rate, burst, interval, wait), count))


@pytest.mark.parametrize("part", [0.01, 0.03, 0.1, 0.3, 0.5, 0.9])
@pytest.mark.parametrize("count", [20, 60, 200])
def test_questions_that_are_lost_by_chance_do_not(part: float, count: int) -> None:
    drawn = random.Random(f"{part} {count}")
    told = 0
    for _ in range(RUNS):
        answered = iter(lambda: drawn.random() >= part, None)
        told += asked_like_budget(runs_of(answered, count))
    assert told <= WRONG * RUNS


@pytest.mark.parametrize(
    "runs",
    [
        [0],
        [60],
        [30, 29],  # a single loss
        [20, 0, 0, 0, 0],  # nothing more comes: it has gone
        [0, 0, 0, 0],
        [25, 25, 40],  # a budget would not have let so many pass
        [10, 25, 5, 17],
        [22, 17, 3],
    ],
)
def test_runs_that_say_nothing(runs: list[int]) -> None:
    assert not asked_like_budget(runs)


def test_it_takes_less_than_unlikely_to_be_told() -> None:
    assert UNLIKELY < 0.05
    assert asked_like_budget([7] * MOST_RUNS)
