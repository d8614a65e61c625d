"""The answers of line services, both halves: how one is made, and whether one fits its line.

Lines and answers come without their ends, unless it is said.
"""

from __future__ import annotations

import re

_OK = b"OK : "
_YOU_SAID = b"You said:"
_NUMBERED = re.compile(rb"(\d+): (.*)")
"""A sequence number and a text, which ends at the first line end."""


def acknowledge(lines: list[bytes]) -> bytes:
    """The answers to lines, with their ends."""
    return _OK + (b"\r\n" + _OK).join(lines) + b"\r\n"


def is_acknowledgement(answer: bytes) -> bool:
    """Whether it acknowledges any line."""
    return answer.startswith(_OK)


def acknowledges(line: bytes, answer: bytes) -> bool:
    """Whether it acknowledges this line."""
    return is_acknowledgement(answer) and answer[len(_OK) :] == line


def you_said(line: bytes) -> bytes:
    """The answer to a line, with its end."""
    return _YOU_SAID + line + b"\r\n"


def was_said(line: bytes, answer: bytes) -> bool:
    """Whether it says that this line was said."""
    return answer.startswith(_YOU_SAID) and answer[len(_YOU_SAID) :] == line


def numbered(number: int | bytes, text: bytes) -> bytes:
    """A datagram of which a client can tell which of its questions it answers."""
    return b"%b: %b" % (number if isinstance(number, bytes) else b"%d" % number, text)


def split_number(data: bytes) -> tuple[bytes, bytes] | None:
    """The digits and the text of a numbered datagram; None where it is none."""
    found = _NUMBERED.match(data)
    return (found[1], found[2]) if found else None


def is_reversed(line: bytes, answer: bytes) -> bool:
    """Whether it can be the line backwards, by characters or by bytes: neither changes a byte."""
    if line[::-1] == answer:
        return True
    if line.isascii():  # where each character is a byte there is no other way
        return False
    return len(line) == len(answer) and sorted(line) == sorted(answer)
