"""What there is to say of the kinds of service, from their declarations."""

from __future__ import annotations

import attrs

from sockd.access.limits import Limits
from sockd.config.annotated import toml
from sockd.service import MAIN_KEY, Found, Kind

LIMITS_HEADING = "## Options of every service"


def overview(found: Found) -> str:
    """A line a kind: name, transports, summary; then the files that are broken."""
    width = max((len(name) for name in found.kinds), default=0)
    lines = [
        f"{name:{width}}  {found.kinds[name].summary} [{', '.join(found.kinds[name].transports)}]"
        for name in sorted(found.kinds)
    ]
    lines += [f"{name} is disabled: {why}" for name, why in sorted(found.broken.items())]
    return "\n".join(lines) + "\n"


def describe(kind: Kind) -> str:
    """All of a kind: its own page, and the options that every service has."""
    return f"{page(kind)}\n{LIMITS_HEADING}\n\n{options_text(Limits)}\n"


def page(kind: Kind) -> str:
    """What is a kind's own: documentation, transports, default instances, options. Markdown."""
    parts = [f"# {kind.name}", kind.documentation, f"Transports: {', '.join(kind.transports)}."]
    parts += [f"`{door.key}`: {', '.join(door.transports)}." for door in kind.doors]
    for instance in kind.instances:
        listens = "; ".join(
            f"`{key}` " * (key != MAIN_KEY) + ", ".join(f"`{one}`" for one in listen)
            for key, listen in instance.listens().items()
        )
        parts.append(f"Default instance `{instance.name}`: {listens}.")
    options = options_text(kind.options)
    parts.append(f"## Options\n\n{options}" if options else "It has no options of its own.")
    return "\n\n".join(parts) + "\n"


def options_text(settings: type) -> str:
    """The options of an attrs class, a list item each: name, default, meaning."""
    return "\n".join(
        f"- `{one.name}` (default `{toml(one.default)}`): {one.metadata['help']}"
        for one in attrs.fields(settings)
    )
