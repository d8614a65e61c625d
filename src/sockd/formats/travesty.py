"""The travesty protocol, both halves: commands, codes, and lines of text (CRLF).

Only the three digits of an answer matter to a client, and in 202 the number. Both sides end a text
with a line that is `.` alone. An urgent byte ends a transfer; `ABORT` on a line of its own does the
same where that cannot be, for clients that have asked for `FEATURES`.
"""

from __future__ import annotations

import re

READY = 100
"""The greeting. Servers that say 200 are known, too."""
GREETINGS = (100, 200)
SEND_TEXT = 201
ANALYZED = 202
TEXT_FOLLOWS = 203
GOODBYE = 204
FORGOTTEN = 205
FEATURES = 206
REFUSED = 500

END = b"."
"""A line that ends a text."""
ABORT = b"ABORT"
"""A line that ends a transfer, for who has asked for features."""

_ANALYZED = re.compile(rb"202 \D*([0-9]+) words")


def answer(code: int, text: str) -> bytes:
    """A line of the server."""
    return b"%d %s\r\n" % (code, text.encode())


def code_of(line: bytes) -> int:
    """The code of an answer; 0 where a line is none."""
    digits = line[:3]
    has_end = line[3:4] in (b"", b" ", b"-")
    return int(digits) if len(digits) == 3 and digits.isdigit() and has_end else 0


def words_of(line: bytes) -> int | None:
    """The number of unique words that a 202 line holds."""
    found = _ANALYZED.match(line)
    return int(found[1]) if found else None
