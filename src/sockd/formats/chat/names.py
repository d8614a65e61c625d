"""Nicknames and titles: what they may be made of, and when two are the same."""

from __future__ import annotations

import re

MAX_NICKNAME = 32
"""Characters of the longest nickname, unless an option says otherwise."""
MAX_TITLE = 32
"""Bytes of the longest title of a channel: a title and a name leave a text most of an event."""
MAX_FOLDED = 4 * MAX_TITLE
"""Bytes of the longest name that has another case: three of them may fold to one of a title. To
fold all of a long datagram would take longer than others can wait."""
MORE = "..."
"""Stands, in a list of titles, for those that found no room; so it is none."""
_NICKNAME = re.compile(rb"[A-Za-z0-9_-]+")
_TITLE = re.compile(r"[^\s/]+")


def nickname_fault(name: bytes, longest: int = MAX_NICKNAME) -> str | None:
    """What is wrong with a nickname, in words for its user; None where nothing is."""
    if not name:
        return "a nickname is needed"
    if len(name) > longest:
        return f"a nickname has at most {longest} characters"
    if not _NICKNAME.fullmatch(name):
        return "a nickname has letters, digits, '_' and '-' only"
    return None


def title_fault(title: str) -> str | None:
    """What is wrong with the title of a channel; None where nothing is."""
    if not title:
        return "a channel needs a title"
    if not (_TITLE.fullmatch(title) and title.isprintable()):
        return f"a title has no white space, no '/' and nothing that cannot be shown: {title!r}"
    if len(title.encode()) > MAX_TITLE:
        return f"a title has at most {MAX_TITLE} bytes, {title!r} has {len(title.encode())}"
    return f"a title is not {MORE!r}: that stands for others" if title == MORE else None


def fold(name: bytes) -> bytes:
    """What two names have in common that are the same but for case; any bytes have one.

    Of UTF-8 it is Unicode's: so the long s of "Pet\u017f" is an s, too, and two titles that fold
    alike are one. Of other bytes only ASCII has case, and none of them folds as UTF-8 does. It
    has at most three times as many bytes. What is longer than any name stays as it is.
    """
    if len(name) > MAX_FOLDED:
        return name
    try:
        return name.decode().casefold().encode()
    except UnicodeDecodeError:
        return name.lower()
