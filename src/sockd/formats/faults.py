"""The line by which a service says what was wrong with a question: `error: MESSAGE`."""

from __future__ import annotations

from sockd.formats.text import escape

ERROR_CHARACTERS = 200
"""Longest text of an `error: ` line: it may quote what the peer sent."""
_MARK = b"error: "


def error_line(message: str) -> bytes:
    """The line that tells a peer what was wrong: `error: MESSAGE` CRLF, fit for a terminal."""
    return _MARK + escape(message, ERROR_CHARACTERS).encode() + b"\r\n"


def error_in(line: bytes) -> bytes | None:
    """The message of such a line, with or without its end; None where it is another."""
    return line.removeprefix(_MARK).rstrip(b"\r\n") if line.startswith(_MARK) else None
