"""Answers on standard output: as they are into a file or pipe, escaped on a terminal."""

from __future__ import annotations

from typing import BinaryIO

from attrs import Factory, define

from sockd.formats.text import readable

MOST_LINE = 65_536
"""Bytes of a line that are held until its end comes, where hosts are named before their lines: a
longer one is told in several, as a host may send for ever without a line end."""
_TAIL = 3
"""Bytes of a character of UTF-8 that can be there while the last is not."""


@define(eq=False)
class Answers:
    """The bytes of answers, of one host or of several whose lines are named."""

    out: BinaryIO
    is_terminal: bool
    encoding: str = "utf-8"
    """Of the terminal."""
    is_named: bool = False
    """Each line is preceded by its host."""
    is_open: bool = False
    """Whether a line on the terminal has no end yet."""
    _rests: dict[str, bytes] = Factory(dict)
    """What is held back, by host."""

    def data(self, target: str, data: bytes) -> None:
        """Bytes of an answer. Raises BrokenPipeError where nobody reads."""
        if self.is_named:
            self._lines(target, data)
        elif self.is_terminal:
            data = self._rests.pop(target, b"") + data
            at = whole(data)
            if rest := data[at:]:
                self._rests[target] = rest
            self._show(data[:at], is_followed=bool(rest))
        else:
            self._write(data)

    def end(self, target: str) -> None:
        """An answer is complete: what was held back of it is told."""
        if rest := self._rests.pop(target, b""):
            if self.is_named:
                self._line(target, rest)
            else:
                self._show(rest)

    def end_all(self) -> None:
        """Nothing more comes."""
        for target in list(self._rests):
            self.end(target)

    def end_line(self) -> None:
        """End the line that stands open on the terminal, so that another can begin."""
        if self.is_open:
            self.is_open = False
            self._write(b"\n")

    def _lines(self, target: str, data: bytes) -> None:
        *lines, rest = (self._rests.pop(target, b"") + data).split(b"\n")
        for line in lines:
            self._line(target, line)
        while len(rest) > MOST_LINE:
            self._line(target, rest[:MOST_LINE])
            rest = rest[MOST_LINE:]
        if rest:
            self._rests[target] = rest

    def _line(self, target: str, line: bytes) -> None:
        name = f"{readable(target)}: "
        if self.is_terminal:
            self._show(line + b"\n", name)
        else:
            self._write(name.encode() + line + b"\n")

    def _show(self, data: bytes, name: str = "", *, is_followed: bool = False) -> None:
        """Whole characters, escaped line by line; behind a name that is escaped already.

        `is_followed` says that something of the last line is held back.
        """
        if not data:
            return
        lines = data.replace(b"\r\n", b"\n").split(b"\n")
        text = name + "\n".join(map(readable, lines))
        if is_followed and data.endswith(b"\\"):  # by another one: both are doubled
            text += "\\"
        self.is_open = not text.endswith("\n")
        self._write(text.encode(self.encoding, "backslashreplace"))

    def _write(self, data: bytes) -> None:
        self.out.write(data)
        self.out.flush()


def whole(data: bytes) -> int:
    """How many bytes can be shown before more is known.

    What is held back is a CR, which may be half of a line end, or the beginning of a character;
    and a backslash before that or at the end, which is doubled or not by what follows.
    """
    at = _complete(data)
    return at - (data[at - 1 : at] == b"\\")


def _complete(data: bytes) -> int:
    if data.endswith(b"\r"):
        return len(data) - 1
    for back in range(1, min(_TAIL, len(data)) + 1):
        byte = data[-back]
        if byte < 0x80:
            break
        if byte >= 0xC0:  # begins a character of two, three or four bytes
            size = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return len(data) - back if size > back else len(data)
    return len(data)
