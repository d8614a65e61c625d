"""What the man pages have in common: their beginning, and options of services as items."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from sockd.config.toml import toml
from sockd.ops.manual.roff import argument, document, example, items, plain

DATE = "November 29, 2026"
"""Of what the pages say that no table has."""
NOTE = '.\\" Written by `make docs` from src/sockd: change it there.'


def page(name: str, number: int, does: str, *sections: Iterable[str]) -> str:
    """A whole page; `does` is what a list of pages says of it."""
    lines = [
        NOTE,
        f".Dd {DATE}",
        f".Dt {name.upper()} {number}",
        ".Os",
        ".Sh NAME",
        f".Nm {name}",
        f".Nd {plain(does)}",
        *(line for part in sections for line in part),
    ]
    return "\n".join(lines) + "\n"


def option_items(options: Iterable[attrs.Attribute[Any]]) -> list[str]:
    """Options that a configuration sets: name and default, what it means, when a change applies."""
    return items(
        (f"Ic {argument(one.name)} = {argument(toml(one.default))}", _meaning(one))
        for one in options
    )


def _meaning(option: attrs.Attribute[Any]) -> str:
    uses = " or ".join(sorted(option.metadata["applies"]))
    of = f" For {uses}." if uses else ""
    text = option.metadata["help"]
    text = f"{text[:1].upper()}{text[1:].rstrip('.')}."
    return f"{text}{of} Change: {option.metadata['change']}."


def table(rows: Mapping[str, str], macro: str = "Ic") -> list[str]:
    """Names and what they are."""
    return items((f"{macro} {argument(name)}", text) for name, text in rows.items())


def sentences(rows: Mapping[str, str]) -> list[str]:
    """Names and the sentences that are said of them, with what is filled in in braces."""
    return table({name: _filled(text) for name, text in rows.items()})


def _filled(text: str) -> str:
    return re.sub(r"\{(\w+)[^}]*\}", r"{\1}", text).replace("`", "")


def examples(rows: Iterable[tuple[str, str]]) -> list[str]:
    """What one may want, and what to type for it."""
    found: list[str] = []
    for text, line in rows:
        found += [*([".Pp"] if found else []), *document(text), *example([line])]
    return found
