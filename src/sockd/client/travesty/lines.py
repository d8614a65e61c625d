"""Commands from a pipe: the lines of standard input."""

from __future__ import annotations

from typing import ClassVar

from attrs import define, field

from sockd.client.errors import UsageFault
from sockd.client.talk.input import Source

MOST_LINE = 64 * 1024
"""Bytes of a line: no file's name is so long."""


@define(eq=False)
class Lines:
    """A source, line by line."""

    is_interactive: ClassVar[bool] = False

    source: Source
    _rest: bytes = field(default=b"", init=False)
    _is_over: bool = field(default=False, init=False)

    async def line(self) -> str | None:
        """The next one; the last may have no end. Raises UsageFault."""
        while b"\n" not in self._rest and not self._is_over:
            data = await self.source.read()
            self._is_over = not data
            self._rest += data
            if len(self._rest.partition(b"\n")[0]) > MOST_LINE:
                raise UsageFault(f"a line of the input has more than {MOST_LINE} bytes")
        if not self._rest:
            return None
        line, _, self._rest = self._rest.partition(b"\n")
        return line.decode("utf-8", "surrogateescape")

    async def close(self) -> None:
        """Read no more."""
        self.source.close()
