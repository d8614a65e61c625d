"""Standard error, where all but answers goes: lines, and at a terminal one that is redrawn."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TextIO

from attrs import define, field

from sockd.client.outputs.figures import Signs, cut, signs_for

NO_TERMINAL_WIDTH = 100
"""Columns where there is no terminal: a table has a line a row, for programs that read lines."""
LEAST_WIDTH = 20
"""Columns: a terminal that says it has fewer gets lines that it breaks itself."""
ERASE = "\r\x1b[K"
STYLES = {"bad": "1;31", "loud": "1;7;31", "odd": "33", "head": "1"}
"""What a line can look like, as terminals are told."""


def has_color(choice: str, *, is_terminal: bool, environment: Mapping[str, str]) -> bool:
    """Whether there is colour: `always`, `never`, or `auto`, which a terminal has.

    NO_COLOR (https://no-color.org) and a terminal that can nothing are heeded by `auto` alone.
    """
    if choice != "auto":
        return choice == "always"
    return is_terminal and not environment.get("NO_COLOR") and not is_dumb(environment)


def is_dumb(environment: Mapping[str, str]) -> bool:
    """Whether the terminal cannot do more than print: nothing of it is erased or coloured."""
    return environment.get("TERM", "dumb") in ("", "dumb")


@define(eq=False)
class Screen:
    """Lines on standard error. What is given to it is escaped already, and holds no line end."""

    err: TextIO
    color: str = "auto"
    environment: Mapping[str, str] = field(factory=lambda: os.environ)
    mark: str = ""
    """Begins each line: as a comment, where others read what stands between."""
    before: Callable[[], None] = lambda: None
    """Called before a line is written."""
    signs: Signs = field(init=False)
    is_terminal: bool = field(init=False)
    has_color: bool = field(init=False)
    can_erase: bool = field(init=False)
    _has_live: bool = False

    def __attrs_post_init__(self) -> None:
        self.is_terminal = self.err.isatty()
        self.signs = signs_for(self.err.encoding)
        self.has_color = has_color(
            self.color, is_terminal=self.is_terminal, environment=self.environment
        )
        self.can_erase = self.is_terminal and not is_dumb(self.environment)

    @property
    def width(self) -> int:
        """Columns for a line behind its mark, as wide as the terminal is now."""
        return max(self._columns(), LEAST_WIDTH) - len(self.mark)

    def _columns(self) -> int:
        if self.is_terminal:
            try:
                if found := os.get_terminal_size(self.err.fileno()).columns:
                    return found
            except OSError:
                pass  # it has gone; whoever writes next will be told
        given = self.environment.get("COLUMNS", "")
        if given.isascii() and given.isdecimal() and int(given[:5]) > 0:
            return int(given[:5])
        return 80 if self.is_terminal else NO_TERMINAL_WIDTH

    def say(self, *lines: str, style: str = "") -> None:
        """Write lines, in a style if there is colour."""
        if not lines:
            return
        self.clear()
        self.before()
        if style and self.has_color:
            lines = tuple(f"\x1b[{STYLES[style]}m{line}\x1b[0m" for line in lines)
        self.err.write("".join(f"{self.mark}{line}\n" for line in lines))
        self.err.flush()

    def live(self, line: str) -> None:
        """Write the line that is redrawn, as much of it as fits."""
        self._has_live = True
        self.err.write(f"{ERASE}{cut(line, self.width - 1)}")
        self.err.flush()

    def clear(self) -> None:
        """Erase the line that is redrawn."""
        if self._has_live:
            self._has_live = False
            self.err.write(ERASE)
            self.err.flush()

    def wipe(self) -> None:
        """Erase what the terminal itself has shown of a key, as `^C`."""
        self.clear()
        if self.can_erase:
            self.err.write(ERASE)
