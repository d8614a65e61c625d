"""Old clients: those that can prove nothing."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

GUESSES = 10
"""Wrong numbers of one old client until its log-offs, and log-ins by other names, are not heard any
more: whoever forges them by the thousand is right once in 100,000 users. It costs an old client
that is guessed about its log-off; it is gone once it is silent."""


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
