import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockd.options.units import (
    LARGEST_SIZE,
    LONGEST_DURATION,
    Duration,
    Maximum,
    Pace,
    Rate,
    Size,
    SizeLimit,
    Timeout,
)

ANY_DURATION = st.one_of(
    st.floats(0, LONGEST_DURATION),
    st.integers(0, 10**6).map(float),
    st.integers(0, 10**9).map(lambda milliseconds: milliseconds / 1000),
)


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("500ms", 0.5),
        ("5s", 5),
        ("0s", 0),
        ("1.5s", 1.5),
        ("2m", 120),
        ("1h", 3600),
        ("1h30m", 5400),
        ("1d", 86400),
        ("1d2h3m4s5ms", 93784.005),
        ("0.1s", 0.1),
        ("30", 30),
        ("0.5", 0.5),
        ("30 s", 30),
        ("30 sec", 30),
        ("30 seconds", 30),
        ("1 second", 1),
        ("5S", 5),
        ("5 M", 300),
        ("500 MS", 0.5),
        ("250 msec", 0.25),
        ("1 millisecond", 0.001),
        ("10min", 600),
        ("10 mins", 600),
        ("1.5h", 5400),
        ("2 hrs", 7200),
        ("1h 30m", 5400),
        ("1 hour 30 minutes", 5400),
        ("1 Day", 86400),
        (30, 30),
        (0, 0),
        (0.25, 0.25),
    ],
)
def test_a_duration_is_read_in_seconds(written: object, seconds: float) -> None:
    assert Duration.parse(written) == seconds


@pytest.mark.parametrize(
    "written",
    ["soon", "", " ", " 5s", "5s ", "5  s", "-5s", "+5s", "30m1h", "1m1m", "s", "1e3s", ".5s",
     "1_0s", "5x", "5 mon", "1hm", "1s1", "30 seconds 1 minute", "off", "5sseconds",
     "٣s", "5s\n", "1" * 401 + "s", True, False, None, [], b"5s", -1, -0.5, math.nan, math.inf,
     -math.inf],
)  # fmt: skip
def test_what_is_not_a_duration_is_refused_with_an_example(written: object) -> None:
    with pytest.raises(ValueError, match=r'expected a duration such as "30s", "2m" or "1d", got '):
        Duration.parse(written)


def test_the_refusal_shows_what_was_written() -> None:
    with pytest.raises(ValueError, match=r"got 'soon'$"):
        Duration.parse("soon")


@pytest.mark.parametrize("written", ["36501d", 1e300, pytest.param(10**400, id="huge")])
def test_a_duration_above_a_century_is_refused(written: object) -> None:
    with pytest.raises(ValueError, match="at most"):
        Duration.parse(written)


@pytest.mark.parametrize("seconds", [-1.0, math.nan, math.inf, LONGEST_DURATION * 2])
def test_a_wrong_duration_cannot_be_made(seconds: float) -> None:
    with pytest.raises(ValueError, match="a duration is"):
        Duration(seconds)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(120, "2m"), (0, "0s"), (0.5, "500ms"), (5400, "90m"), (3600, "1h"), (86400, "1d"),
     (1.5, "1500ms"), (93784, "93784s"), (1e-9, "0.000000001s")],
)  # fmt: skip
def test_a_duration_is_shown_in_the_shortest_text(seconds: float, text: str) -> None:
    assert str(Duration(seconds)) == text
    assert f"{Duration(seconds)}" == text


@given(ANY_DURATION)
def test_the_text_of_a_duration_reads_back(seconds: float) -> None:
    assert Duration.parse(str(Duration(seconds))) == seconds


@pytest.mark.parametrize(
    ("written", "count"),
    [
        ("64k", 65536),
        ("64K", 65536),
        ("64kb", 65536),
        ("64 kB", 65536),
        ("64 KiB", 65536),
        ("4m", 4 << 20),
        ("4MB", 4 << 20),
        ("4 MiB", 4 << 20),
        ("1.5m", 3 << 19),
        ("1g", 1 << 30),
        ("512", 512),
        ("512 B", 512),
        ("512 bytes", 512),
        (7, 7),
    ],
)
def test_a_size_is_read_in_bytes(written: object, count: int) -> None:
    assert Size.parse(written) == count


@pytest.mark.parametrize(
    "written",
    ["big", "", "1.5", "0.3k", "-1", "64kx", " 1k", "1k ", "kB", "4 m b", "1ib", "off",
     "٣", "9" * 19 + "g", True, None, 1.0, -1,
     pytest.param("1" * 5000, id="long"), LARGEST_SIZE + 1],
)  # fmt: skip
def test_what_is_not_a_size_is_refused_with_an_example(written: object) -> None:
    with pytest.raises(ValueError, match=r'expected a size such as "512", "64k" or "4m", got '):
        Size.parse(written)


@pytest.mark.parametrize(
    ("count", "text"), [(65536, "64k"), (0, "0"), (1 << 20, "1m"), (1000, "1000"), (3 << 30, "3g")]
)
def test_a_size_is_shown_in_the_largest_unit_that_divides_it(count: int, text: str) -> None:
    assert str(Size(count)) == text


@given(st.integers(0, LARGEST_SIZE), st.sampled_from([1, 1 << 10, 1 << 20, 1 << 30]))
def test_the_text_of_a_size_reads_back(count: int, scale: int) -> None:
    size = Size(count // scale * scale)
    assert Size.parse(str(size)) == size


@pytest.mark.parametrize("count", [-1, LARGEST_SIZE + 1])
def test_a_wrong_size_cannot_be_made(count: int) -> None:
    with pytest.raises(ValueError, match="a size is"):
        Size(count)


@pytest.mark.parametrize(
    ("written", "rate", "per_second"),
    [
        ("50/s", Rate(50, 1), 50),
        ("10/m", Rate(10, 60), 1 / 6),
        ("1/h", Rate(1, 3600), 1 / 3600),
        ("2.5/s", Rate(2.5, 1), 2.5),
        ("10/30s", Rate(10, 30), 1 / 3),
        ("0/s", Rate(0, 1), 0),
        ("off", Rate(math.inf, 1), math.inf),
    ],
)
def test_a_rate_is_read_as_a_count_and_a_span(written: str, rate: Rate, per_second: float) -> None:
    assert Rate.parse(written) == rate
    assert Rate.parse(rate) is rate
    assert rate.per_second == pytest.approx(per_second)
    assert str(rate) == written


@pytest.mark.parametrize(
    ("written", "rate"),
    [
        ("10/min", Rate(10, 60)),
        ("10 / Minute", Rate(10, 60)),
        ("10 per second", Rate(10, 1)),
        ("10/30 s", Rate(10, 30)),
        ("10 per 30 seconds", Rate(10, 30)),
        ("OFF", Rate(math.inf, 1)),
    ],
)
def test_a_rate_may_be_written_in_words(written: str, rate: Rate) -> None:
    assert Rate.parse(written) == rate


@pytest.mark.parametrize(
    "written",
    ["fast", "", "50", "50/", "/s", "50/x", "50/0s", "-1/s", "1/s/s", "10persecond", "10 s",
     "9" * 399 + "/s/", 50, True,
     None],
)  # fmt: skip
def test_what_is_not_a_rate_is_refused_with_an_example(written: object) -> None:
    with pytest.raises(ValueError, match=r'expected a rate such as "50/s" or "10/m", got '):
        Rate.parse(written)


@pytest.mark.parametrize(("count", "per"), [(-1, 1), (math.nan, 1), (1, 0), (1, math.inf)])
def test_a_wrong_rate_cannot_be_made(count: float, per: float) -> None:
    with pytest.raises(ValueError, match="a rate"):
        Rate(count, per)


@given(st.floats(0, 1e12), ANY_DURATION.filter(bool))
def test_the_text_of_a_rate_reads_back(count: float, per: float) -> None:
    assert Rate.parse(str(Rate(count, per))) == Rate(count, per)


@pytest.mark.parametrize("written", ["off", "Off", "OFF"])
def test_a_timeout_and_a_maximum_may_be_off_and_their_text_reads_back(written: str) -> None:
    timeout, maximum = Timeout.parse(written), Maximum.parse(written)
    assert timeout == math.inf
    assert maximum > 10**18
    assert (str(timeout), str(maximum), f"{maximum}") == ("off", "off", "off")
    assert Timeout.parse(str(timeout)) == timeout
    assert Maximum.parse(str(maximum)) == maximum


@given(st.integers(0, LARGEST_SIZE))
def test_a_size_that_may_be_off_is_a_size(count: int) -> None:
    limit = SizeLimit.parse("OFF")
    assert (str(limit), SizeLimit.parse(str(limit))) == ("off", limit)
    assert SizeLimit.parse(str(SizeLimit(count))) == Size(count)
    assert SizeLimit.parse("64k") == 65536


@given(ANY_DURATION, st.integers(0, LARGEST_SIZE))
def test_a_timeout_is_a_duration_and_a_maximum_a_number(seconds: float, count: int) -> None:
    assert Timeout.parse(str(Timeout(seconds))) == Duration(seconds)
    assert Maximum.parse(count) == count


@pytest.mark.parametrize("written", ["5", "none", 1.5, True, None])
def test_what_is_not_a_maximum_is_refused(written: object) -> None:
    with pytest.raises(ValueError, match='expected a whole number or "off", got '):
        Maximum.parse(written)


@pytest.mark.parametrize("written", ["soon", math.inf, -1])
def test_what_is_not_a_timeout_is_refused(written: object) -> None:
    with pytest.raises(ValueError, match="expected a duration such as"):
        Timeout.parse(written)


# paces


@pytest.mark.parametrize(
    ("written", "size", "per"),
    [
        ("1k/m", 1024, 60),
        ("100/s", 100, 1),
        ("64 KiB per 10s", 65_536, 10),
        ("1.5k per minute", 1536, 60),
        ("1/1h30m", 1, 5400),
    ],
)
def test_a_pace_is_read_as_a_size_and_a_span(written: str, size: int, per: float) -> None:
    pace = Pace.parse(written)
    assert (pace.size, pace.per, pace.is_off) == (size, per, False)
    assert Pace.parse(pace) is pace


@pytest.mark.parametrize(
    "written", ["1k", "k/s", "0/s", "-1/s", "1k/", "/s", "1/0s", "1.5/s", 5, None]
)
def test_what_is_not_a_pace_is_refused_with_an_example(written: object) -> None:
    with pytest.raises(ValueError, match='expected a pace such as "1k/m" or "100/s", got '):
        Pace.parse(written)


@given(st.integers(1, LARGEST_SIZE), ANY_DURATION.filter(bool))
def test_the_text_of_a_pace_reads_back(size: int, per: float) -> None:
    assert Pace.parse(str(Pace(size, per))) == Pace(size, per)


def test_a_pace_may_be_off() -> None:
    assert str(Pace.parse("off")) == "off"
    assert Pace.parse("OFF").is_off
