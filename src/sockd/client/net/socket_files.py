"""Folders for our own socket files: they go at the end, whatever happens."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from sockd.client.ending import at_end

LONGEST_PATH = 107
"""Bytes of the path of a socket: what a `sockaddr_un` holds."""
_FOLDERS: set[str] = set()


def make() -> str:
    """A temporary folder for one socket. Where the usual place has too long a name, in /tmp."""
    folder = tempfile.mkdtemp(prefix="sock-")
    if len(os.fsencode(folder)) + len("/sock") > LONGEST_PATH:
        Path(folder).rmdir()
        folder = tempfile.mkdtemp(prefix="sock-", dir="/tmp")
    _FOLDERS.add(folder)
    return folder


def remove(folder: str) -> None:
    """Remove a temporary folder and what is in it, if it is still there."""
    shutil.rmtree(folder, ignore_errors=True)
    _FOLDERS.discard(folder)


def _remove_all() -> None:
    """What is left where nobody came to close it."""
    for folder in [*_FOLDERS]:
        remove(folder)


at_end(_remove_all)
