"""What the server remembers over a start: its secret, and the names of those who can come back.

A file in a directory that only the daemon can read, written by a thread.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from sockd.chat.secret import SECRET_BYTES
from sockd.listen.runtime import make_runtime_directory

_HEAD = b"sockd chat 1\n"
MOST_BYTES = 8 * 1024 * 1024
"""Of the file: more is none of ours."""


def read(path: Path) -> tuple[bytes, set[bytes]] | None:
    """The secret and the folded names; None where there is no file, or an empty one.

    Raises OSError where it cannot be read; ValueError where it is none of ours: it would be
    written over.
    """
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_uid not in (0, os.getuid()):
                raise PermissionError(f"{path} is another user's, who knows the secret in it")
            data = file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        return None
    if not data:
        return None
    head, _, rest = data.partition(b"\n")
    secret, names = rest[:SECRET_BYTES], rest[SECRET_BYTES:]
    if head + b"\n" != _HEAD or len(secret) < SECRET_BYTES or len(data) > MOST_BYTES:
        raise ValueError(f"{path} is no state of a chat: it is left as it is")
    return secret, set(names.split())


def write(path: Path, secret: bytes, names: Iterable[bytes]) -> None:
    """Have the file say this: whole, or as it was before. Raises OSError."""
    beside = path.with_name(f"{path.name}.new")
    if not path.parent.exists():
        make_runtime_directory(str(path.parent))
    beside.unlink(missing_ok=True)
    # a new file: nobody else has opened it, and it is no link to elsewhere
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(_HEAD + secret + b"\n".join([b"", *names]))
    beside.replace(path)
