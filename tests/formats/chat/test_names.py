"""Nicknames and titles."""

from __future__ import annotations

import sys
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockd.formats.chat.names import (
    MAX_FOLDED,
    MAX_NICKNAME,
    MAX_TITLE,
    fold,
    nickname_fault,
    title_fault,
)
from tests.formats.chat.strategies import HOSTILE_BYTES


@pytest.mark.parametrize("name", [b"rufus", b"R2-D2", b"_", b"7", b"x" * MAX_NICKNAME])
def test_a_nickname_has_ascii_letters_digits_underlines_and_hyphens(name: bytes) -> None:
    assert nickname_fault(name) is None


@pytest.mark.parametrize(
    ("name", "why"),
    [
        (b"", "a nickname is needed"),
        (b"x" * (MAX_NICKNAME + 1), "a nickname has at most 32 characters"),
        (b"two words", "a nickname has letters, digits, '_' and '-' only"),
        (b"rufus\n", "a nickname has letters, digits, '_' and '-' only"),
        ("żółć".encode(), "a nickname has letters, digits, '_' and '-' only"),
        ("٣".encode(), "a nickname has letters, digits, '_' and '-' only"),
        (b"rufus/4711", "a nickname has letters, digits, '_' and '-' only"),
        (b"\xff", "a nickname has letters, digits, '_' and '-' only"),
    ],
)
def test_what_is_wrong_with_a_nickname_is_said(name: bytes, why: str) -> None:
    assert nickname_fault(name) == why


def test_how_long_a_nickname_may_be_is_an_option() -> None:
    assert nickname_fault(b"rufus", 5) is None
    assert nickname_fault(b"rufus", 4) == "a nickname has at most 4 characters"


@given(HOSTILE_BYTES)
def test_a_nickname_that_is_let_through_can_be_shown_and_holds_no_white_space(name: bytes) -> None:
    if nickname_fault(name) is None:
        assert name.decode("ascii").isprintable()
        assert name.split() == [name]


@pytest.mark.parametrize("title", ["Weather", "Żywność", "C++", "....", "é" * 16])
def test_a_title_is_a_word_that_can_be_shown(title: str) -> None:
    assert title_fault(title) is None


@pytest.mark.parametrize(
    ("title", "why"),
    [
        ("", "a channel needs a title"),
        ("é" * 16 + "x", f"a title has at most {MAX_TITLE} bytes"),
        ("two words", "a title has no white space"),
        ("a/b", "a title has no white space, no '/'"),
        ("a\u00a0b", "a title has no white space"),
        ("a\x1bb", "a title has no white space"),
        ("a\u202eb", "a title has no white space"),
        ("a\ud800b", "a title has no white space"),
        ("...", "a title is not '...'"),
    ],
)
def test_what_is_wrong_with_a_title_is_said(title: str, why: str) -> None:
    found = title_fault(title)
    assert found is not None
    assert found.startswith(why)
    found.encode()


@given(st.text(st.characters(), max_size=40))
def test_a_title_that_is_let_through_is_one_word_on_the_wire(title: str) -> None:
    if title_fault(title) is None:
        data = title.encode()
        assert data.split() == [data]
        assert len(data) <= MAX_TITLE


@pytest.mark.parametrize(
    ("name", "folded"),
    [
        (b"Rufus", b"rufus"),
        ("ŻÓŁĆ".encode(), "żółć".encode()),
        ("Straße".encode(), b"strasse"),
        ("Pet\u017f".encode(), b"pets"),
        ("\u212aate".encode(), b"kate"),
        (b"\xffABC", b"\xffabc"),
        ("Ż".encode()[:1] + b"A", "Ż".encode()[:1] + b"a"),
        (b"", b""),
    ],
)
def test_names_that_differ_in_case_alone_fold_alike(name: bytes, folded: bytes) -> None:
    assert fold(name) == folded


@given(HOSTILE_BYTES)
def test_folding_again_changes_nothing_and_nothing_grows_beyond_three_times(name: bytes) -> None:
    assert fold(fold(name)) == fold(name)
    assert len(fold(name)) <= 3 * len(name)


def test_every_character_of_unicode_folds_once_for_all() -> None:
    for code in range(sys.maxunicode + 1):
        if not 0xD800 <= code < 0xE000:
            name = chr(code).encode()
            assert fold(fold(name)) == fold(name), hex(code)
            assert len(fold(name)) <= 3 * len(name), hex(code)
            assert len(name) * MAX_TITLE <= len(fold(name)) * MAX_FOLDED, hex(code)


def test_what_is_longer_than_any_name_is_not_looked_at() -> None:
    assert fold(b"A" * MAX_FOLDED) == b"a" * MAX_FOLDED
    assert fold(b"A" * (MAX_FOLDED + 1)) == b"A" * (MAX_FOLDED + 1)


@given(HOSTILE_BYTES, HOSTILE_BYTES)
def test_what_is_not_utf8_folds_as_nothing_that_is(one: bytes, other: bytes) -> None:
    def is_utf8(data: bytes) -> bool:
        return data.decode("utf-8", "replace").encode() == data

    assert is_utf8(fold(one)) == is_utf8(one)
    if is_utf8(one) != is_utf8(other):
        assert fold(one) != fold(other)


def test_nicknames_that_are_let_through_fold_alike_only_where_ascii_case_is_all_that_differs() -> (
    None
):
    letters = [bytes([code]) for code in range(128) if nickname_fault(bytes([code])) is None]
    by_fold = sorted((fold(letter), letter) for letter in letters)
    for (one, first), (other, second) in pairwise(by_fold):
        if one == other:
            assert first.lower() == second.lower()
