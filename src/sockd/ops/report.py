"""What is said of a configuration: its mistakes, or what it would listen on."""

from __future__ import annotations

from sockd.config.document import ConfigError
from sockd.config.settings import Settings


def error_text(error: ConfigError) -> str:
    """All mistakes of a configuration, as the user sees them."""
    count = len(error.mistakes)
    heading = "a mistake" if count == 1 else f"{count} mistakes"
    return "\n".join([f"sockd: {heading} in the configuration", *map(str, error.mistakes)])


def check_text(settings: Settings) -> str:
    """What a configuration would listen on, a line an address, and what it warns of."""
    lines = [
        f"{one.name}: {listen}" + f" ({listen.role})" * bool(listen.role)
        for one in settings.instances
        for listen in one.listen
    ]
    lines += [f"warning: {warning}" for warning in settings.warnings]
    return "\n".join(lines) + "\n"
