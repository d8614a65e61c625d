"""Paragraphs of words."""

from __future__ import annotations

import random
import re

from hypothesis import given
from hypothesis import strategies as st

from sockd.travesty.filling import COLUMNS, INDENT, Filler

WORD = st.sampled_from([b"a", b"word", b"end.", b".", b"longer-than-others", b"x" * 80, b"500"])


class Always:
    """Chance that says yes, or no."""

    def __init__(self, number: float) -> None:
        self.number = number

    def random(self) -> float:
        return self.number

    def getrandbits(self, count: int, /) -> int:
        raise AssertionError("nothing here draws bits")


def filled(words: list[bytes], pieces: int = 1, chance: float | None = None) -> list[bytes]:
    filler = Filler(random.Random(1) if chance is None else Always(chance))
    size = max(1, len(words) // pieces)
    parts = [words[start : start + size] for start in range(0, len(words), size)]
    text = b"".join([*(filler.fill(b" ".join(part)) for part in parts), filler.end()])
    lines = text.split(b"\r\n")
    assert lines.pop() == b""
    return lines


@given(st.lists(WORD, min_size=1, max_size=400), st.integers(1, 50))
def test_all_words_are_there_in_order_in_lines_that_are_as_full_as_they_can_be(
    words: list[bytes], pieces: int
) -> None:
    lines = filled(words, pieces)
    assert b" ".join(lines).split() == words
    for line, following in zip(lines, [*lines[1:], b""], strict=True):
        assert len(line) <= COLUMNS or len(line.split()) == 1
        if line and following:
            begin = following.split(b" ")[0] or following.strip().split()[0]
            assert len(line) + 1 + len(begin) > COLUMNS


@given(st.lists(WORD, min_size=1, max_size=200), st.integers(1, 50))
def test_no_line_is_a_full_stop_alone(words: list[bytes], pieces: int) -> None:
    assert b"." not in filled(words, pieces)


@given(st.lists(WORD, min_size=1, max_size=200), st.integers(1, 50))
def test_each_paragraph_but_the_first_follows_a_full_stop_and_is_indented(
    words: list[bytes], pieces: int
) -> None:
    lines = filled(words, pieces)
    assert lines[0].startswith(INDENT)
    for before, empty, after in zip(lines, lines[1:], lines[2:], strict=False):
        if not empty:
            assert before.endswith(b".")
            assert after.startswith(INDENT)


def test_a_new_paragraph_follows_a_full_stop_one_time_in_ten() -> None:
    words = re.split(rb" ", b"one two. " * 20_000)[:-1]
    paragraphs = 1 + filled(words, 80).count(b"")
    assert 1_850 < paragraphs < 2_150


def test_chance_decides_once_about_each_full_stop() -> None:
    words = [b"one", b"two."] * 3
    assert filled(words, chance=0.0) == [
        b"    one two.",
        b"",
        b"    one two.",
        b"",
        b"    one two.",
    ]
    assert filled(words, 6, chance=0.0) == filled(words, chance=0.0)
    assert filled(words, 6, chance=0.1) == [b"    one two. one two. one two."]


def test_a_full_stop_alone_is_not_left_alone_on_a_line() -> None:
    words = [b"x" * (COLUMNS - len(INDENT)), b".", b"y" * COLUMNS]
    assert filled(words)[1] == b" ."
