"""Where the socket files of the default configuration lie."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path


def runtime_directory(environment: Mapping[str, str], uid: int) -> str:
    """The runtime directory: the service manager's, else the session's, else one of our own."""
    if given := environment.get("RUNTIME_DIRECTORY"):
        return given.split(":", 1)[0]
    if session := environment.get("XDG_RUNTIME_DIR"):
        return str(Path(session) / "sockd")
    if uid == 0:
        return "/run/sockd"
    return str(Path(tempfile.gettempdir()) / f"sockd-{uid}")


def make_runtime_directory(name: str) -> None:
    """Make it where it is not there. Raises OSError where somebody else could write into it."""
    path = Path(name)
    path.mkdir(mode=0o755 if os.getuid() == 0 else 0o700, parents=True, exist_ok=True)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode):
        raise NotADirectoryError(f"{name} is not a directory")
    if found.st_uid not in (0, os.getuid()) or found.st_mode & 0o022:
        raise PermissionError(f"{name} can be written by others")
