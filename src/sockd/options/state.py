"""Where a daemon keeps what outlives it: the state directory, and the file of bans in it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from sockd.options.control import ControlPath
from sockd.options.runtime import runtime_directory

BANS_NAME = "bans.sqlite3"
"""The file's name in the state directory, where nothing else is said."""


class BansPath(ControlPath):
    """A path; one that is relative starts at the state directory; nothing: bans are not kept."""

    __slots__ = ()


def state_directory(environment: Mapping[str, str], uid: int) -> str:
    """The state directory: the service manager's, else the user's, else root's.

    For a user without a home it is the runtime directory, which does not outlive the host's start.
    """
    if given := environment.get("STATE_DIRECTORY"):
        return given.split(":", 1)[0]
    own = Path(environment.get("XDG_STATE_HOME") or "")
    if own.is_absolute():  # others are to be ignored
        return str(own / "sockd")
    if uid == 0:
        return "/var/lib/sockd"
    home = Path(environment.get("HOME") or "")
    if home.is_absolute():
        return str(home / ".local" / "state" / "sockd")
    return runtime_directory(environment, uid)
