"""What there is to say of the kinds of service, from their declarations."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import attrs

from sockd.access.limits import Limits
from sockd.config.toml import toml
from sockd.config.uses import limits_for, uses_of
from sockd.formats.columns import columns
from sockd.service import MAIN_KEY, Found, Kind

WIRE_HEADING = "## On the wire"
WIRE_NAMES = {"stream": "Streams", "datagram": "Datagrams", "sender": "Unasked"}
"""What a reader knows the protocols by."""
LIMITS_HEADING = "## Options of every service"


def overview(found: Found, width: int | None = None) -> str:
    """A line a kind: name, transports, summary; then the files that are broken.

    Where a line would be longer than `width`, a kind has two.
    """
    rows = [
        (name, f"[{', '.join(found.kinds[name].transports)}]", found.kinds[name].summary)
        for name in sorted(found.kinds)
    ]
    lines = columns(rows, width)
    lines += [f"{name} is disabled: {why}" for name, why in sorted(found.broken.items())]
    return "\n".join(lines) + "\n"


def describe(kind: Kind) -> str:
    """All of a kind: its own page, and those options of every service that it can use."""
    shared = options_text(limits_for(uses_of(kind)))
    return f"{page(kind)}\n{LIMITS_HEADING}\n\nThose that apply to {kind.name}:\n\n{shared}\n"


def page(kind: Kind) -> str:
    """What is a kind's own: documentation, transports, default instances, options. Markdown."""
    parts = [f"# {kind.name}", kind.documentation, f"Transports: {', '.join(kind.transports)}."]
    parts += [f"`{door.key}`: {', '.join(door.transports)}." for door in kind.doors]
    for instance in kind.instances:
        listens = "; ".join(
            f"`{key}` " * (key != MAIN_KEY) + ", ".join(f"`{text}`" for text in listen)
            for key, listen in instance.listens().items()
        )
        parts.append(f"Default instance `{instance.name}`: {listens}.")
    if kind.wire:
        parts.append(f"{WIRE_HEADING}\n\n{_exchanges(kind)}")
    options = options_text(attrs.fields(kind.options))
    parts.append(f"## Options\n\n{options}" if options else "It has no options of its own.")
    return "\n\n".join(parts) + "\n"


def _exchanges(kind: Kind) -> str:
    """What goes over the wire, a list item a protocol."""
    return "\n".join(
        f"- {WIRE_NAMES[protocol]}: {exchange.asks} {exchange.answers} {exchange.ends}"
        for protocol, exchange in kind.wire.items()
    )


def limits_text() -> str:
    """The options of every service, each with what it is for."""
    return options_text(attrs.fields(Limits))


def options_text(options: Iterable[attrs.Attribute[Any]]) -> str:
    """Options, a list item each: name, default, meaning, for what, and when a change applies."""
    return "\n".join(_option(option) for option in options)


def overview_json(found: Found) -> dict[str, Any]:
    """What `overview` says, for programs."""
    return {
        "services": [_brief(found.kinds[name]) for name in sorted(found.kinds)],
        "broken": dict(sorted(found.broken.items())),
    }


def describe_json(kind: Kind) -> dict[str, Any]:
    """What `describe` says, for programs."""
    return {
        **_brief(kind),
        "documentation": kind.documentation,
        "wire": {protocol: attrs.asdict(exchange) for protocol, exchange in kind.wire.items()},
        "options": [_option_json(option) for option in attrs.fields(kind.options)],
        "limits": [_option_json(option) for option in limits_for(uses_of(kind))],
    }


def _brief(kind: Kind) -> dict[str, Any]:
    return {
        "name": kind.name,
        "summary": kind.summary,
        "transports": list(kind.transports),
        "doors": {door.key: list(door.transports) for door in kind.doors},
        "instances": [
            {
                "name": instance.name,
                "listen": {key: list(texts) for key, texts in instance.listens().items()},
            }
            for instance in kind.instances
        ],
    }


def _option_json(option: attrs.Attribute[Any]) -> dict[str, Any]:
    return {
        "name": option.name,
        "default": toml(option.default),
        "help": option.metadata["help"],
        "applies": sorted(option.metadata["applies"]),
        "change": str(option.metadata["change"]),
    }


def _option(option: attrs.Attribute[Any]) -> str:
    uses = " or ".join(sorted(option.metadata["applies"]))
    notes = [f"for {uses}"] if uses else []
    notes.append(f"change: {option.metadata['change']}")
    default = toml(option.default)
    return (
        f"- `{option.name}` (default `{default}`): {option.metadata['help']} ({'; '.join(notes)})"
    )
