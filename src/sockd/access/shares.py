"""What waits for something that is done one at a time: each source has its turn, and its share.

As long as there is room any source may have all of it. When there is none, the source that has most
gives way to one that has less.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

from attrs import define, field

T = TypeVar("T")


@define
class Shares(Generic[T]):
    """What waits, in the order in which it was asked within each source."""

    _waiting: dict[str, list[T]] = field(factory=dict, init=False)
    """By source; the first source is the next to have its turn."""

    def __len__(self) -> int:
        return sum(len(items) for items in self._waiting.values())

    def __iter__(self) -> Iterator[T]:
        for items in self._waiting.values():
            yield from items

    def of(self, source: str) -> tuple[T, ...]:
        """What waits of a source."""
        return tuple(self._waiting.get(source, ()))

    def add(self, source: str, item: T) -> None:
        """It waits, behind what else this source has; a new source is the last to have its turn."""
        self._waiting.setdefault(source, []).append(item)

    def greedy(self, source: str, at_work: str | None = None) -> str | None:
        """The source that has most, if `source` would still have no more with one more than now.

        `at_work` has one more than what waits: it is being done.
        """
        held = {name: len(items) + (name == at_work) for name, items in self._waiting.items()}
        if not held:
            return None
        most = max(held, key=held.__getitem__)
        own = held.get(source, int(source == at_work))
        return most if held[most] > own + 1 else None

    def next_source(self) -> str:
        """Whose turn it is; it is the last one then. Something must wait."""
        source = next(iter(self._waiting))
        self._waiting[source] = self._waiting.pop(source)
        return source

    def remove(self, source: str, item: T) -> None:
        """It does not wait any more. Raises ValueError where it did not."""
        items = self._waiting.get(source, [])
        items.remove(item)
        if not items:
            del self._waiting[source]

    def clear(self) -> list[T]:
        """Nothing waits any more; returns what did."""
        items = list(self)
        self._waiting.clear()
        return items
