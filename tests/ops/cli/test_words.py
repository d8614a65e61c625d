"""Figures as a person reads them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockd.ops.cli.words import amount, milliseconds, rate, span


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0s"),
        (0.4, "0s"),
        (59.4, "59s"),
        (60, "1m"),
        (200, "3m 20s"),
        (3600, "1h"),
        (3659, "1h"),
        (15_120, "4h 12m"),
        (86_399, "23h 59m"),
        (1_047_600, "12d 3h"),
    ],
)
def test_a_span_has_the_two_largest_units_that_say_something(seconds: float, text: str) -> None:
    assert span(seconds) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (0.23, "0.23 B"),
        (512, "512 B"),
        (999.4, "999 B"),
        (999.6, "1 kB"),
        (1234, "1.23 kB"),
        (45_600_000, "45.6 MB"),
        (5e9, "5 GB"),
        (7e15, "7000 TB"),
    ],
)
def test_an_amount_has_three_digits_and_a_unit(size: float, text: str) -> None:
    assert amount(size) == text


@given(st.floats(0, 1e12))
def test_a_rate_is_short_and_nothing_only_where_it_is_nothing(count: float) -> None:
    assert len(rate(count)) <= 6
    assert (rate(count) == "0") == (count == 0)


def test_milliseconds_have_a_digit_behind_the_point_while_they_are_few() -> None:
    assert [milliseconds(seconds) for seconds in (0, 0.00042, 0.0123, 2.5)] == [
        "0.0 ms", "0.4 ms", "12 ms", "2500 ms",
    ]  # fmt: skip
