"""A value of a document as the type that a field has, with every mistake of a list or table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, get_args, get_origin

import cattrs

from sockd.access.prefixes import Prefix, parse_prefix


def _strict(wanted: type, words: str) -> Callable[[Any, Any], Any]:
    def hook(value: Any, _: Any) -> Any:
        if type(value) is not wanted:
            raise ValueError(f"expected {words}, got {value!r}")
        return value

    return hook


def _prefix(value: Any, _: Any) -> Prefix:
    if not isinstance(value, str):
        raise ValueError(f'expected a prefix such as "192.0.2.0/24", got {value!r}')
    return parse_prefix(value)


def _is_tuple(kind: Any) -> bool:
    return get_origin(kind) is tuple


def _is_mapping(kind: Any) -> bool:
    return get_origin(kind) is Mapping


def _each(
    values: Iterable[tuple[int | str, Any]], hook: Callable[[Any, Any], Any], kind: Any
) -> dict[int | str, Any]:
    """Every value converted. Raises an ExceptionGroup of `_Within` with every mistake."""
    result, errors = {}, []
    for key, value in values:
        try:
            result[key] = hook(value, kind)
        except ValueError as error:
            errors.append(_Within(key, str(error)))
    if errors:
        raise ExceptionGroup("values", errors)
    return result


def _make_converter() -> cattrs.Converter:
    converter = cattrs.Converter(detailed_validation=True, forbid_extra_keys=True)
    for kind, words in ((bool, "true or false"), (int, "a whole number"), (str, "a text")):
        converter.register_structure_hook(kind, _strict(kind, words))
    converter.register_structure_hook(Prefix, _prefix)
    lists = converter.get_structure_hook

    def make_list_hook(kind: Any) -> Callable[[Any, Any], Any]:
        item = lists(kind.__args__[0])

        def hook(value: Any, _: Any) -> Any:
            if not isinstance(value, list):
                raise ValueError(f"expected a list, got {value!r}")
            return tuple(_each(enumerate(value), item, kind.__args__[0]).values())

        return hook

    def make_table_hook(kind: Any) -> Callable[[Any, Any], Any]:
        item = lists(kind.__args__[1])

        def hook(value: Any, _: Any) -> Any:
            if not isinstance(value, dict):
                raise ValueError(f"expected a table, got {value!r}")
            return _each(value.items(), item, kind.__args__[1])

        return hook

    converter.register_structure_hook_factory(_is_tuple, make_list_hook)
    converter.register_structure_hook_factory(_is_mapping, make_table_hook)
    return converter


class _Within(ValueError):
    """A mistake in one item of a list or table."""

    def __init__(self, key: int | str, message: str) -> None:
        super().__init__(message)
        self.key = key


_CONVERTER = _make_converter()


def convert(value: Any, wanted: Any) -> Any:
    """A value as the type of its field. A type says itself, with `parse`, what it reads.

    Raises ValueError or TypeError, or an ExceptionGroup of them for the items of a list or table.
    """
    if value == "" and type(None) in get_args(wanted):
        return None  # what TOML has no word for
    for one in (wanted, *get_args(wanted)):
        # a hook each: cattrs takes that of a base class, such as int, for its subclasses too
        if hasattr(one, "parse"):
            _CONVERTER.register_structure_hook(one, lambda value, kind: kind.parse(value))
    return _CONVERTER.structure(value, wanted)


def mistakes_in(group: ExceptionGroup[Exception]) -> Iterator[tuple[tuple[int | str, ...], str]]:
    """What is wrong with items of a list or table: the key of each, where it has one, and why."""
    for error in group.exceptions:
        if isinstance(error, ExceptionGroup):
            yield from mistakes_in(error)
        else:
            yield (error.key,) if isinstance(error, _Within) else (), str(error)
