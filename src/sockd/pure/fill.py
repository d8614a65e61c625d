"""Filling text into paragraphs of narrow lines."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

_PARAGRAPH = re.compile(r"\n[ \t\r\f\v]*\n\s*")


def width(text: str) -> int:
    """Columns of a text on a terminal: two for a wide character, none for a combining mark."""
    if text.isascii():
        return len(text)
    columns = 0
    for character in text:
        if unicodedata.category(character) not in ("Mn", "Me", "Cf"):
            columns += 2 if unicodedata.east_asian_width(character) in "WF" else 1
    return columns


def fill(text: str, columns: int) -> Iterator[str]:
    """The lines of the text filled into paragraphs of at most `columns` columns, without ends.

    White space between words becomes one space or a line end; empty lines separate paragraphs and
    one empty line stands between them in the result. A word that is too long is broken.
    """
    first = True
    for paragraph in _PARAGRAPH.split(text):
        words = paragraph.split()
        if not words:
            continue
        if not first:
            yield ""
        first = False
        yield from _fill_words(words, columns)


def _fill_words(words: list[str], columns: int) -> Iterator[str]:
    line: list[str] = []
    used = 0
    for whole in words:
        for word in _break(whole, columns):
            needed = width(word)
            if line and used + 1 + needed > columns:
                yield " ".join(line)
                line, used = [], 0
            used += needed + (1 if line else 0)
            line.append(word)
    yield " ".join(line)


def _break(word: str, columns: int) -> Iterator[str]:
    if word.isascii():
        for start in range(0, len(word), columns):
            yield word[start : start + columns]
        return
    piece, used = "", 0
    for character in word:
        needed = width(character)
        if piece and used + needed > columns:
            yield piece
            piece, used = "", 0
        piece += character
        used += needed
    yield piece
