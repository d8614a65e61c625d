"""What a model learns of a text, and the texts that it makes up."""

from __future__ import annotations

import random
import subprocess
import sys
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockd.travesty.model import (
    BYTES_A_UNIQUE_WORD,
    BYTES_A_WORD,
    MAX_WORD,
    Travesty,
)

RHYME = (
    b"the cat sat on the mat. the dog sat on the cat. the cat saw the dog and the dog saw "
    b"the cat on the mat. a cat and a dog sat on the mat and saw the cat. the end"
)
WORDS = RHYME.split()


def learnt(text: bytes, max_words: int = 10**6, max_bytes: int = 10**9) -> Travesty:
    travesty = Travesty(max_words, max_bytes)
    travesty.add(text)
    travesty.finish()
    return travesty


def made(travesty: Travesty, count: int, seed: int = 1) -> list[bytes]:
    return b"".join(travesty.generate(count, random.Random(seed))).split()


def triples(words: list[bytes]) -> list[tuple[bytes, bytes, bytes]]:
    return [(one, two, three) for (one, two), (_, three) in pairwise(pairwise(words))]


def surprise(words: list[bytes], of: list[bytes]) -> tuple[float, int]:
    """The chi-square of what follows each pair, and its degrees of freedom."""
    expected, found = Counter(triples(of)), Counter(triples(words))
    follow: dict[tuple[bytes, bytes], Counter[bytes]] = {}
    for (one, two, three), count in expected.items():
        follow.setdefault((one, two), Counter())[three] = count
    chi_square, freedom = 0.0, 0
    for (one, two), successors in follow.items():
        seen = sum(found[one, two, three] for three in successors)
        for three, count in successors.items():
            wanted = seen * count / successors.total()
            chi_square += (found[one, two, three] - wanted) ** 2 / wanted
        freedom += len(successors) - 1
    return chi_square, freedom


def test_unique_words_are_counted_with_their_punctuation() -> None:
    assert learnt(RHYME).unique == len(set(WORDS))
    assert learnt(b" a\ta\r\nA\x0ba. ").unique == 3


@pytest.mark.parametrize("count", [1, 2, 499, 500, 501, 3_999, 4_000, 4_001, 5_000, 20_000])
def test_as_many_words_are_made_up_as_are_asked_for(count: int) -> None:
    assert len(made(learnt(RHYME), count)) == count


@pytest.mark.parametrize("count", [200, 50_000])
def test_no_word_follows_a_pair_that_it_does_not_follow_in_the_text(count: int) -> None:
    # the last pair has no successor: behind "end" the text goes on anywhere
    found = triples(made(learnt(RHYME), count))
    others = [triple for triple in found if b"end" not in triple[:2]]
    assert set(others) <= set(triples(WORDS))


@pytest.mark.parametrize(
    "count", [3_900, 200_000], ids=["one step after the other", "many readers"]
)
def test_successors_of_a_pair_come_as_often_as_in_the_text(count: int) -> None:
    chi_square, freedom = surprise(made(learnt(RHYME), count), WORDS)
    assert freedom == 10
    assert chi_square < 29.6  # one in a thousand is above that


def test_that_a_pair_without_successor_is_followed_by_a_random_one_leaves_no_pair_out() -> None:
    words = made(learnt(b"one two three four five"), 10_000)
    assert Counter(words).keys() == {b"three", b"four", b"five"}
    # "five" ends the text each time, and one of three pairs comes next
    follow = Counter(two for one, two in pairwise(words) if one == b"five")
    assert all(0.27 < follow[word] / follow.total() < 0.4 for word in (b"three", b"four", b"five"))


@pytest.mark.parametrize("text", [b"one", b"one two"])
def test_a_text_of_one_pair_or_less_repeats_its_last_word(text: bytes) -> None:
    assert made(learnt(text), 3) == text.split()[-1:] * 3


def test_the_same_source_of_chance_makes_up_the_same_text() -> None:
    travesty = learnt(RHYME)
    assert made(travesty, 30_000, 7) == made(travesty, 30_000, 7)
    assert made(travesty, 1_000, 7) != made(travesty, 1_000, 8)


def test_two_texts_that_are_made_up_in_turn_do_not_disturb_each_other() -> None:
    travesty = learnt(RHYME)
    one, two = (travesty.generate(30_000, random.Random(seed)) for seed in (3, 4))
    pieces = list(zip(one, two, strict=False))
    assert (
        b"".join(piece for piece, _ in pieces).split()[:9_000] == made(travesty, 30_000, 3)[:9_000]
    )


def test_where_no_words_are_known_none_are_made_up() -> None:
    for travesty in (Travesty(10, 10**6), learnt(b" \r\n")):
        with pytest.raises(ValueError, match="no words are known"):
            travesty.generate(1, random.Random(1))


def test_reset_forgets() -> None:
    travesty = learnt(RHYME)
    travesty.reset()
    assert (travesty.unique, travesty.words, travesty.pairs, travesty.memory) == (0, 0, 0, 0)
    with pytest.raises(ValueError, match="no words are known"):
        travesty.generate(1, random.Random(1))
    travesty.add(b"new words")
    travesty.finish()
    assert set(made(travesty, 100)) == {b"words"}


@given(st.lists(st.sampled_from([b"a", b"b", b"c.", b"dd", "é".encode()]), min_size=3))
def test_a_text_in_any_pieces_is_the_same_text(words: list[bytes]) -> None:
    whole, pieces = learnt(b" ".join(words)), Travesty(10**6, 10**9)
    for word in words:
        pieces.add(word + b"\r\n")
    pieces.finish()
    assert made(pieces, 700) == made(whole, 700)


def test_of_a_text_with_too_many_words_the_first_are_kept() -> None:
    travesty = Travesty(5, 10**9)
    travesty.add(b"a b c")
    assert (travesty.is_full, travesty.words) == (False, 3)
    travesty.add(b"d e f g")
    assert (travesty.is_full, travesty.words, travesty.unique) == (True, 5, 5)


def test_no_more_memory_is_taken_than_is_allowed() -> None:
    least = 3 * (BYTES_A_WORD + BYTES_A_UNIQUE_WORD) + len(b"a b c")
    travesty = Travesty(10**6, least)
    travesty.add(b"a b c")
    assert (travesty.is_full, travesty.words) == (False, 3)
    travesty.add(b"a")
    assert (travesty.is_full, travesty.words) == (True, 3)
    assert travesty.memory <= least


def test_what_was_learnt_takes_less_once_it_is_finished() -> None:
    travesty = Travesty(10**6, 10**9)
    for number in range(2_000):
        travesty.add(b"%d and %d again" % (number % 100, number % 7))
    before = travesty.memory
    travesty.finish()
    assert 0 < travesty.memory < before / 2
    assert travesty.words == 0


def test_a_word_that_is_too_long_becomes_several_and_no_letter_is_cut() -> None:
    word = "é".encode() * MAX_WORD + b"x"
    travesty = Travesty(10**6, 10**9)
    travesty.add(b"short " + word + b" end")
    travesty.finish()
    words = set(made(travesty, 50))
    assert max(map(len, words)) == MAX_WORD
    assert {len(word.decode()) for word in words} == {MAX_WORD // 2, 1, 3}


def test_what_is_no_utf_8_is_kept_byte_for_byte() -> None:
    words = [b"\xff" * 300, b"\x80", b"caf\xc3\xa9", b"\x00\x1b[2J"]
    found = set(made(learnt(b"x y " + b" ".join(words) + b" x y"), 500))
    assert found == {
        b"\xff" * 255,
        b"\xff" * 45,
        b"\x80",
        b"caf\xc3\xa9",
        b"\x00\x1b[2J",
        b"x",
        b"y",
    }


def test_all_that_takes_long_to_load_is_loaded_where_a_text_is_sorted() -> None:
    program = """if True:
        import random, sys
        from sockd.travesty.model import Travesty
        text = Travesty(1000, 10**7)
        text.add(b"a b c " * 9)
        assert "numpy" not in sys.modules
        text.finish()
        known = set(sys.modules)
        for _ in text.generate(100_000, random.Random(1)):
            pass
        assert "numpy.random" in known
        assert not [name for name in set(sys.modules) - known if name.startswith("numpy")]
    """
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
