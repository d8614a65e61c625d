"""Where the socket files of the default configuration lie: for the daemon, and for clients."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

TEMPORARY = "/tmp"
"""Not asked of `tempfile`, which writes a file to find out, and fails where the disk is full."""


def runtime_directory(environment: Mapping[str, str], uid: int) -> str:
    """The runtime directory: the service manager's, else the session's, else one of our own."""
    if given := environment.get("RUNTIME_DIRECTORY"):
        return given.split(":", 1)[0]
    if session := environment.get("XDG_RUNTIME_DIR"):
        return str(Path(session) / "sockd")
    if uid == 0:
        return "/run/sockd"
    return str(Path(environment.get("TMPDIR") or TEMPORARY) / f"sockd-{uid}")
