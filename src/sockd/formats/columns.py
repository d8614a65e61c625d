"""Rows of text as aligned columns that fit a terminal."""

from __future__ import annotations

from collections.abc import Sequence

GAP = "  "
"""Between two columns."""
INDENT = "    "
"""Before the last cell of a row where it has a line of its own."""


def columns(rows: Sequence[Sequence[str]], width: int | None = None) -> list[str]:
    """The lines of a table whose rows have as many cells each.

    Where one line would be longer than `width` characters, the last cells have lines of their own,
    indented. Without a width no line is too long.
    """
    if not rows:
        return []
    heads = [row[:-1] for row in rows]
    widths = [max(map(len, column)) for column in zip(*heads, strict=True)]
    starts = [
        GAP.join(cell.ljust(size) for cell, size in zip(head, widths, strict=True))
        for head in heads
    ]
    lines = [
        GAP.join([start, row[-1]] if start else [row[-1]]).rstrip()
        for start, row in zip(starts, rows, strict=True)
    ]
    if width is None or max(map(len, lines)) <= width:
        return lines
    folded = []
    for start, row in zip(starts, rows, strict=True):
        folded.append(start.rstrip())
        if row[-1]:
            folded.append(INDENT + row[-1])
    return folded
