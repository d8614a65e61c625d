"""What the server remembers over a start: its secret, and the names of those who can come back.

A file in a directory that only the daemon can read, written by a thread.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from sockd.chat.secret import SECRET_BYTES

_HEAD = b"sockd chat 1\n"
MOST_BYTES = 8 * 1024 * 1024
"""Of the file: more is none of ours."""


def read(path: Path) -> tuple[bytes, set[bytes]] | None:
    """The secret and the folded names; None where there is no file, or none of ours.

    Raises OSError where it is there and cannot be read.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        return None
    head, _, rest = data.partition(b"\n")
    secret, names = rest[:SECRET_BYTES], rest[SECRET_BYTES:]
    if head + b"\n" != _HEAD or len(secret) < SECRET_BYTES or len(data) > MOST_BYTES:
        return None
    return secret, set(names.split())


def write(path: Path, secret: bytes, names: Iterable[bytes]) -> None:
    """Have the file say this: whole, or as it was before. Raises OSError."""
    beside = path.with_name(f"{path.name}.new")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(_HEAD + secret + b"\n".join([b"", *names]))
    beside.replace(path)
