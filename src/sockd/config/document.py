"""Configuration files read and merged, each value with the place where it stands."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import define, field, frozen

from sockd.config.positions import positions
from sockd.formats.text import escape

Key = tuple[str | int, ...]
"""Where a value stands in a document: `("service", "echo", "listen", 0)`."""

MAX_FILE = 1024 * 1024
"""Bytes of the longest configuration file."""


@frozen
class Mistake:
    """One thing that is wrong: where it stands, its key, and what to do about it."""

    place: str
    key: str
    message: str

    def __str__(self) -> str:
        return ": ".join(escape(part) for part in (self.place, self.key, self.message) if part)


class ConfigError(Exception):
    """A configuration that cannot be used, with all its mistakes."""

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        super().__init__("\n".join(map(str, mistakes)))
        self.mistakes = tuple(mistakes)


@define
class Document:
    """What the files say, merged, and where each value stands."""

    values: dict[str, Any] = field(factory=dict)
    places: dict[Key, str] = field(factory=dict)

    def place(self, key: Key) -> str:
        """`FILE:LINE` of a value, of what it stands in, or nothing."""
        for end in range(len(key), 0, -1):
            if key[:end] in self.places:
                return self.places[key[:end]]
        return ""

    def merge(self, values: Mapping[str, Any], places: Mapping[Key, str]) -> None:
        """Lay another document over this one: tables are merged, all else is replaced."""
        _merge(self.values, values)
        self.places.update(places)

    def set(self, assignment: str) -> None:
        """Lay `KEY.KEY=VALUE` over this one; VALUE is TOML, or a text where it is not."""
        dotted, equals, text = assignment.partition("=")
        keys = [key.strip() for key in dotted.split(".")]
        where = f"--set {assignment}"
        if not equals or not all(keys):
            raise ConfigError(
                [Mistake(where, "", "expected KEY=VALUE, as in service.echo.max_connections=9")]
            )
        line = f"value = {text}"
        try:
            parsed = tomllib.loads(line)
        except (ValueError, RecursionError):
            parsed = {}
        is_toml = parsed.keys() == {"value"}
        places = positions(line) if is_toml else [("value",)]
        value: Any = parsed["value"] if is_toml else text
        for key in reversed(keys):
            value = {key: value}
        for end in range(1, len(keys)):
            self.places.setdefault(tuple(keys[:end]), where)
        self.merge(value, {(*keys, *place[1:]): where for place in places})


def _merge(below: dict[str, Any], above: Mapping[str, Any]) -> None:
    for key, value in above.items():
        if isinstance(value, dict) and isinstance(below.get(key), dict):
            _merge(below[key], value)
        else:
            below[key] = value


def files_of(path: Path) -> list[Path]:
    """The file and, in name order, the files of `conf.d` beside it. Raises OSError."""
    try:
        beside = sorted((path.parent / "conf.d").iterdir())
    except (FileNotFoundError, NotADirectoryError):
        beside = []
    return [path, *(file for file in beside if file.suffix == ".toml")]


def read(path: Path) -> Document:
    """Read a configuration. Raises ConfigError where a file cannot be read or is not TOML."""
    document = Document()
    mistakes = []
    try:
        files = files_of(path)
    except OSError as error:
        raise ConfigError([Mistake(str(error.filename), "", error.strerror or "")]) from None
    for file in files:
        try:
            if file.stat().st_size > MAX_FILE:
                raise ValueError(f"larger than {MAX_FILE} bytes")
            parse(document, file.read_text("utf-8"), str(file))
        except OSError as error:
            mistakes.append(Mistake(str(file), "", error.strerror or str(error)))
        except ConfigError as error:
            mistakes += error.mistakes
        except UnicodeDecodeError as error:
            mistakes.append(Mistake(str(file), "", f"not UTF-8 (at byte {error.start})"))
        except ValueError as error:
            mistakes.append(Mistake(str(file), "", str(error)))
    if mistakes:
        raise ConfigError(mistakes)
    return document


def parse(document: Document, text: str, name: str) -> None:
    """Lay a TOML text over a document."""
    try:
        values = tomllib.loads(text)
        lines = positions(text)
    except RecursionError:
        raise ConfigError([Mistake(name, "", "not TOML: nested too deeply")]) from None
    except ValueError as error:
        found = re.search(r"\(at line (\d+), ", str(error))
        line = found[1] if found else text.rstrip("\n").count("\n") + 1
        raise ConfigError([Mistake(f"{name}:{line}", "", f"not TOML: {error}")]) from None
    document.merge(values, {key: f"{name}:{line}" for key, line in lines.items()})
