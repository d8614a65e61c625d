"""The options of twistd's commands, as Twisted has them, for a man page."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import cleandoc

from twisted.python import usage

from sockd.ops.manual.roff import argument, items, prose, subsection

EVERYWHERE = frozenset({"help", "version"})


def described(commands: Mapping[str, usage.Options]) -> list[str]:
    """Commands by their names, each with its options."""
    found: list[str] = []
    for name, options in commands.items():
        text = prose(_sentence(cleandoc(options.__doc__ or "").partition(": ")[2]))
        found += subsection(f"twistd {name}", text, items(_rows(options)))
    return found


def _rows(options: usage.Options) -> list[tuple[str, str]]:
    rows = []
    for long in sorted(set(options.longOpt)):
        name = long.removesuffix("=")
        if name not in EVERYWHERE:
            short = [
                one for one in options.synonyms if len(one) == 1 and options.synonyms[one] == name
            ]
            flags = [f"Fl {argument(one)}" for one in short] + [f"Fl Fl {argument(name)}"]
            value = " Ar VALUE" if long.endswith("=") else ""
            rows.append((f"{' , '.join(flags)}{value}", _sentence(_said(options, name))))
    return rows


def _said(options: usage.Options, name: str) -> str:
    method = getattr(options, f"opt_{name.replace('-', '_')}", None)
    return options.docs.get(name) or (method.__doc__ if method else "") or ""


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].strip()}{'.' * (not text.endswith('.'))}"
