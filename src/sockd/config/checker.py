"""Collects the mistakes of a document, each with its place, its key, and what may be meant."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import attrs
from attrs import define, field

from sockd.config.document import Document, Key, Mistake, Place, dotted
from sockd.config.toml import toml
from sockd.config.values import Wrong, convert
from sockd.formats.nearest import near_miss


@define
class Checker:
    """A document, and what is wrong with it so far."""

    document: Document
    mistakes: list[Mistake] = field(factory=list)

    def mistake(self, key: Key, message: str) -> None:
        """Note what is wrong with the value at a key."""
        self.mistakes.append(Mistake(self.document.place(key), dotted(key), message))

    def mistake_of_all(self, message: str) -> None:
        """Note what is wrong with the configuration as a whole, at the file that was named."""
        file = next(iter(self.document.files), "")
        folder = str(Path(file).parent) if file else None
        self.mistakes.append(Mistake(Place(file, folder=folder), "", message))

    def table(self, key: Key, value: Any) -> dict[str, Any]:
        """The value as a table; an empty one where it is none."""
        if isinstance(value, dict):
            return value
        self.mistake(key, f"expected a table, got {value!r}")
        return {}

    def only(
        self,
        key: Key,
        table: Iterable[str],
        known: Collection[str],
        homes: Mapping[str, Collection[str]],
        told_by: str = "",
    ) -> None:
        """Note each key of a table that is not known; `homes` are the tables of other keys.

        `told_by` is the command that tells all of the known ones.
        """
        for name in table:
            if name not in known:
                home = next((home for home, names in homes.items() if name in names), None)
                hint = f" here; it belongs into {home}" if home else near_miss(name, known)
                if not hint and told_by:
                    hint = f"; `{told_by}` tells which there are"
                self.mistake((*key, name), f"unknown key{hint}")

    def values(self, wanted: type, table: Mapping[str, Any], key: Key) -> dict[str, Any]:
        """The values of a table for an attrs class; the wrong ones are noted, and left out."""
        found = {}
        for attribute in attrs.fields(attrs.resolve_types(wanted)):
            if attribute.name not in table:
                continue
            where = (*key, attribute.name)
            try:
                value = convert(table[attribute.name], attribute.type, where, self.document.folder)
                if attribute.validator is not None:
                    attribute.validator(None, attribute, value)
                found[attribute.name] = value
            except Wrong as wrong:
                for place, message in wrong.mistakes:
                    self.mistake(place, message)
            except (ValueError, TypeError) as error:
                self.mistake(where, _in_our_words(error, attribute.name, value))
        return found


_BOUNDS = {">=": "at least", ">": "more than", "<=": "at most", "<": "less than"}
"""What attrs' validators write as signs."""


def _in_our_words(error: ValueError | TypeError, name: str, value: Any) -> str:
    """What a validator says of an option's value: the option's name stands before it already."""
    text = str(error.args[0] if error.args else error)
    if bound := re.fullmatch(rf"'{name}' must be (>=|>|<=|<) (.+): .+", text):
        return f"expected {_BOUNDS[bound[1]]} {_with_unit(bound[2], value)}, got {value}"
    if text.startswith(f"'{name}' must be in ") and len(error.args) > 2:
        choices = ", ".join(map(toml, error.args[2]))
        return f"expected one of {choices}; got {toml(value)}"
    return text.removeprefix(f"'{name}' ")


def _with_unit(bound: str, value: Any) -> str:
    """The bound as the value's type writes it: one second and not one."""
    try:
        return str(type(value).parse(bound))
    except (AttributeError, ValueError):  # a plain number
        return bound
