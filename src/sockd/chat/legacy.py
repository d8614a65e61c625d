"""Old clients: those that can prove nothing."""

from __future__ import annotations

from enum import StrEnum


class Legacy(StrEnum):
    """Where old clients are served."""

    ON_LINK = "on-link"
    """On networks of the interface that they are heard by; this host is."""
    EVERYWHERE = "everywhere"
    OFF = "off"
