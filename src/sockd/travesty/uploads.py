"""What a client of travesty sends: commands, a line each, and texts of any length between them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from sockd.formats.travesty import ABORT, END

BLOCK_BYTES = 16 * 1024
"""Bytes of a text that are taken at once: half a millisecond's work."""
_ABORT_LINE = re.compile(rb"(?:\A|(?<=\n))" + ABORT + rb"\r?\n")


class Uploads:
    """Requests out of bytes that come in any pieces: lines of at most `limit` bytes, their end not
    counted, or blocks of a text.

    A block ends in white space, so that its words are whole. The line that ends a text, or aborts
    it, is handed out without its line end: no block is like it.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.fault = ""
        """`max_line` after a line that was too long."""
        self.is_text = False
        """Whether a text comes now, and not commands."""
        self.may_abort = False
        """Whether a line `ABORT` ends a text, too."""
        self._held = bytearray()
        self._begins_line = True
        """Whether what is held of a text begins a line of it."""
        self._has_ended = False
        self._size = -1
        """Bytes of what can be taken next, its line end with it; 0: nothing yet. -1: not looked,
        for only who has taken a line knows what follows it."""
        self._is_end = False
        """Whether that is the line that ends a text."""

    def __len__(self) -> int:
        """Bytes that are held."""
        return len(self._held)

    @property
    def has_request(self) -> bool:
        """Whether there is a line, a block or the end of a text to take."""
        if self._size < 0:
            self._look()
        return self._size > 0

    @property
    def is_partial(self) -> bool:
        """Whether a command has begun. A text may take its time."""
        return not (self.is_text or self.has_request) and bool(self._held)

    def feed(self, data: bytes) -> None:
        """Bytes that have come. Whoever takes slower than they come must not feed for a while."""
        if not self.fault:
            self._held += data
            self._size = self._size or -1

    def end(self) -> None:
        """No more bytes come: a line or a text that is cut off ends there."""
        self._has_ended = True
        if self._held or self.is_text:
            self.feed(b"\r\n.\r\n" if self.is_text else b"\n")

    def begin_text(self) -> None:
        """What comes next is a text."""
        self.is_text = self._begins_line = True
        self._size = -1
        if self._has_ended and not self.has_request:
            self.end()

    def take(self) -> bytes:
        """The next line without its end, the next block of a text, or the line that ends it."""
        taken = bytes(self._held[: self._size])
        del self._held[: self._size]
        if not self.is_text:
            taken = taken.removesuffix(b"\n").removesuffix(b"\r")
        elif self._is_end:
            taken = taken.rstrip()
            self.is_text = False
        else:
            self._begins_line = taken.endswith(b"\n")
        self._size = -1
        return taken

    def clear(self) -> None:
        """Forget what is held; commands come next."""
        self._held.clear()
        self.is_text, self._size = False, -1

    def drop_to_abort(self) -> bool:
        """Forget what is held up to a line `ABORT`, and it, if there is one. Whether there was."""
        found = _ABORT_LINE.search(self._held)
        if found:
            del self._held[: found.end()]
            self._size = -1
        return bool(found)

    def _look(self) -> None:
        """See what can be taken next."""
        self._size, self._is_end = self._look_for_block() if self.is_text else (self._line(), False)

    def _line(self) -> int:
        end = self._held.find(b"\n", 0, self.limit + 2) + 1
        if end == self.limit + 2 and self._held[end - 2] != ord("\r"):
            end = 0
        if not end and len(self._held) > self.limit + self._held.endswith(b"\r"):
            self.fault = "max_line"
            self._held.clear()
        return end

    def _look_for_block(self) -> tuple[int, bool]:
        window = bytes(self._held[:BLOCK_BYTES])
        ends = (END, ABORT) if self.may_abort else (END,)
        text = (b"\n" if self._begins_line else b" ") + window
        found = [place for end in ends if (place := _find_line(text, end))]
        if found:
            start, end = min(found)
            return (start, False) if start else (end, True)
        return _cut(window), False


def _find_line(text: bytes, line: bytes) -> tuple[int, int] | None:
    """Where a line stands in a text that has one byte more before it: its begin, and the end of its
    end. A regular expression takes 20 times as long."""
    at = text.find(b"\n" + line)
    while at >= 0:
        end = at + 1 + len(line)
        for line_end in (b"\n", b"\r\n"):
            if text.startswith(line_end, end):
                return at, end + len(line_end) - 1
        at = text.find(b"\n" + line, end)
    return None


def _cut(window: bytes) -> int:
    """How much of a text whose beginning this is can be taken; 0 if nothing yet."""
    # not behind CR: it may belong to the line that ends the text
    size = max(window.rfind(space) for space in (b"\n", b" ", b"\t")) + 1
    if not size and len(window) >= BLOCK_BYTES:
        size = letters_end(window[:BLOCK_BYTES])
    return size


def letters_end(data: bytes) -> int:
    """Where the last letter ends that is whole, as UTF-8; the end, if it is none."""
    for back in range(1, 4):
        byte = data[-back]
        if byte < 0x80:
            break
        if byte >= 0xC0:  # it begins a letter of two bytes, three, or four
            whole = 2 + (byte >= 0xE0) + (byte >= 0xF0)
            return len(data) if whole <= back else len(data) - back
    return len(data)


def blocks(text: bytes) -> Iterator[bytes]:
    """A whole text in blocks."""
    start = 0
    while start < len(text):
        window = text[start : start + BLOCK_BYTES]
        end = _cut(window) if len(window) == BLOCK_BYTES else len(window)
        yield window[:end]
        start += end
