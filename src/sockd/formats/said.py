"""Texts that services say: what RFC 865 and RFC 867 ask of them, and what they leave open."""

from __future__ import annotations

import re

MOST_QUOTE = 512
"""Bytes of a quotation, at most (RFC 865)."""
_CONTROL = re.compile(rb"[^\t\n\r\x20-\x7e\x80-\xff]")


def control_character(data: bytes) -> int | None:
    """Where the first byte is that no text has, in any encoding that contains ASCII; else None.

    Both RFCs recommend the printing characters of ASCII, space, CR and LF. Tabs and other
    alphabets are let through: they are in use, and harm nobody once they are escaped.
    """
    found = _CONTROL.search(data)
    return None if found is None else found.start()
