"""Where in a TOML text each key stands: the line numbers that tomllib does not give."""

import re
import tomllib
from bisect import bisect_right

from attrs import Factory, define, field

Path = tuple[str | int, ...]

_PART = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*')"""
_KEY = re.compile(rf"{_PART}(?:[ \t]*\.[ \t]*{_PART})*")
_SPACE = re.compile(r"(?:\s|#[^\n]*)*")  # comments too
_SCALAR = re.compile(
    r'"""(?:[^\\]|\\.)*?"""(?!")'  # up to two quotes may stand before the closing three
    r"|'''.*?'''(?!')"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'[^'\n]*'"
    r"|[^\s,\]}#][^,\]}#\n]*",  # a date may hold a space
    re.DOTALL,
)


def positions(text: str) -> dict[Path, int]:
    """The line, from 1, of every table, key and array element, by its path: ("a", "b", 0).

    A table that only longer names imply stands where the first of them does; an array of
    tables, at its first one. The text must be one that tomllib takes; ValueError otherwise.
    """
    text = text.replace("\r\n", "\n")
    scan = _Scan(text, [match.start() for match in re.finditer("\n", text)])
    scan.document()
    return scan.found


@define
class _Scan:
    text: str
    newlines: list[int]
    place: int = 0
    found: dict[Path, int] = field(init=False, default=Factory(dict))
    # How many tables each array of tables has so far.
    tables: dict[Path, int] = field(init=False, default=Factory(dict))

    def document(self) -> None:
        table: Path = ()
        self.take(_SPACE)
        while self.place < len(self.text):
            table = self.header() if self.text[self.place] == "[" else self.pair(table)
            self.take(_SPACE)

    def header(self) -> Path:
        """[a.b] or [[a.b]]: the path of the table that it opens."""
        brackets = 2 if self.text.startswith("[[", self.place) else 1
        self.place += brackets
        self.take(_SPACE)
        line = self.line()
        *parents, last = self.key()
        self.take(_SPACE)
        self.skip("]" * brackets)
        path: Path = ()
        for part in parents:
            path = (*path, part)
            self.found.setdefault(path, line)
            if path in self.tables:
                path = (*path, self.tables[path] - 1)
        path = (*path, last)
        if brackets == 1:
            # Over the line of a longer name that implied it.
            self.found[path] = line
            return path
        self.found.setdefault(path, line)
        index = self.tables.get(path, 0)
        self.tables[path] = index + 1
        path = (*path, index)
        self.found[path] = line
        return path

    def pair(self, table: Path) -> Path:
        """a.b = value, in a table or an inline one; returns that table."""
        line = self.line()
        path = table
        for part in self.key():
            path = (*path, part)
            self.found.setdefault(path, line)
        self.take(_SPACE)
        self.skip("=")
        self.take(_SPACE)
        self.value(path)
        return table

    def value(self, path: Path) -> None:
        opening = self.text[self.place : self.place + 1]
        if opening not in ("[", "{"):
            self.take(_SCALAR)
            return
        closing = "]" if opening == "[" else "}"
        self.skip(opening)
        self.take(_SPACE)
        index = 0
        while not self.text.startswith(closing, self.place):
            if opening == "[":
                self.found[(*path, index)] = self.line()
                self.value((*path, index))
                index += 1
            else:
                self.pair(path)
            self.take(_SPACE)
            if not self.text.startswith(closing, self.place):
                self.skip(",")
                self.take(_SPACE)
        self.skip(closing)

    def key(self) -> list[str]:
        """The parts of a key: tomllib knows best how quotes and escapes are read."""
        table: object = tomllib.loads(f"{self.take(_KEY)} = 0")
        parts = []
        while isinstance(table, dict):
            [(part, table)] = table.items()
            parts.append(part)
        return parts

    def line(self) -> int:
        return bisect_right(self.newlines, self.place) + 1

    def skip(self, expected: str) -> None:
        if not self.text.startswith(expected, self.place):
            raise ValueError(f"line {self.line()}: expected {expected!r}")
        self.place += len(expected)

    def take(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self.text, self.place)
        if match is None:
            raise ValueError(f"line {self.line()}: not TOML")
        self.place = match.end()
        return match.group()
