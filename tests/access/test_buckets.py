import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockd.access.buckets import Buckets


def taken(buckets: Buckets, key: str, now: float, tries: int) -> int:
    return sum(buckets.take(key, now) for _ in range(tries))


def test_a_burst_is_given_at_once_and_no_more() -> None:
    assert taken(Buckets(rate=10, burst=20, size=4), "a", now=0.0, tries=100) == 20


def test_the_rate_is_given_after_the_burst() -> None:
    buckets = Buckets(rate=10, burst=20, size=4)
    taken(buckets, "a", now=0.0, tries=100)
    assert taken(buckets, "a", now=1.0, tries=100) == 10
    assert taken(buckets, "a", now=1.05, tries=100) == 0
    assert taken(buckets, "a", now=1.5, tries=100) == 5


def test_a_long_rest_fills_no_more_than_the_burst() -> None:
    buckets = Buckets(rate=10, burst=20, size=4)
    taken(buckets, "a", now=0.0, tries=100)
    assert taken(buckets, "a", now=1e9, tries=100) == 20


def test_a_source_has_its_own_bucket() -> None:
    buckets = Buckets(rate=0, burst=2, size=4)
    assert taken(buckets, "a", now=0.0, tries=5) == 2
    assert taken(buckets, "b", now=0.0, tries=5) == 2


def test_a_cost_that_is_not_covered_takes_nothing() -> None:
    buckets = Buckets(rate=0, burst=100, size=4)
    assert buckets.take("a", 0.0, cost=60)
    assert not buckets.take("a", 0.0, cost=60)
    assert buckets.take("a", 0.0, cost=40)
    assert buckets.take("a", 0.0, cost=0)
    assert not buckets.take("a", 0.0)


def test_a_cost_above_the_burst_is_never_covered() -> None:
    assert not Buckets(rate=10, burst=20, size=4).take("a", 1e9, cost=21)


def test_a_clock_that_goes_back_refills_nothing() -> None:
    buckets = Buckets(rate=10, burst=20, size=4)
    taken(buckets, "a", now=1000.0, tries=100)
    for now in (0.0, 500.0, -1e9, 1000.0, 0.0, 1000.0):
        assert taken(buckets, "a", now=now, tries=100) == 0
    assert taken(buckets, "a", now=1001.0, tries=100) == 10


def test_what_is_wanted_is_given_or_all_that_there_is() -> None:
    buckets = Buckets(rate=10, burst=20, size=4)
    assert buckets.take_up_to(15, "a", 0.0) == 15
    assert buckets.take_up_to(15, "a", 0.0) == 5
    assert buckets.take_up_to(15, "a", 0.1) == 1
    assert not buckets.take("a", 0.1, 0.5)


def test_what_is_given_back_is_there_again_up_to_the_burst() -> None:
    buckets = Buckets(10, 20, 4)
    assert buckets.take_up_to(15, "a", 0.0) == 15
    buckets.give_back(5, "a")
    assert buckets.take_up_to(15, "a", 0.0) == 10
    buckets.give_back(100, "a")
    assert buckets.take_up_to(100, "a", 0.0) == 20
    buckets.give_back(5, "never seen")
    assert buckets.take_up_to(100, "never seen", 0.0) == 20


def test_the_least_recently_used_bucket_makes_room() -> None:
    buckets = Buckets(rate=0, burst=1, size=2)
    assert buckets.take("a", 0.0)
    assert buckets.take("b", 0.0)
    assert not buckets.take("a", 0.0)
    assert buckets.take("c", 0.0)  # drops b, not a
    assert buckets.count == 2
    assert not buckets.take("a", 0.0)
    assert buckets.take("b", 0.0)


@pytest.mark.parametrize(
    ("rate", "burst", "size"), [(-1, 1, 1), (1, 0, 1), (1, 1, 0), (float("nan"), 1, 1)]
)
def test_a_table_that_makes_no_sense_is_refused(rate: float, burst: float, size: int) -> None:
    with pytest.raises(ValueError, match="must be"):
        Buckets(rate, burst, size)


def test_a_negative_cost_is_refused() -> None:
    with pytest.raises(ValueError, match="a cost is 0 or more"):
        Buckets(1, 1, 1).take("a", 0.0, cost=-1)


@given(
    st.lists(st.tuples(st.sampled_from("abcdef"), st.floats(-1e6, 1e6)), max_size=200),
    st.integers(1, 4),
)
def test_the_table_never_grows_above_its_size(takes: list[tuple[str, float]], size: int) -> None:
    buckets = Buckets(rate=1, burst=2, size=size)
    for key, now in takes:
        buckets.take(key, now)
        assert buckets.count <= size


@given(st.lists(st.floats(0, 100), max_size=200))
def test_no_order_of_times_gives_more_than_burst_and_rate(times: list[float]) -> None:
    buckets = Buckets(rate=1, burst=5, size=1)
    given_out = sum(buckets.take("a", now) for now in times)
    span = max(times) - min(times) if times else 0.0
    assert given_out <= 5 + span + 1e-6
