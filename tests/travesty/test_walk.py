"""Ways through a chain, one step after the other and by many readers."""

from __future__ import annotations

import random
from array import array
from collections import Counter
from itertools import islice, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockd.travesty import walk as walking
from sockd.travesty.chain import Chain, index
from sockd.travesty.walk import ALONE, LEAST, MOST, READERS, STEPS_AT_ONCE, walk


def chain_of(*words: int) -> Chain:
    return index(array("I", words))[0]


def steps(chain: Chain, count: int, seed: int = 1) -> list[int]:
    found: list[int] = []
    for pairs in walk(chain, random.Random(seed)):
        found += [int(pair) for pair in pairs]
        if len(found) >= count:
            return found[:count]
    raise AssertionError("a way has no end")


@given(st.lists(st.integers(0, 5) | st.sampled_from([1 << 16, (1 << 16) + 3]), min_size=3))
def test_each_occurrence_of_a_pair_is_a_slot_that_leads_to_the_next_pair(words: list[int]) -> None:
    chain, second = index(array("I", words))
    pairs = sorted(set(pairwise(words)))
    number = {pair: place for place, pair in enumerate(pairs)}
    assert [int(word) for word in second] == [two for _, two in pairs]
    assert len(chain.first) == len(chain.count) == len(pairs) + 1
    follow: dict[int, list[int]] = {}
    for pair, following in pairwise(pairwise(words)):
        follow.setdefault(number[pair], []).append(number[following])
    everything = sorted(following for found in follow.values() for following in found)
    for place in range(len(pairs) + 1):
        first, count = chain.first[place], chain.count[place]
        slots = sorted(chain.following[first : first + count])
        assert slots == sorted(follow.get(place, everything))
    led_to = Counter(everything)
    assert led_to[chain.home] >= max(1, max(led_to.values()) - 1)


@pytest.mark.parametrize("words", [[7], [7, 8], [7, 7]])
def test_a_text_of_one_pair_at_most_leads_to_itself(words: list[int]) -> None:
    chain, second = index(array("I", words))
    assert [int(word) for word in second] == words[-1:]
    assert steps(chain, 3) == [0, 0, 0]


def test_many_readers_walk_as_one_does() -> None:
    # 0 1 comes often, so that readers come home; what follows it is drawn anew each time
    source = random.Random(5)
    words = [word for _ in range(300) for word in (0, 1, source.randrange(2, 6))]
    chain = chain_of(*words)
    assert LEAST + 6 / chain.home_share < MOST
    way = steps(chain, 400_000)
    expected = {
        place: Counter(chain.following[chain.first[place] :][: chain.count[place]])
        for place in range(chain.start)
    }
    found: dict[int, Counter[int]] = {place: Counter() for place in expected}
    for one, two in pairwise(way):
        found[one][two] += 1
    for place, successors in expected.items():
        if place == words[-1] or not found[place]:
            continue
        assert found[place].keys() <= successors.keys()
        for following, count in successors.items():
            share = count / successors.total()
            margin = 4 * (share * (1 - share) / found[place].total()) ** 0.5
            assert abs(found[place][following] / found[place].total() - share) <= margin + 1e-9


def test_a_reader_that_does_not_come_home_is_followed_where_it_is() -> None:
    # 1 2 3 leads from home to a round that never comes back there
    words = [0, 0] * 50 + [1] + [2, 3, 4] * 20
    chain = chain_of(*words)
    way = steps(chain, 30_000)
    assert set(way[-1_000:]) == set(way[-3:])
    assert len(set(way[-3:])) == 3


def test_where_no_pair_comes_often_one_walks_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise AssertionError("many readers would never come home")

    monkeypatch.setattr(walking, "_walk_together", fails)
    source = random.Random(3)
    chain = chain_of(*(source.randrange(200) for _ in range(20_000)))
    assert LEAST + 6 / chain.home_share > MOST
    steps(chain, 3 * ALONE)


class Little:
    """Room for one batch of readers."""

    def __init__(self) -> None:
        self.lent: list[int] = []

    def lend(self, size: int) -> bool:
        if self.lent:
            return False
        self.lent.append(size)
        return True

    def take_back(self, size: int) -> None:
        self.lent.remove(size)


def test_where_there_is_no_memory_for_readers_one_walks_alone_until_there_is() -> None:
    chain, room = chain_of(*[0, 1, 2] * 50), Little()
    first, second = (walk(chain, random.Random(seed), room) for seed in (1, 2))
    while len(next(first)):  # readers of the first set out
        pass
    [size] = room.lent
    assert size == (LEAST + int(6 / chain.home_share)) * READERS * 4 <= MOST * READERS * 4
    sizes = [len(pairs) for pairs in islice(second, 100)]
    assert sizes == [STEPS_AT_ONCE] * 100
    del first
    assert not room.lent
    assert not len(next(second))
    assert room.lent == [size]
    while room.lent and not len(next(second)):
        pass
    second.close()  # type: ignore[attr-defined] # a generator
    assert not room.lent


def test_what_is_handed_out_at_once_is_bounded() -> None:
    chain = chain_of(*[0, 1, 2] * 50)
    sizes = [len(pairs) for pairs in islice(walk(chain, random.Random(1)), 3_000)]
    assert max(sizes) == STEPS_AT_ONCE
    # the others have turns while readers are on their way
    assert sizes.count(0) > READERS // 10
