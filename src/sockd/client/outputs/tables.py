"""Tables that fit the terminal. rich is imported when one is printed."""

from __future__ import annotations

from collections.abc import Sequence
from io import StringIO
from typing import TYPE_CHECKING

from attrs import frozen

from sockd.client.outputs.figures import cells, cut

if TYPE_CHECKING:
    from rich.table import Table

GAP = 2
"""Columns between two columns of a table."""
INDENT = 4
"""Columns before the figures of a row whose name has a line of its own."""


@frozen
class Sheet:
    """What a table says. The first cell of a row is its name, the others are figures.

    All of it is escaped already.
    """

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def width_of(sheet: Sheet) -> int:
    """Columns that it takes with a line a row."""
    columns = zip(sheet.heads, *sheet.rows, strict=True)
    return sum(max(map(cells, column)) + GAP for column in columns) - GAP


def table(sheet: Sheet, width: int, *, has_color: bool = False) -> list[str]:
    """Its lines, none of them wider than `width`.

    A row is one line where all of them fit. Else the name has a line of its own, and the figures
    stand below it, on as many lines as they need: no cell is broken.
    """
    title = [cut(sheet.title, width)]
    if width_of(sheet) <= width:
        heads = [[head] for head in sheet.heads]
        rows = [[[cell] for cell in row] for row in sheet.rows]
        return title + _render(heads, rows, width, has_color=has_color, names=1)
    return title + _folded(sheet, width, has_color=has_color)


def _folded(sheet: Sheet, width: int, *, has_color: bool) -> list[str]:
    figures = [row[1:] for row in (sheet.heads, *sheet.rows)]
    for lines in range(1, len(sheet.heads)):
        heads, *rows = stacked = [_stack(row, lines) for row in figures]
        taken = sum(
            max(cells(cell) for row in stacked for cell in row[column]) + GAP
            for column in range(len(heads))
        )
        if taken - GAP + INDENT <= width:
            break
    # every row has as many lines as the heads: rich may break none of them
    drawn = _render(heads, rows, width - INDENT, has_color=has_color, names=0)
    found: list[str] = []
    for number, row in enumerate((sheet.heads, *sheet.rows)):
        found.append(cut(row[0], width))
        part = drawn[number * lines : (number + 1) * lines]
        found += [" " * INDENT + line for line in part]
    return found


def _stack(row: Sequence[str], lines: int) -> list[list[str]]:
    """The cells of a row on so many lines, a list a column."""
    size = -(-len(row) // lines)
    padded = [*row, *[""] * (size * lines - len(row))]
    return [padded[column::size] for column in range(size)]


def _render(
    heads: Sequence[Sequence[str]],
    rows: Sequence[Sequence[Sequence[str]]],
    width: int,
    *,
    has_color: bool,
    names: int,
) -> list[str]:
    from rich.table import Table
    from rich.text import Text

    drawn = Table(
        box=None, padding=(0, GAP, 0, 0), pad_edge=False, header_style="bold", show_edge=False
    )
    for number, head in enumerate(heads):
        drawn.add_column(
            Text("\n".join(head)),
            no_wrap=True,
            overflow="crop",
            justify="left" if number < names else "right",
        )
    for row in rows:
        drawn.add_row(*(Text("\n".join(cell).replace("\t", " ")) for cell in row))
    return _lines(drawn, width, has_color)


def _lines(drawn: Table, width: int, has_color: bool) -> list[str]:
    """What rich draws. Nothing of the environment is asked: who calls has done so."""
    from rich.console import Console

    text = StringIO()
    Console(
        file=text,
        width=max(width, 1),
        color_system="standard" if has_color else None,
        force_terminal=has_color,
        no_color=not has_color,
        force_jupyter=False,
        legacy_windows=False,
        markup=False,
        emoji=False,
        highlight=False,
    ).print(drawn)
    return [line.rstrip() for line in text.getvalue().splitlines()]
