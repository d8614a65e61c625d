"""The arguments of a command, checked: each is taken once, and none may be left."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Any, TypeVar, overload

from sockd.formats.nearest import near_miss
from sockd.ops.control.frames import ControlError

T = TypeVar("T")
D = TypeVar("D")

LARGEST = 2**63
"""Of a whole number that is taken for a number: larger ones are no seconds and no bytes."""
_WORDS: dict[type, str] = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    list: "a list",
}


class Arguments:
    """What came with a request."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self._given = dict(given)
        self._known: list[str] = []

    @overload
    def take(self, name: str, of: type[T]) -> T: ...
    @overload
    def take(self, name: str, of: type[T], default: D) -> T | D: ...
    def take(self, name: str, of: type[T], *default: Any) -> Any:  # type: ignore[misc]
        """The argument of this name and type; the default where it is not given, or null.

        Raises ControlError where it is of another type, or missing without a default.
        """
        self._known.append(name)
        value = self._given.pop(name, None)
        if value is None:
            if not default:
                raise ControlError(f"`{name}` is missing: {_WORDS[of]}", "usage")
            return default[0]
        if of is float and type(value) is int and abs(value) < LARGEST:
            return float(value)
        if type(value) is not of:
            raise ControlError(f"`{name}` is {_WORDS[of]}, not {value!r:.100}", "usage")
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of texts, or none. Raises ControlError."""
        found = self.take(name, list, ())
        if not all(isinstance(one, str) for one in found):
            raise ControlError(f"`{name}` is a list of texts", "usage")
        return tuple(found)

    def seconds(self, name: str) -> float:
        """A number of seconds; 0 where it is not given. Raises ControlError."""
        found = self.take(name, float, 0.0)
        if not 0 <= found < inf:
            raise ControlError(f"`{name}` is a number of seconds, not {found!r}", "usage")
        return found

    def done(self) -> None:
        """Raises ControlError where something is left that no command knows."""
        for name in self._given:
            miss = near_miss(name, self._known, or_all=True) if self._known else ": it takes none"
            raise ControlError(f"there is no argument {name!r:.100}{miss}", "usage")
