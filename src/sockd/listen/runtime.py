"""The directory of the default configuration's socket files: made where it is not there."""

from __future__ import annotations

import os
import pwd
import stat
from pathlib import Path


def make_runtime_directory(name: str) -> None:
    """Make it where it is not there. Raises OSError where somebody else could write into it.

    A link is followed where it is root's, as a service manager makes one for a user of its own.
    """
    path = Path(name)
    path.mkdir(mode=0o755 if os.getuid() == 0 else 0o700, parents=True, exist_ok=True)
    found = path.lstat()
    if stat.S_ISLNK(found.st_mode) and found.st_uid == 0:
        found = path.stat()
    if not stat.S_ISDIR(found.st_mode):
        raise NotADirectoryError(f"{name} is not a directory")
    if found.st_mode & 0o022:
        raise PermissionError(f"{name} can be written by others")
    if found.st_uid not in (0, os.getuid()):
        raise PermissionError(f"{name} can be written by others: it is {_user(found.st_uid)}'s")


def _user(uid: int) -> str:
    try:
        return f"user {pwd.getpwuid(uid).pw_name}"
    except KeyError:
        return f"user {uid}"


def give_runtime_directory(name: str, of: int, uid: int, gid: int) -> None:
    """Make it a user's, where it is that of user `of`. Raises OSError.

    A daemon that begins as root and becomes somebody else gives it away to have its files removed,
    and takes it back at its next start: while root binds there it is nobody else's.
    """
    try:
        directory = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return  # it is to be made, or what binds there says what is wrong
    try:
        if os.fstat(directory).st_uid == of:
            os.chown(f"/proc/self/fd/{directory}", uid, gid)
    finally:
        os.close(directory)
