"""Shares: turns of sources, and who gives way where there is no room."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockd.access.shares import Shares

Names = st.sampled_from("abcd")


def filled(*asked: str) -> Shares[str]:
    """What waits after these have asked: "a1" is the first of source a."""
    shares: Shares[str] = Shares()
    for number, source in enumerate(asked, start=1):
        shares.add(source, f"{source}{number}")
    return shares


def in_turn(shares: Shares[str]) -> list[str]:
    """All of it, in the order in which it is done."""
    done = []
    while len(shares):
        source = shares.next_source()
        done.append(shares.of(source)[0])
        shares.remove(source, done[-1])
    return done


def test_each_source_has_its_turn_and_within_it_who_asked_first() -> None:
    assert in_turn(filled(*"aaabcb")) == ["a1", "b4", "c5", "a2", "b6", "a3"]


def test_a_new_source_is_the_last_to_have_its_turn_and_waits_no_longer_than_for_one_of_each() -> (
    None
):
    shares = filled(*"aaabb")
    source = shares.next_source()
    shares.remove(source, "a1")
    shares.add("c", "c6")
    assert in_turn(shares) == ["b4", "a2", "c6", "b5", "a3"]


def test_the_source_that_has_most_gives_way_to_one_that_has_less() -> None:
    shares = filled(*"aaabb")
    assert shares.greedy("c") == "a"
    assert shares.greedy("b") is None
    assert shares.greedy("a") is None


def test_what_is_being_done_counts() -> None:
    assert filled("a").greedy("b", at_work="a") == "a"
    assert filled("a").greedy("b", at_work="c") is None
    assert filled("a", "a").greedy("b", at_work="b") is None
    assert filled().greedy("a", at_work="b") is None


def test_what_does_not_wait_cannot_be_taken_away() -> None:
    shares = filled("a")
    with pytest.raises(ValueError, match="not in list"):
        shares.remove("a", "a2")
    with pytest.raises(ValueError, match="not in list"):
        shares.remove("b", "b1")
    assert shares.clear() == ["a1"]
    assert len(shares) == 0
    assert list(shares) == []


@given(st.lists(Names, max_size=40), Names)
def test_who_gives_way_has_still_as_much_as_who_takes_the_place(
    asked: list[str], source: str
) -> None:
    shares = filled(*asked)
    greedy = shares.greedy(source)
    if greedy is not None:
        assert len(shares.of(greedy)) - 1 >= len(shares.of(source)) + 1
        assert all(len(shares.of(greedy)) >= len(shares.of(other)) for other in asked)
    else:
        assert all(len(shares.of(other)) <= len(shares.of(source)) + 1 for other in asked)


@given(st.lists(Names, max_size=40))
def test_all_of_it_is_done_once_and_in_the_order_of_its_source(asked: list[str]) -> None:
    done = in_turn(filled(*asked))
    assert sorted(done) == sorted(filled(*asked))
    for source in "abcd":
        own = [item for item in done if item[0] == source]
        assert own == list(filled(*asked).of(source))
