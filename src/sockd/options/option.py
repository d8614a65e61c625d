"""An option is declared as a row: its default and what it means, beside the name and the type."""

from __future__ import annotations

from typing import Any

from attrs import field


def option(default: Any, help: str, **kwargs: Any) -> Any:
    """A field of an options class: its default, and what `sockd services NAME` says of it."""
    return field(default=default, metadata={"help": help}, kw_only=True, **kwargs)
