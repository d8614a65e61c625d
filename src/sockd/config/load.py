"""Settings from a file, from the built-in configuration, or for one kind alone."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

from sockd.config.annotated import default_config
from sockd.config.build import build
from sockd.config.document import (
    NOT_UTF8,
    ConfigError,
    Document,
    Mistake,
    Place,
    is_utf8,
    parse,
    read,
)
from sockd.config.settings import Settings
from sockd.listen.strings import expand
from sockd.options.runtime import runtime_directory
from sockd.service import MAIN_KEY, Found, Kind

BUILT_IN = "the built-in configuration"
_LOOPBACK = re.compile(r":interface=(?:localhost|127\.0\.0\.1)(?=:|$)")


def names_of(only: str | None) -> list[str] | None:
    """The names of `--only NAME,NAME`; None where it is not given."""
    return None if only is None else [name.strip() for name in only.split(",")]


def load(
    path: str | None,
    only: Sequence[str] | None,
    assignments: Sequence[str],
    found: Found,
    interface: str | None = None,
) -> Settings:
    """Read a configuration file, or the built-in one, and check it. Raises ConfigError.

    `interface` is where the built-in one listens, in place of loopback.
    """
    if path is None:
        document = Document()
        parse(document, default_config(found), BUILT_IN)
        if interface is not None:
            _move(document, interface)
    else:
        document = read(Path(path))
    return _build(document, assignments, found, only)


def _move(document: Document, interface: str) -> None:
    """Have what listens on loopback listen at another interface. Raises ConfigError."""
    where = Place(f"--interface {interface}")
    is_bare = ":" in interface and not interface.startswith("[")
    written = f"[{interface}]" if is_bare else interface
    try:
        expand(f"tcp:0:interface={written}")
    except ValueError as error:
        raise ConfigError([Mistake(where, "", str(error))]) from None
    for name, table in document.values["service"].items():
        for key in [key for key in table if key.startswith(MAIN_KEY)]:
            moved = [_moved(text, written) for text in table[key]]
            if moved != table[key]:
                table[key] = moved
                document.places |= {
                    ("service", name, key, *index): where
                    for index in ((), *((number,) for number in range(len(moved))))
                }


def _moved(text: str, interface: str) -> str:
    """A listen string with another interface, where it can have it: no group of IPv4 has IPv6's."""
    moved = _LOOPBACK.sub(lambda _: f":interface={interface}", text)
    try:
        expand(moved)
    except ValueError:
        return text
    return moved


def load_alone(
    kind_name: str, listen: Sequence[str], assignments: Sequence[str], found: Found
) -> Settings:
    """One instance of one kind, named as the kind; `--set idle_timeout=5s` is enough for it."""
    if kind_name not in found.kinds:
        why = found.broken.get(f"sockd.services.{kind_name}", "there is no such kind of service")
        raise ConfigError([Mistake(Place(), kind_name, why)])
    if wrong := [text for text in listen if not is_utf8(text)]:
        raise ConfigError([Mistake(Place(f"--listen {text}"), "", NOT_UTF8) for text in wrong])
    kind: Kind = found.kinds[kind_name]
    table: dict[str, Any] = {"kind": kind_name}
    if listen:
        table["listen"] = list(listen)
    elif kind.instances:
        table = {
            **deepcopy(dict(kind.instances[0].settings)),
            **{key: list(listen) for key, listen in kind.instances[0].listens().items()},
            **table,
        }
    document = Document(
        {"service": {kind_name: table}}, {("service", kind_name): Place("--listen")}
    )
    whole = ("service.", "defaults.", "sockd.")
    complete = [
        text if text.startswith(whole) else f"service.{kind_name}.{text}" for text in assignments
    ]
    return _build(document, complete, found)


def _build(
    document: Document,
    assignments: Sequence[str],
    found: Found,
    only: Sequence[str] | None = None,
) -> Settings:
    """The settings of a document with assignments laid over it. Raises ConfigError."""
    mistakes: list[Mistake] = []
    for assignment in assignments:
        try:
            document.set(assignment)
        except ConfigError as error:
            mistakes += error.mistakes
    try:
        settings = build(document, found, runtime_directory(os.environ, os.getuid()), only)
    except ConfigError as error:
        raise ConfigError([*mistakes, *error.mistakes], error.files) from None
    if mistakes:
        raise ConfigError(mistakes, document.files)
    return settings
