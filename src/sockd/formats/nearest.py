"""What may have been meant: the known word that is nearest to one that is not known."""

from __future__ import annotations

from collections.abc import Iterable


def near_miss(word: str, known: Iterable[str], *, or_all: bool = False) -> str:
    """`; did you mean 'X'?` for the nearest of the known words, whatever their case.

    One is near that a slip or two of the keyboard turn into `word`: one for every three of its
    characters. Where none is: nothing, or with `or_all` the words that there are, in their order.
    """
    by_lower = {name.lower(): name for name in known}
    near = [
        (slips, name)
        for name in by_lower
        # first the lengths: a word may be as long as a file
        if abs(len(word) - len(name)) <= len(name) // 3
        and (slips := _slips(word.lower(), name)) <= len(name) // 3
    ]
    if near:
        return f"; did you mean {by_lower[min(near)[1]]!r}?"
    return f"; there are {', '.join(by_lower.values())}" if or_all else ""


def _slips(word: str, meant: str) -> int:
    """Characters that are missing, too many, wrong, or exchanged with their neighbour."""
    before: list[int] = []
    last = list(range(len(meant) + 1))
    for row, character in enumerate(word, 1):
        here = [row]
        for column, wanted in enumerate(meant, 1):
            is_wrong = character != wanted
            fewest = min(last[column] + 1, here[-1] + 1, last[column - 1] + is_wrong)
            if row > 1 and column > 1 and word[row - 2] + character == wanted + meant[column - 2]:
                fewest = min(fewest, before[column - 2] + 1)
            here.append(fewest)
        before, last = last, here
    return last[-1]
