"""Old clients: those that can prove nothing."""

from __future__ import annotations

from enum import StrEnum
from typing import Any


class Legacy(StrEnum):
    """Where old clients are served."""

    ON_LINK = "on-link"
    """On networks of the interface that they are heard by; this host is."""
    EVERYWHERE = "everywhere"
    OFF = "off"

    @classmethod
    def parse(cls, text: Any) -> Legacy:
        """The place of that name. Raises ValueError."""
        if text not in tuple(cls):
            raise ValueError(f"must be one of {', '.join(cls)}, not {text!r}")
        return cls(text)
