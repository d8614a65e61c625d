"""Round trips as bars."""

from __future__ import annotations

from collections.abc import Sequence
from math import log

from sockd.client.outputs.figures import Signs, duration, percent

Bin = tuple[int, int, int]
"""From (ns), to before (ns), how many."""
MOST_BARS = 16
"""Lines: with the summary above it, a histogram stays on one page of a terminal."""
MOST_WIDTH = 100
"""Columns: a longer bar shows no more."""


def merged(bins: Sequence[Bin], most: int = MOST_BARS) -> list[Bin]:
    """The bins, neighbours put together until there are no more than `most`.

    Few samples fill fewer bars: by Rice's rule, twice the cube root of their number. Those that are
    put together lie in one of `most` equal parts of a logarithmic scale, so that
    one slow answer among a thousand does not make one bar of all others.
    """
    filled = [one for one in bins if one[2] > 0]
    most = min(most, max(1, round(2 * sum(one[2] for one in filled) ** (1 / 3))))
    if len(filled) <= most:
        return filled
    first = log(max(filled[0][0], 1))
    step = (log(max(filled[-1][1], 1)) - first) / most
    parts: dict[int, Bin] = {}
    for low, high, count in filled:
        part = min(int((log(max(low, 1)) - first) / step), most - 1) if step > 0 else 0
        start, _, before = parts.get(part, (low, high, 0))
        parts[part] = (start, high, before + count)
    return list(parts.values())


def histogram(bins: Sequence[Bin], width: int, signs: Signs) -> list[str]:
    """The lines of a histogram: from, to, how many, which part of all, and a bar.

    A line of dots stands for a range with nothing in it.
    """
    rows = merged(bins)
    if not rows:
        return []
    total, most = sum(row[2] for row in rows), max(row[2] for row in rows)
    texts = [
        (duration(low, signs), duration(high, signs), str(count), percent(round(count / total, 3)))
        for low, high, count in rows
    ]
    sizes = [max(map(len, column)) for column in zip(*texts, strict=True)]
    lines: list[str] = []
    for number, (row, text) in enumerate(zip(rows, texts, strict=True)):
        if number and row[0] > rows[number - 1][1]:
            lines.append("  " + "...".rjust(sizes[0]))
        low, high, count, part = (cell.rjust(size) for cell, size in zip(text, sizes, strict=True))
        head = f"  {low} - {high}  {count}  {part} "
        room = min(width, MOST_WIDTH) - len(head)
        lines.append(f"{head}{bar(row[2] / most, room, signs)}"[: max(width, 0)])
    return lines


def bar(part: float, width: int, signs: Signs) -> str:
    """A bar over a part of the width; never nothing."""
    steps = len(signs.bars)
    eighths = max(1, round(part * max(width, 0) * steps))
    whole, rest = divmod(eighths, steps)
    return signs.bars[-1] * whole + (signs.bars[rest - 1] if rest else "")
