"""Texts of the protocol as they go and come: whole lines out, the end found in what comes in."""

from __future__ import annotations

import re

from attrs import define, field

from sockd.formats.travesty import ABORT, END

MOST_LINE = 64 * 1024
"""Bytes of a line that are held until its end comes; a longer one goes out in parts."""
_ENDS = re.compile(rb"\n(\.)(?=\n)")
_ENDS_OR_ABORTS = re.compile(rb"(?i)\n(\.|%s)(?=\n)" % ABORT)
_THE_END = re.compile(rb"\n\.\r?\n")
_ITS_BEGINNINGS = (END, END + b"\r", b"\r")
"""Of a line that may become the end."""


@define(eq=False)
class Outgoing:
    """Bytes of a file as the lines of an upload.

    A line that would end it begins with a space instead: what the words are stays as it is.
    """

    has_abort: bool
    """Whether a line that is `ABORT` would end it, too."""
    is_in_line: bool = field(default=False, init=False)
    """Whether a part of a line has gone out, but not its end."""
    _rest: bytes = field(default=b"", init=False)
    """What is held back: the beginning of a line, or a part of it."""

    def feed(self, data: bytes) -> bytes:
        """What can be sent of it, and of what was held back."""
        data = self._rest + data
        # a CR at the end may be half of a line end
        at = max(data.rfind(b"\n"), data.rfind(b"\r", 0, max(0, len(data) - 1))) + 1
        if len(data) - at > MOST_LINE:
            at = _whole(data)
        self._rest = data[at:]
        return self._lines(data[:at])

    def end(self) -> bytes:
        """All that was held back, and the end of its line."""
        rest, self._rest = self._rest, b""
        if rest and not rest.endswith(b"\r"):
            rest += b"\n"
        return self._lines(rest) + self.end_line()

    def end_line(self) -> bytes:
        """What ends the line of which a part has gone out."""
        is_open, self.is_in_line = self.is_in_line, False
        return b"\r\n" if is_open else b""

    def _lines(self, data: bytes) -> bytes:
        if not data:
            return b""
        before = b"" if self.is_in_line else b"\n"
        data = before + data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        self.is_in_line = not data.endswith(b"\n")
        data = (_ENDS_OR_ABORTS if self.has_abort else _ENDS).sub(rb"\n \1", data)
        return data[len(before) :].replace(b"\n", b"\r\n")


def _whole(data: bytes) -> int:
    """How many bytes do not end within a character of UTF-8, nor between CR and LF."""
    if data.endswith(b"\r"):
        return len(data) - 1
    for back in (1, 2, 3):
        byte = data[-back]
        if byte >= 0xC0:  # begins a character of two, three or four bytes
            size = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return len(data) - back if size > back else len(data)
        if byte < 0x80:
            break
    return len(data)


@define(eq=False)
class Incoming:
    """A text that comes, to the line that ends it."""

    _rest: bytes = field(default=b"", init=False)
    """What is held back: it may be the beginning of its end, or half of a line end."""
    _is_at_line: bool = field(default=True, init=False)
    """Whether a line begins there."""

    def feed(self, data: bytes) -> tuple[bytes, bytes | None]:
        """Text, its lines ended by LF; and what follows its end, None where that has not come."""
        before = b"\n" if self._is_at_line else b""
        data = before + self._rest + data
        after = None
        if (found := _THE_END.search(data)) is not None:
            at, after, self._rest = found.start() + 1, data[found.end() :], b""
        else:
            line = data.rfind(b"\n") + 1
            is_beginning = line > 0 and data[line:] in _ITS_BEGINNINGS
            at = line if is_beginning else len(data) - data.endswith(b"\r")
            self._rest = data[at:]
        self._is_at_line = data.endswith(b"\n", 0, at)
        return data[len(before) : at].replace(b"\r\n", b"\n"), after
