"""An option is declared as a row: its default and what it means, beside the name and the type."""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum
from typing import Any

from attrs import field


class OptionError(ValueError):
    """What is wrong with options that are each of the right type: pairs of an option and a reason.

    A kind's `check` raises it, so that each reason is told at its option's place.
    """

    def __init__(self, *mistakes: tuple[str, str]) -> None:
        super().__init__("; ".join(why for _, why in mistakes))
        self.mistakes = mistakes


class Change(StrEnum):
    """When a change of an option's value applies."""

    NOW = "now"
    """At once, to what is open too."""
    NEW_CONNECTIONS = "new connections"
    """To connections and datagrams that come after it."""
    BIND = "bind"
    """When the address is bound anew."""
    RESTART = "restart"
    """When the daemon starts again."""


def option(
    default: Any,
    help: str,
    *,
    applies: Collection[str] = (),
    change: Change = Change.NEW_CONNECTIONS,
    **kwargs: Any,
) -> Any:
    """A field of an options class: its default, and what `sockd services NAME` says of it.

    `applies` names what an instance must have, one of these, for the option to have an effect
    (`sockd.access.limits.Use`); none: it always has. `change` says when a change of it applies.
    """
    metadata = {"help": help, "applies": frozenset(applies), "change": change}
    return field(default=default, metadata=metadata, kw_only=True, **kwargs)
