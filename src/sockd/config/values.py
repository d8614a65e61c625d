"""A value of a document as the type that a field has, with every mistake of a list or table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, get_args, get_origin

from sockd.access.prefixes import Prefix, parse_prefix
from sockd.config.document import Key

Folder = Callable[[Key], str]
"""The folder that relative paths at a key start at."""

_PLAIN: dict[Any, str] = {bool: "true or false", int: "a whole number", str: "a text"}


class Wrong(ValueError):
    """What is wrong with a value or with items in it: the key of each, and why."""

    def __init__(self, mistakes: Sequence[tuple[Key, str]]) -> None:
        super().__init__("; ".join(why for _, why in mistakes))
        self.mistakes = tuple(mistakes)


def convert(value: Any, wanted: Any, key: Key, folder: Folder) -> Any:
    """A value as the type of its field. Raises Wrong.

    A type says itself, with `parse`, what it reads. One that has `beside` names files: it is told
    the folder of the file that the value stands in.
    """
    origin, inner = get_origin(wanted), get_args(wanted)
    if type(None) in inner:
        if value == "":
            return None  # what TOML has no word for
        [wanted] = set(inner) - {type(None)}
        return convert(value, wanted, key, folder)
    try:
        if origin is tuple:
            items = enumerate(_expected(value, list, 'a list, such as ["one", "two"]'))
            return tuple(_each(items, inner[0], key, folder).values())
        if origin is Mapping:
            pairs = _expected(value, dict, "a table").items()
            return _each(pairs, inner[1], key, folder)
        found = _single(value, wanted)
    except Wrong:
        raise
    except (ValueError, TypeError) as error:
        raise Wrong([(key, str(error))]) from None
    return found.beside(folder(key)) if hasattr(found, "beside") else found


def _single(value: Any, wanted: Any) -> Any:
    if hasattr(wanted, "parse"):
        return wanted.parse(value)
    if wanted == Prefix:
        return parse_prefix(_expected(value, str, 'a prefix such as "192.0.2.0/24"'))
    return _expected(value, wanted, _PLAIN[wanted])


def _expected(value: Any, wanted: type, words: str) -> Any:
    if type(value) is not wanted:
        raise ValueError(f"expected {words}, got {value!r}")
    return value


def _each(
    values: Iterable[tuple[int | str, Any]], wanted: Any, key: Key, folder: Folder
) -> dict[int | str, Any]:
    """Every value converted. Raises Wrong with every mistake."""
    found: dict[int | str, Any] = {}
    mistakes: list[tuple[Key, str]] = []
    for name, value in values:
        try:
            found[name] = convert(value, wanted, (*key, name), folder)
        except Wrong as wrong:
            mistakes += wrong.mistakes
    if mistakes:
        raise Wrong(mistakes)
    return found
