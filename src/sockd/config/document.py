"""Configuration files read and merged, each value with the place where it stands."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import define, field, frozen

from sockd.config.positions import positions
from sockd.formats.text import escape
from sockd.options.files import read_file

Key = tuple[str | int, ...]
"""Where a value stands in a document: `("service", "echo", "listen", 0)`."""

MAX_FILE = 1024 * 1024
"""Bytes of the longest configuration file."""


NOT_UTF8 = "not UTF-8"


def is_utf8(text: str) -> bool:
    """Whether a text of the command line is one, or has bytes (as surrogates) that are no UTF-8."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def dotted(key: Key) -> str:
    """`service.echo.listen[0]`; what is no bare key of TOML is in quotes: `service."a b"`."""
    text = ""
    for part in key:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            quote = "'" if '"' in part else '"'
            is_bare = re.fullmatch("[A-Za-z0-9_-]+", part)
            text += f".{part}" if is_bare else f".{quote}{part}{quote}"
    return text.removeprefix(".")


@frozen
class Place:
    """Where something is said: in a file, on the command line, or nowhere in particular."""

    name: str = ""
    """A file's name, or an option such as `--only`."""
    line: int = 0
    """From 1; 0: as a whole."""
    folder: str | None = None
    """A file's folder, where relative paths in it start; None: this is no file."""

    def __str__(self) -> str:
        return f"{self.name}:{self.line}" if self.line else self.name

    @property
    def is_option(self) -> bool:
        """Whether it is the command line."""
        return self.name.startswith("--")


@frozen
class Mistake:
    """One thing that is wrong: where it stands, its key, and what to do about it."""

    place: Place
    key: str
    message: str

    def __str__(self) -> str:
        parts = (str(self.place), self.key, self.message)
        return ": ".join(escape(part) for part in parts if part)


class ConfigError(Exception):
    """A configuration that cannot be used, with all its mistakes and the files that were read."""

    def __init__(self, mistakes: Sequence[Mistake], files: Sequence[str] = ()) -> None:
        super().__init__("\n".join(map(str, mistakes)))
        self.mistakes = tuple(mistakes)
        self.files = tuple(files)

    @property
    def is_usage(self) -> bool:
        """Whether only the command line is wrong."""
        return all(mistake.place.is_option for mistake in self.mistakes)


@define
class Document:
    """What the files say, merged, and where each value stands."""

    values: dict[str, Any] = field(factory=dict)
    places: dict[Key, Place] = field(factory=dict)
    files: list[str] = field(factory=list)
    """The files that were read, in their order."""

    def place(self, key: Key) -> Place:
        """Where a value stands, or what it stands in."""
        for end in range(len(key), 0, -1):
            if key[:end] in self.places:
                return self.places[key[:end]]
        return Place()

    def folder(self, key: Key) -> str:
        """The folder where a relative path at a key starts: its file's, else the current one."""
        return self.place(key).folder or str(Path.cwd())

    def merge(self, values: Mapping[str, Any], places: Mapping[Key, Place]) -> None:
        """Lay another document over this one: tables are merged, all else is replaced."""
        _merge(self.values, values)
        self.places.update(places)

    def set(self, assignment: str) -> None:
        """Lay `KEY.KEY=VALUE` over this one; VALUE is TOML, or a text where it is not."""
        if not is_utf8(assignment):
            raise ConfigError([Mistake(Place(f"--set {assignment}"), "", NOT_UTF8)])
        dotted, equals, text = assignment.partition("=")
        keys = [key.strip() for key in dotted.split(".")]
        where = Place(f"--set {assignment}")
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
    """The file and, in name order, the files of `conf.d` beside it. Raises OSError.

    Hidden ones are what editors leave there.
    """
    try:
        beside = sorted((path.parent / "conf.d").iterdir())
    except (FileNotFoundError, NotADirectoryError):
        beside = []
    wanted = [file for file in beside if file.suffix == ".toml" and not file.name.startswith(".")]
    return [path, *wanted]


def read(path: Path) -> Document:
    """Read a configuration. Raises ConfigError where a file cannot be read or is not TOML."""
    document = Document()
    mistakes: list[Mistake] = []
    try:
        files = files_of(path)
    except OSError as error:
        where = Place(str(error.filename), folder=str(path.parent))
        raise ConfigError([Mistake(where, "", error.strerror or "")]) from None
    for file in files:
        document.files.append(str(file))
        where = Place(str(file), folder=str(file.parent.absolute()))
        if not is_utf8(str(file)):
            mistakes.append(Mistake(where, "", f"the name of the file is {NOT_UTF8}"))
            continue
        try:
            # some editors begin a file with a mark (BOM) that is no part of the text
            text = read_file(str(file), MAX_FILE).decode("utf-8-sig")
            parse(document, text, where.name, where.folder)
        except OSError as error:
            mistakes.append(Mistake(where, "", error.strerror or str(error)))
        except ConfigError as error:
            mistakes += error.mistakes
        except UnicodeDecodeError as error:
            mistakes.append(Mistake(where, "", f"not UTF-8 (at byte {error.start})"))
    if mistakes:
        raise ConfigError(mistakes, document.files)
    return document


def parse(document: Document, text: str, name: str, folder: str | None = None) -> None:
    """Lay a TOML text over a document."""
    try:
        values = tomllib.loads(text)
        lines = positions(text)
    except RecursionError:
        where = Place(name, folder=folder)
        raise ConfigError([Mistake(where, "", "not TOML: nested too deeply")]) from None
    except ValueError as error:
        found = re.search(r"\(at line (\d+), ", str(error))
        line = int(found[1]) if found else text.rstrip("\n").count("\n") + 1
        where = Place(name, line, folder)
        raise ConfigError([Mistake(where, "", _in_our_words(str(error), text, line))]) from None
    document.merge(values, {key: Place(name, line, folder) for key, line in lines.items()})


def _in_our_words(error: str, text: str, line: int) -> str:
    """What tomllib says of a text; what it says of doubles is hard to understand."""
    lines = text.split("\n")
    if twice := re.match(r"Cannot declare (\(.*\)) twice", error):
        key = ast.literal_eval(twice[1])
        first = positions("\n".join(lines[: line - 1])).get(key)
        since = f", the first time on line {first}" if first else ""
        return f"[{dotted(key)}] stands here a second time{since}: put both into one table"
    if again := re.match(r"Duplicate inline table key ('.*') \(at ", error):
        return f"{dotted((ast.literal_eval(again[1]),))} is set a second time"
    if closed := re.match(r"Cannot mutate immutable namespace (\(.*\)) \(at ", error):
        key = dotted(ast.literal_eval(closed[1]))
        return f"{key} is set already, in brackets: write all of it there"
    if error.startswith("Cannot overwrite a value"):
        # a value of several lines is found out at its end
        named = re.match(r"""\s*([\w.'"-]+)\s*=""", lines[line - 1])
        return f"{named[1] if named else 'a key'} is set a second time"
    return f"not TOML: {error}"
