"""Tables that fit the terminal. rich is imported when one is printed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from io import StringIO
from itertools import chain
from typing import TYPE_CHECKING

from attrs import frozen

from sockd.client.outputs.figures import cells, cut

if TYPE_CHECKING:
    from rich.table import Table

GAP = 2
"""Columns between two columns of a table."""
WIDE = 100
"""Columns of a terminal on which a row is one line: what does not fit goes into a second table."""
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

    A row is one line where all of them fit. On a wide terminal the columns that do not fit have a
    table of their own. Else the name of a row has a line of its own, and the figures stand below
    it, on as many lines as they need. No cell is broken.
    """
    lines = [cut(sheet.title, width)]
    parts = list(_parts(sheet, width)) if width >= WIDE else [sheet]
    if any(width_of(part) > width for part in parts):
        return lines + _folded(sheet, width, has_color=has_color)
    for part in parts:
        heads = [[head] for head in part.heads]
        rows = [[[cell] for cell in row] for row in part.rows]
        lines += _render(heads, rows, width, has_color=has_color, names=1)
    return lines


def _parts(sheet: Sheet, width: int) -> Iterator[Sheet]:
    """Tables of as many columns as fit, each with the names of the rows."""
    taken = [0]
    for column in range(1, len(sheet.heads)):
        if len(taken) > 1 and width_of(_only(sheet, [*taken, column])) > width:
            yield _only(sheet, taken)
            taken = [0]
        taken.append(column)
    yield _only(sheet, taken)


def _only(sheet: Sheet, columns: Sequence[int]) -> Sheet:
    """These columns of a table."""
    return Sheet(
        sheet.title,
        tuple(sheet.heads[column] for column in columns),
        tuple(tuple(row[column] for column in columns) for row in sheet.rows),
    )


def _folded(sheet: Sheet, width: int, *, has_color: bool) -> list[str]:
    figures = [row[1:] for row in (sheet.heads, *sheet.rows)]
    for size in range(len(figures[0]), 0, -1):
        heads, *rows = stacked = [_stack(row, size) for row in figures]
        columns = [chain.from_iterable(column) for column in zip(*stacked, strict=True)]
        if sum(max(map(cells, column)) + GAP for column in columns) - GAP + INDENT <= width:
            break
    lines = len(heads[0])
    # every row has as many lines as the heads: rich may break none of them
    drawn = _render(heads, rows, width - INDENT, has_color=has_color, names=0)
    found: list[str] = []
    for number, row in enumerate((sheet.heads, *sheet.rows)):
        found.append(cut(row[0], width))
        part = drawn[number * lines : (number + 1) * lines]
        found += [" " * INDENT + line for line in part]
    return found


def _stack(row: Sequence[str], size: int) -> list[list[str]]:
    """The cells of a row, so many a line: a list for each column, from above."""
    padded = [*row, *[""] * (-len(row) % size)]
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
