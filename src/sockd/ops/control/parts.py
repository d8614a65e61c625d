"""Long lists in parts, so that nobody else waits while one is made."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from sockd.ops.control.command import Answer

T = TypeVar("T")

AT_ONCE = 200
"""Items of a part: some milliseconds."""


def in_parts(
    name: str, items: Sequence[T], told: Callable[[T], Any], **rest: Any
) -> Iterator[Answer]:
    """An answer with a list of this name, and `rest` in its last part."""
    last = max(0, len(items) - 1) // AT_ONCE * AT_ONCE
    for start in range(0, last, AT_ONCE):
        yield {name: [told(item) for item in items[start : start + AT_ONCE]]}
    yield {name: [told(item) for item in items[last:]], **rest}
