"""Figures with three digits that say something, and units."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockd.client.outputs.figures import (
    ASCII,
    amount,
    cells,
    cut,
    duration,
    fill,
    labelled,
    milliseconds,
    named,
    percent,
    rate,
    signs_for,
)

DURATIONS = [
    (None, "-"),
    (0, "0 µs"),
    (123, "0.123 µs"),
    (1_000, "1.00 µs"),
    (41_230, "41.2 µs"),
    (999_499, "999 µs"),
    (999_500, "1.00 ms"),
    (1_204_000, "1.20 ms"),
    (99_960_000, "100 ms"),
    (999_499_999, "999 ms"),
    (999_500_000, "1.00 s"),
    (3_000_000_000, "3.00 s"),
    (86_400_000_000_000, "86400 s"),
    (-1_000_000, "-1.00 ms"),
]


@pytest.mark.parametrize(("ns", "text"), DURATIONS)
def test_a_duration_has_three_significant_digits_and_a_unit(ns: int | None, text: str) -> None:
    assert duration(ns) == text


@given(st.integers(1_000, 10**12))
def test_a_duration_is_within_half_a_percent_of_what_it_tells(ns: int) -> None:
    figure, unit = duration(ns).split(" ")
    told = float(figure) * {"µs": 1e3, "ms": 1e6, "s": 1e9}[unit]
    assert told == pytest.approx(ns, rel=0.005001)


def test_where_the_encoding_has_no_micro_sign_it_is_a_u() -> None:
    assert duration(41_230, signs_for("ascii")) == "41.2 us"
    assert signs_for("iso-8859-1") == signs_for("no such encoding") == ASCII
    assert signs_for("utf-8").micro == "µ"


@pytest.mark.parametrize(
    ("part", "text"),
    [
        (None, "-"),
        (0, "0 %"),
        (1, "100 %"),
        (0.002, "0.2 %"),
        (1 / 3, "33.3 %"),
        (1e-9, "0.0000001 %"),
        (1 - 1e-6, "99.9999 %"),
    ],
)
def test_some_is_never_told_as_none_or_as_all(part: float | None, text: str) -> None:
    assert percent(part) == text


@given(st.integers(1, 10**9), st.integers(1, 10**9))
def test_a_part_is_told_as_all_or_none_only_where_it_is(some: int, others: int) -> None:
    assert percent(some / (some + others)) not in ("0 %", "100 %")


@pytest.mark.parametrize(
    ("bps", "text"), [(0, "0 bit/s"), (999, "999 bit/s"), (1_234_567_890, "1.23 Gbit/s")]
)
def test_a_rate_is_in_decimal_units(bps: int, text: str) -> None:
    assert rate(bps) == text


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 bytes"), (1, "1 byte"), (999, "999 bytes"), (12_345, "12.3 kB")]
)
def test_an_amount_is_exact_as_long_as_it_is_short(size: int, text: str) -> None:
    assert amount(size) == text


def test_lines_of_probes_are_all_in_milliseconds() -> None:
    assert [milliseconds(ns) for ns in (41_230, 123_000, 12_345_678, 3_000_000_000)] == [
        "0.041 ms",
        "0.123 ms",
        "12.3 ms",
        "3000 ms",
    ]


def test_a_value_is_told_by_its_name_and_a_duration_with_its_unit() -> None:
    assert named("kernel_rtt_ns", 38_000) == "kernel rtt 38.0 µs"
    assert named("retransmits", 0) == "retransmits 0"
    assert named("leap", True) == "leap yes"
    assert named("text", "\x1b[2J") == "text \\x1b[2J"
    assert named("text", r"a\b") == r"text a\b"


def test_a_text_is_as_wide_as_the_terminal_shows_it() -> None:
    assert cells("abc") == 3
    assert cells("日本") == 4
    assert cells("e\u0301") == 1


@given(st.text(st.characters(categories=["L", "M", "N", "P"])), st.integers(3, 40))
def test_a_text_that_is_cut_fits(text: str, width: int) -> None:
    assert cells(cut(text, width)) <= width


@given(st.lists(st.text(st.sampled_from("ab日é"), min_size=1)), st.integers(2, 30))
def test_lines_are_filled_without_breaking_what_fits(pieces: list[str], width: int) -> None:
    lines = fill(pieces, width)
    assert all(cells(line) <= width for line in lines)
    assert "".join(lines).replace(" ", "") == "".join(pieces)
    for piece in pieces:
        if cells(piece) <= width:
            assert any(piece in line for line in lines)


def test_lines_behind_a_label_stand_below_each_other() -> None:
    assert labelled("note", ["one", "two"], 20) == ["  note         one", "               two"]
    assert labelled("none", [], 20) == []
