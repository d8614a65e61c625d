"""What may have been meant: the known word that is nearest to one that is not known."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def near_miss(word: str, known: Iterable[str], *, or_all: bool = False) -> str:
    """`; did you mean 'X'?` for the nearest of the known words, whatever their case.

    Where none is near: nothing, or with `or_all` the words that there are, in their order.
    """
    by_lower = {name.lower(): name for name in known}
    if near := get_close_matches(word.lower(), sorted(by_lower), n=1):
        return f"; did you mean {by_lower[near[0]]!r}?"
    return f"; there are {', '.join(by_lower.values())}" if or_all else ""
