"""Quotations: the format of fortune files, and a small set of our own."""

from __future__ import annotations

import re

MAX_QUOTE = 512
"""Bytes of the longest quotation (RFC 865)."""

BUILTIN = (
    "A datagram that must arrive should be sent twice; one that must not be sent twice,\n"
    "should not be a datagram.",
    "The network is reliable. So is the weather, in the long run.",
    "Be careful what you listen on: somebody will answer.",
    "Nothing is as permanent as a test server on a well-known port.",
    "A timeout is an opinion. Choose it as if you had to defend it.",
    "The first byte is the hardest. After that it is only flow control.",
    "Port numbers are cheap. Names for them are not.",
    "Every protocol is simple until two people implement it.",
    "An echo proves that somebody is there, not that anybody listens.",
    "A clock that is asked often enough will disagree with itself.",
    "Silence on the wire means one of three things, and you will think of two.",
    "Close what you opened; log what you closed; read what you logged.",
)
"""Quotations of this project's own."""


def parse_quotes(data: bytes, max_bytes: int = MAX_QUOTE) -> tuple[bytes, ...]:
    """The quotations of a fortune file: text between lines that are `%` alone.

    Each comes back with CRLF line ends, within `max_bytes`; one that is longer is left out, because
    half a quotation is none. Raises ValueError where nothing is left.
    """
    quotes = []
    for part in re.split(rb"^%\r?$\n?", data, flags=re.MULTILINE):
        text = part.replace(b"\r\n", b"\n").strip(b"\n")
        quote = text.replace(b"\n", b"\r\n") + b"\r\n"
        if quote.strip() and len(quote) <= max_bytes:
            quotes.append(quote)
    if not quotes:
        raise ValueError(f"no quotation of at most {max_bytes} bytes in it")
    return tuple(quotes)


def builtin_quotes() -> tuple[bytes, ...]:
    """The set of our own, with CRLF line ends."""
    return parse_quotes("\n%\n".join(BUILTIN).encode())
