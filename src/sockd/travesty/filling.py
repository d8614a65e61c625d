"""Words filled into paragraphs, quickly: some hundred words at a time, all that is known of them
being where spaces are. (`sockd.formats.fill` knows how wide each letter is, and takes its time.)"""

from __future__ import annotations

from attrs import define, field

from sockd.formats.travesty import END
from sockd.travesty.walk import Chances

COLUMNS = 72
"""Bytes of a line at most, where its words are not longer."""
INDENT = b"    "
"""What the first line of a paragraph begins with."""
PARAGRAPHS = 0.1
"""How often a new paragraph follows a word that ends in a full stop."""


@define
class Filler:
    """Lines of at most `COLUMNS` bytes, each with CRLF, none of them `.` alone."""

    random: Chances
    _line: bytes = field(default=INDENT, init=False)
    """What the next line begins with."""

    def fill(self, words: bytes) -> bytes:
        """The lines that become whole by some words, one space between them."""
        begun = self._line
        text = begun + words if begun.isspace() else begun + b" " + words
        lines: list[bytes] = []
        start, seen = 0, max(0, len(begun) - 1)
        while True:
            end = self._end_of_paragraph(text, seen)
            start = _break(text, start, end, lines)
            if end == len(text):
                break
            lines += (text[start:end], b"")
            # the space behind the full stop is there already
            start, seen = end + 1, end + 1
            text = text[:start] + INDENT + text[start:]
        self._line = text[start:]
        return _with_ends(lines)

    def end(self) -> bytes:
        """The last line."""
        line, self._line = self._line, INDENT
        return b"" if line.isspace() else _with_ends([line])

    def _end_of_paragraph(self, text: bytes, start: int) -> int:
        """Behind a full stop that a new paragraph follows, or the end."""
        at = text.find(b". ", start)
        while at >= 0 and self.random.random() >= PARAGRAPHS:
            at = text.find(b". ", at + 2)
        return len(text) if at < 0 else at + 1


def _break(text: bytes, start: int, end: int, lines: list[bytes]) -> int:
    """Break a part of a text into lines; returns where the last one begins, which may grow."""
    while end - start > COLUMNS:
        least = start + len(INDENT) if text.startswith(INDENT, start) else start
        space = text.rfind(b" ", least, start + COLUMNS + 1)
        if space < 0:  # a word that is longer than a line
            space = text.find(b" ", start + COLUMNS, end)
            if space < 0:
                break
        lines.append(text[start:space])
        start = space + 1
    return start


def _with_ends(lines: list[bytes]) -> bytes:
    if END in lines:
        lines = [b" ." if line == END else line for line in lines]
    return b"".join([b"\r\n".join(lines), b"\r\n"]) if lines else b""
