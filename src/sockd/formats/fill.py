"""Filling text into paragraphs of narrow lines."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator

_TOKEN = re.compile(r"\S+|\s+")
_EMPTY_LINE = re.compile(r"\n[ \t\r\f\v]*\n")
_LINE_BEGUN = re.compile(r"\n[ \t\r\f\v]*\Z")
MARKS_A_COLUMN = 4
"""Characters that are kept together for each column: marks have no width, and no end otherwise."""
MAX_WORD = 4096
"""Characters of a word that are held before it is broken: longer than any line."""


def width(text: str) -> int:
    """Columns of a text on a terminal: two for a wide character, none for a combining mark."""
    if text.isascii():
        return len(text)
    columns = 0
    for character in text:
        if unicodedata.category(character) not in ("Mn", "Me", "Cf"):
            columns += 2 if unicodedata.east_asian_width(character) in "WF" else 1
    return columns


def fill(text: str | Iterable[str], columns: int) -> Iterator[str]:
    """The lines of the text filled into paragraphs of at most `columns` columns, without ends.

    White space between words becomes one space or a line end; empty lines separate paragraphs and
    one empty line stands between them in the result. A word that is too long is broken. The text
    may come in pieces, cut anywhere: no more than a piece, a line and a word of it is held.
    """
    line: list[str] = []
    used = 0
    is_paragraph_due = False
    for word in _words([text] if isinstance(text, str) else text, columns):
        if word is None:
            if line:
                yield " ".join(line)
                line, used, is_paragraph_due = [], 0, True
            continue
        if is_paragraph_due:
            yield ""
            is_paragraph_due = False
        needed = width(word)
        if line and used + 1 + needed > columns:
            yield " ".join(line)
            line, used = [], 0
        used += needed + (1 if line else 0)
        line.append(word)
    if line:
        yield " ".join(line)


def _words(pieces: Iterable[str], columns: int) -> Iterator[str | None]:
    """The words, none wider than a line; None for each end of a paragraph."""
    word = space = ""
    for piece in pieces:
        for match in _TOKEN.finditer(piece):
            token = match[0]
            if not token.isspace():
                space = ""
                word += token
                if len(word) > MAX_WORD:
                    *whole, word = _break(word, columns)
                    yield from whole
                continue
            yield from _break(word, columns)
            word = ""
            space += token
            if _EMPTY_LINE.search(space):
                yield None
            # of what may be a long stretch only this matters for what follows
            space = "\n" if _LINE_BEGUN.search(space) else ""
    yield from _break(word, columns)


def _break(word: str, columns: int) -> Iterator[str]:
    if word.isascii():
        for start in range(0, len(word), columns):
            yield word[start : start + columns]
        return
    piece, used = "", 0
    for character in word:
        needed = width(character)
        if piece and (used + needed > columns or len(piece) >= MARKS_A_COLUMN * columns):
            yield piece
            piece, used = "", 0
        piece += character
        used += needed
    if piece:
        yield piece
