"""Filling text into narrow paragraphs: nothing is lost, nothing is too wide."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from sockd.formats.fill import fill, width
from sockd.services.wrap import wrap
from tests.helpers import connect, make_context

characters = st.one_of(
    st.sampled_from("ab語한\N{COMBINING ACUTE ACCENT}\N{ZERO WIDTH JOINER}🙂 \t\n"),
    st.characters(codec="utf-8"),
)
texts = st.text(characters, max_size=300)
words = st.text("ab語\N{COMBINING ACUTE ACCENT}", min_size=1, max_size=9)


def bare(text: str) -> str:
    return "".join(text.split())


@given(texts, st.integers(2, 40))
def test_no_filled_line_is_wider_than_the_columns(text: str, columns: int) -> None:
    assert all(width(line) <= columns for line in fill(text, columns))


@given(texts, st.integers(2, 40))
def test_filling_keeps_the_characters_of_words_in_their_order(text: str, columns: int) -> None:
    assert bare("".join(fill(text, columns))) == bare(text)


@given(texts, st.integers(2, 40), st.lists(st.integers(0, 300)))
def test_however_a_text_is_cut_it_is_filled_the_same(
    text: str, columns: int, cuts: list[int]
) -> None:
    ends = [0, *sorted(cuts), max(len(text), *cuts, 0)]
    pieces = [text[start:end] for start, end in pairwise(ends)]
    assert list(fill(pieces, columns)) == list(fill(text, columns))


@given(
    st.lists(st.lists(words, min_size=1), min_size=1, max_size=5),
    st.integers(9 * 2, 40),
    st.sampled_from(["\n\n", "\r\n\r\n", "\n \t\n\n\n  "]),
    st.sampled_from([" ", "\n", "\r\n", " \t\n "]),
)
def test_paragraphs_stay_apart_and_words_that_fit_are_not_broken(
    paragraphs: list[list[str]], columns: int, between: str, space: str
) -> None:
    text = between.join(space.join(paragraph) for paragraph in paragraphs)
    filled = "\n".join(fill(text, columns))
    assert [part.split() for part in filled.split("\n\n")] == paragraphs


@given(st.lists(words, min_size=1), st.integers(9 * 2, 40))
def test_a_line_ends_only_where_the_next_word_does_not_fit(text: list[str], columns: int) -> None:
    lines = list(fill(" ".join(text), columns))
    for line, following in pairwise(lines):
        assert width(line) + 1 + width(following.split()[0]) > columns


def test_a_word_that_is_longer_than_a_line_is_broken() -> None:
    assert list(fill("x" * 25 + " y", 10)) == ["x" * 10, "x" * 10, "xxxxx y"]
    assert list(fill("語" * 5, 5)) == ["語語", "語語", "語"]
    assert list(fill("e\N{COMBINING ACUTE ACCENT}" * 3, 2)) == [
        "e\N{COMBINING ACUTE ACCENT}" * 2,
        "e\N{COMBINING ACUTE ACCENT}",
    ]


def test_the_longest_word_is_filled_without_waiting_for_its_end() -> None:
    lines = list(fill("語" * 100_000, 30))
    assert bare("".join(lines)) == "語" * 100_000
    assert all(width(line) <= 30 for line in lines)


@given(st.binary(max_size=300), st.integers(2, 40))
def test_bytes_that_are_not_utf_8_are_shown_escaped(data: bytes, columns: int) -> None:
    answer = b"".join(wrap(data, columns))
    assert bare(answer.decode()) == bare(data.decode("utf-8", "backslashreplace"))
    assert answer.count(b"\n") == answer.count(b"\r\n") or b"\r" in data


def test_an_empty_text_has_no_lines() -> None:
    client = connect("wrap", make_context("wrap"))
    client.end()
    assert client.received == b""
    assert client.is_closed


def test_the_columns_are_an_option() -> None:
    client = connect("wrap", make_context("wrap", columns=5))
    client.send(b"aa bb cc")
    client.end()
    assert client.received == b"aa bb\r\ncc\r\n"
