import locale
import re
import sys
import unicodedata
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockd.formats.text import ctime, escape, readable

ESCAPE = re.compile(r"\\(?:\\|x([0-9a-f]{2})|u([0-9a-f]{4})|U([0-9a-f]{8}))")
# Every character, surrogates too, with those that matter more often than chance would have it.
HOSTILE = st.text(
    st.one_of(
        st.characters(),
        st.characters(categories=["Cs"]),
        st.sampled_from("\\\x1b\x7f\x9b\t\r\n\u202e\u2066\u200b\ufeff\U000e0041\u2028"),
    )
)


def sent(shown: str, of_bytes: bool, has_single: bool = False) -> str | bytes:
    """What was escaped, read back from the result. Backslashes may be single: of `readable`."""
    parts: list[bytes] = []
    place = 0
    while place < len(shown):
        found = ESCAPE.match(shown, place)
        if found is None:
            assert shown[place] != "\\" or has_single
            parts.append(shown[place].encode())
            place += 1
            continue
        place = found.end()
        byte, short, long = found.groups()
        if byte is not None:
            parts.append(bytes([int(byte, 16)]))
        else:
            character = chr(int(short or long, 16)) if short or long else "\\"
            parts.append(character.encode("utf-8", "surrogatepass"))
    whole = b"".join(parts)
    return whole if of_bytes else whole.decode("utf-8", "surrogatepass")


def test_no_character_of_unicode_that_acts_on_a_terminal_comes_through() -> None:
    for code in range(sys.maxunicode + 1):
        character = chr(code)
        acts = unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
        shown = escape(character)
        if acts and character != "\t":
            assert ESCAPE.fullmatch(shown), hex(code)
            assert shown.isascii()
        elif character != "\\":
            assert shown == character, hex(code)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text, żółć, 日本", "plain text, żółć, 日本"),
        ("a\tb", "a\tb"),
        ("a\u00a0b", "a\u00a0b"),
        ("a\nb\r", r"a\x0ab\x0d"),
        ("\x1b[31m", r"\x1b[31m"),
        ("\x7f", r"\x7f"),
        ("\x9b31m", r"\u009b31m"),
        ("\u202eevil", r"\u202eevil"),
        ("\u061c\u200e\u2069", r"\u061c\u200e\u2069"),
        ("\u2028", r"\u2028"),
        ("a\u200bb\ufeff", r"a\u200bb\ufeff"),
        ("\U000e0041", r"\U000e0041"),
        ("\udc80", r"\udc80"),
        ("C:\\x41", r"C:\\x41"),
        (b"plain", "plain"),
        ("é".encode(), "é"),
        (b"\xff\xfe", r"\xff\xfe"),
        (b"\xc3", r"\xc3"),
        (b"\xed\xa0\x80", r"\xed\xa0\x80"),
        (b"\xc2\x9b", r"\u009b"),
        (b"\0", r"\x00"),
    ],
)
def test_what_is_unsafe_is_shown_as_its_number(text: str | bytes, shown: str) -> None:
    assert escape(text) == shown


@given(HOSTILE)
def test_the_escapes_of_a_text_are_unambiguous(text: str) -> None:
    assert sent(escape(text), of_bytes=False) == text


@given(st.binary() | HOSTILE.map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_the_escapes_of_bytes_are_unambiguous(data: bytes) -> None:
    assert sent(escape(data), of_bytes=True) == data


BACKSLASHES = st.text(st.sampled_from("\\\\\\xuU0a]\x1b\u202e\U000e0041"), max_size=12)
"""Texts in which many a backslash stands before what makes an escape of it."""


@given(HOSTILE | BACKSLASHES)
def test_with_as_few_backslashes_as_can_be_escapes_are_unambiguous(text: str) -> None:
    assert sent(readable(text), of_bytes=False, has_single=True) == text
    data = text.encode("utf-8", "surrogatepass")
    assert sent(readable(data), of_bytes=True, has_single=True) == data


@given(HOSTILE | BACKSLASHES | st.binary())
def test_it_lets_through_what_escape_does_and_doubles_less(text: str | bytes) -> None:
    shown = readable(text)
    assert set(shown) <= set(escape(text))
    assert len(shown) <= len(escape(text))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (b"XYZ[\\]^_", r"XYZ[\]^_"),
        ("at its end: \\", "at its end: \\"),
        (r"C:\Windows\system", r"C:\Windows\system"),
        (r"C:\x41", r"C:\\x41"),
        (r"\u0041 \U00000041", r"\\u0041 \\U00000041"),
        (r"two: \\", r"two: \\" + "\\"),
        ("\\\x1b", r"\\\x1b"),
    ],
)
def test_a_backslash_is_doubled_where_it_would_begin_an_escape(
    text: str | bytes, shown: str
) -> None:
    assert readable(text) == shown


@given(HOSTILE | st.binary() | HOSTILE.map(lambda text: text.encode("utf-8", "replace")))
def test_a_limit_cuts_between_escapes_and_says_so(text: str | bytes) -> None:
    whole = escape(text)
    for limit in range(len(whole) + 3):
        shown = escape(text, limit)
        assert len(shown) <= limit
        if len(whole) <= limit:
            assert shown == whole
        elif limit >= 3:
            kept = shown.removesuffix("...")
            assert kept != shown
            assert whole.startswith(kept)
            sent(kept, of_bytes=True)


@pytest.mark.parametrize(
    ("limit", "shown"), [(6, "abc..."), (9, "abcdefghi"), (3, "..."), (2, ".."), (0, ""), (-5, "")]
)
def test_a_long_text_is_cut(limit: int, shown: str) -> None:
    assert escape("abcdefghi", limit) == shown
    assert escape(b"abcdefghi", limit) == shown


def test_a_time_is_written_as_c_does() -> None:
    assert ctime(datetime(2000, 6, 17, 18, 6, 14)) == "Sat Jun 17 18:06:14 2000"
    assert ctime(datetime(2000, 6, 3, 8, 6, 4)) == "Sat Jun  3 08:06:04 2000"


def test_the_names_in_a_time_are_english_in_every_locale() -> None:
    before = locale.setlocale(locale.LC_TIME)
    try:
        for name in ("pl_PL.UTF-8", "de_DE.UTF-8", "fr_FR.UTF-8", "C.UTF-8", "C"):
            try:
                locale.setlocale(locale.LC_TIME, name)
            except locale.Error:  # not installed here
                continue
            assert ctime(datetime(2001, 5, 2)) == "Wed May  2 00:00:00 2001"
    finally:
        locale.setlocale(locale.LC_TIME, before)
