"""Reversing: by characters where the text is UTF-8, else by bytes; never a byte more or less."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockd.services.reverse import reverse, reverse_datagram, reverse_lines
from tests.helpers import connect, make_context

ACUTE = "\N{COMBINING ACUTE ACCENT}"
DOT = "\N{COMBINING DOT BELOW}"


def begins_with_a_mark(text: str) -> bool:
    return bool(text) and unicodedata.category(text[0]).startswith("M")


texts = st.text(
    st.one_of(st.characters(codec="utf-8"), st.sampled_from(["a", "ó", "語", "🙂", ACUTE, DOT]))
)
whole_texts = texts.filter(lambda text: not begins_with_a_mark(text))
invalid = st.one_of(
    st.binary().map(lambda data: data + b"\xff"), st.binary().map(lambda data: b"\xc3(" + data)
)
anything = st.one_of(st.binary(), texts.map(str.encode), invalid)


@given(anything)
def test_a_reversed_line_has_as_many_bytes_as_before(line: bytes) -> None:
    assert len(reverse(line)) == len(line)


@given(st.binary().map(lambda data: bytes(byte & 0x7F for byte in data)))
def test_ascii_reversed_twice_is_as_it_was(line: bytes) -> None:
    assert reverse(line) == line[::-1]
    assert reverse(reverse(line)) == line


@given(whole_texts)
def test_utf_8_reversed_twice_is_as_it_was(text: str) -> None:
    assert reverse(reverse(text.encode())) == text.encode()


@given(texts)
def test_reversed_utf_8_is_utf_8_with_the_same_characters(text: str) -> None:
    assert sorted(reverse(text.encode()).decode()) == sorted(text)


@given(whole_texts.filter(bool), whole_texts)
def test_a_text_reversed_is_its_end_reversed_and_then_its_beginning(one: str, other: str) -> None:
    assert reverse((one + other).encode()) == reverse(other.encode()) + reverse(one.encode())


@given(invalid)
def test_what_is_not_utf_8_is_reversed_by_bytes(line: bytes) -> None:
    assert reverse(line) == line[::-1]


@pytest.mark.parametrize(
    ("line", "reversed_line"),
    [
        ("", ""),
        ("stressed", "desserts"),
        ("Kraków", "wókarK"),
        (f"Krako{ACUTE}w", f"wo{ACUTE}karK"),
        (f"ba{DOT}{ACUTE}c", f"ca{DOT}{ACUTE}b"),
        (f"{ACUTE}ab", f"ba{ACUTE}"),
        ("a語🙂", "🙂語a"),
    ],
)
def test_a_combining_mark_stays_with_its_letter(line: str, reversed_line: str) -> None:
    assert reverse(line.encode()).decode() == reversed_line


@given(st.lists(anything.map(lambda line: line.replace(b"\n", b"")), min_size=1, max_size=20))
def test_lines_that_come_together_are_reversed_as_if_they_came_alone(lines: list[bytes]) -> None:
    assert reverse_lines(lines) == b"".join(reverse(line) + b"\r\n" for line in lines)


def test_a_line_of_marks_alone_takes_no_longer_than_another() -> None:
    line = ("a" + ACUTE * 500_000).encode()
    assert reverse(line) == line


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        (b"1: abc", b"1: cba"),
        (b"007: abc", b"007: cba"),
        ("42: wók".encode(), "42: ków".encode()),
        (b"1: \xff\xfe", b"1: \xfe\xff"),
        (b"1: ", b"1: "),
        (b"1: 2: 3", b"1: 3 :2"),
        (b"1: abc\n", b"1: cba"),
        (b"1: abc\nmore", b"1: cba"),
        (b"1:abc", b"cba:1"),
        (b" 1: abc", b"cba :1 "),
        (b"x1: abc", b"cba :1x"),
        (b"-1: abc", b"cba :1-"),
        ("٣: abc".encode(), "cba :٣".encode()),
        (b"abc\n", b"\ncba"),
        (b"a\nb", b"b\na"),
        (b"", b""),
    ],
)
def test_a_number_before_a_text_stays_and_the_text_ends_with_its_line(
    question: bytes, answer: bytes
) -> None:
    assert reverse_datagram(question) == answer


@given(st.integers(min_value=0), anything.map(lambda text: text.replace(b"\n", b"")))
def test_a_numbered_datagram_keeps_its_number(number: int, text: bytes) -> None:
    assert reverse_datagram(b"%d: %b" % (number, text)) == b"%d: %b" % (number, reverse(text))


@given(st.one_of(anything, st.from_regex(rb"\A[0-9]{1,3}: .*\n?.*\Z")))
def test_no_answer_is_longer_than_its_datagram(question: bytes) -> None:
    assert len(reverse_datagram(question)) <= len(question)


def test_lines_of_one_read_are_answered_in_their_order() -> None:
    client = connect("reverse", make_context("reverse"))
    client.send("ab\nwók\r\n".encode() + b"\xff\xfe\n\nlast")
    client.end()
    assert client.received == "ba\r\nków\r\n".encode() + b"\xfe\xff\r\n\r\ntsal\r\n"
    assert client.is_closed
