"""The travesty protocol, both halves: commands, codes, and lines of text (CRLF).

Only the three digits of an answer matter to a client, and in 202 the number. Both sides end a text
with a line that is `.` alone. An urgent byte ends a transfer at once.

Where there is no urgent data a line that is `ABORT` does the same, but only for a client that has
asked for `FEATURES` and got `206 ABORT`. Whatever it ends is ended as it would end by itself (an
upload with 202, a text with `.`), and then, or at once where nothing was under way, comes 207. So a
client that has sent it reads on to 207, and is in step whatever had ended before.
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
ABORTED = 207
REFUSED = 500
TOO_MUCH = 552

END = b"."
"""A line that ends a text."""
ABORT = b"ABORT"
"""A line that ends a transfer, for who has asked for features."""

_ANALYZED = re.compile(rb"202 \D*([0-9]{1,18}) words")
"""No text has more words; a number of thousands of digits is no answer."""


def answer(code: int, text: str) -> bytes:
    """A line of the server."""
    return b"%d %s\r\n" % (code, text.encode())


def code_of(line: bytes) -> int:
    """The code of an answer; 0 where a line is none."""
    digits = line[:3]
    has_end = line[3:4] in (b"", b" ", b"-")
    return int(digits) if len(digits) == 3 and digits.isdigit() and has_end else 0


def words_of(line: bytes) -> int | None:
    """The number of unique words that a 202 line holds; None where it has none, or is absurd."""
    found = _ANALYZED.match(line)
    return int(found[1]) if found else None
