"""Ranges are read as the guidelines of monitoring plugins define them."""

from __future__ import annotations

import re
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sockd.client.metrics import METRICS, Unit
from sockd.client.outputs.ranges import MOST_RANGE, Range, decimal, say, thresholds


@pytest.mark.parametrize(
    ("text", "alerts", "quiet"),
    [
        ("10", ["-0.1", "10.1"], ["0", "10"]),
        ("10:", ["-1", "9.9"], ["10", "1000000"]),
        ("~:10", ["10.1"], ["-1000000", "0", "10"]),
        ("10:20", ["9.9", "20.1"], ["10", "20"]),
        ("@10:20", ["10", "15", "20"], ["9.9", "20.1"]),
        (":10", ["-0.1", "10.1"], ["0", "10"]),
        ("-20:-10", ["-20.1", "-9.9"], ["-20", "-10"]),
        ("@0", ["0"], ["-0.1", "0.1"]),
        ("~:", [], ["-1000000", "1000000"]),
        ("@~:", ["-1000000", "1000000"], []),
    ],
)
def test_a_range_alerts_outside_of_it_and_with_an_at_sign_inside(
    text: str, alerts: list[str], quiet: list[str]
) -> None:
    found = Range.parse(text, Unit.COUNT)
    assert [value for value in alerts + quiet if found.alerts(Fraction(value))] == alerts


NUMBERS = st.integers(-50, 50).map(lambda number: Fraction(number, 4))


@given(st.booleans(), st.none() | NUMBERS, st.none() | NUMBERS, st.lists(NUMBERS, min_size=1))
def test_a_range_alerts_as_the_definition_says(
    has_sign: bool, start: Fraction | None, end: Fraction | None, values: list[Fraction]
) -> None:
    if start is not None and end is not None and start > end:
        start, end = end, start
    text = f"{'@' * has_sign}{'~' if start is None else float(start)}:"
    text += "" if end is None else f"{float(end)}"
    found = Range.parse(text, Unit.COUNT)
    for value in values:
        is_outside = (start is not None and value < start) or (end is not None and end < value)
        assert found.alerts(value) is (is_outside != has_sign)
    assert Range.parse(str(found), Unit.COUNT) == found


GRAMMAR = re.compile(
    r"@?(?:(?P<start>~|-?NUMBER)?:)?(?P<end>-?NUMBER)?".replace(
        "NUMBER", r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)"
    )
)


@given(st.text("0127.:~@-", max_size=9) | st.from_regex(GRAMMAR, fullmatch=True))
@example("")
@example("@")
@example(":")
@example("@:")
def test_what_the_grammar_has_no_word_for_is_refused(text: str) -> None:
    found = GRAMMAR.fullmatch(text)
    is_range = found is not None and text.strip("@:") != ""
    if found and found["start"] not in (None, "", "~") and found["end"]:
        is_range = is_range and Fraction(found["start"]) <= Fraction(found["end"])
    elif found and found["end"] and found["start"] is None:
        is_range = is_range and Fraction(found["end"]) >= 0
    try:
        Range.parse(text, Unit.COUNT)
    except ValueError:
        assert not is_range
    else:
        assert is_range or len(text) > MOST_RANGE


@pytest.mark.parametrize(
    ("metric", "text", "shown"),
    [
        ("rtt_avg", "100ms", "0.1"),
        ("rtt_avg", "0.5", "0.5"),
        ("rtt_avg", "@1us:2m", "@0.000001:120"),
        ("rtt_avg", "250µs:", "0.00025:"),
        ("rtt_avg", "1h:1d", "3600:86400"),
        ("rtt_avg", "7ns", "0.000000007"),
        ("offset", "-100ms:100ms", "-0.1:0.1"),
        ("loss", "5%", "5"),
        ("loss", "5", "5"),
        ("bytes_sent", "64k:1GiB", "65536:1073741824"),
        ("rate", "10M:", "10000000:"),
        ("rate", "1.5Gbit/s:", "1500000000:"),
        ("certificate_days", "14d:", "14:"),
        ("lost", "3", "3"),
    ],
)
def test_bounds_may_have_a_unit_of_their_metric(metric: str, text: str, shown: str) -> None:
    assert str(Range.parse(text, METRICS[metric].unit)) == shown


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "METRIC=RANGE"),
        ("100ms", "METRIC=RANGE"),
        ("rtt_avg", "METRIC=RANGE"),
        ("rtt_avg=", "expected a range"),
        ("rtt_agv=1", "no metric 'rtt_agv'; did you mean 'rtt_avg'?"),
        ("RTT_AVG=1", "did you mean 'rtt_avg'?"),
        ("zzzzzz=1", "; there are up, rtt_min,"),
        ("rtt_avg=5%", "'%' is no unit of it; there are: ns, us,"),
        ("loss=5ms", "'ms' is no unit of it; there are: %"),
        ("sent=5s", "'s' is no unit of it; there are: none"),
        ("rtt_avg=20:10", "it begins at 20, after its end, 10"),
        ("rtt_avg=-1", "it begins at 0, after its end, -1"),
        ("rtt_avg=1:2:3", "expected a range"),
        ("rtt_avg=1e3", "'e3' is no unit"),
        ("rtt_avg=nan", "expected a number, got 'nan'"),
        ("rtt_avg= 1", "expected a number"),
        ("rtt_avg=\u0661", "expected a number"),
        ("rtt_avg=" + "1" * (MOST_RANGE + 1), "at most 100 characters"),
        ("rtt\x1b[31m=1", r"\x1b"),
    ],
)
def test_a_mistake_is_told_in_one_line_with_what_may_have_been_meant(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=re.escape(why)) as caught:
        thresholds([text], "--warn")
    told = str(caught.value)
    assert told.startswith("--warn ")
    assert told.isprintable()
    assert len(told) < 800


def test_a_range_may_have_a_hundred_characters() -> None:
    assert thresholds(["sent=" + "1" * MOST_RANGE], "--warn")["sent"].end is not None


def test_a_metric_has_one_range_of_each_kind() -> None:
    assert set(thresholds(["loss=1", "rtt_avg=1"], "--crit")) == {"loss", "rtt_avg"}
    with pytest.raises(ValueError, match="loss has a range already"):
        thresholds(["loss=1", "loss=2"], "--crit")


@given(st.fractions(-(10**12), 10**12))
def test_a_decimal_is_plain_and_right_to_nine_places(value: Fraction) -> None:
    text = decimal(value)
    assert re.fullmatch(r"-?[0-9]+(\.[0-9]{1,9})?", text)
    assert not text.endswith((".", "-0"))
    assert abs(Fraction(text) - value) <= Fraction(1, 2 * 10**9)


@pytest.mark.parametrize(
    ("value", "unit", "said"),
    [
        ("0", Unit.SECONDS, "0s"),
        ("0.0001234567", Unit.SECONDS, "123.5us"),
        ("0.12", Unit.SECONDS, "120ms"),
        ("-1.5", Unit.SECONDS, "-1.5s"),
        ("0.00000001", Unit.SECONDS, "10ns"),
        ("33.3333333", Unit.PERCENT, "33.33%"),
        ("12345678", Unit.BITS_PER_SECOND, "12.35 Mbit/s"),
        ("12", Unit.BITS_PER_SECOND, "12 bit/s"),
        ("640", Unit.BYTES, "640B"),
        ("14.25", Unit.DAYS, "14.25 days"),
        ("3", Unit.COUNT, "3"),
    ],
)
def test_a_person_reads_a_value_with_the_unit_that_suits_it(
    value: str, unit: Unit, said: str
) -> None:
    assert say(Fraction(value), unit) == said
