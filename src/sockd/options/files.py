"""Files that a configuration names: where their names start, and what is read of them."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Self

_KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class FilePath(str):
    """The name of a file. A relative one starts at the folder of the file that names it."""

    __slots__ = ()

    @classmethod
    def parse(cls, value: object) -> Self:
        """The name as it is written; nothing for no file. Raises ValueError."""
        if not isinstance(value, str) or "\0" in value:
            raise ValueError(f"expected the name of a file, got {value!r}")
        return cls(value)

    def beside(self, folder: str) -> Self:
        """The same file, named so that it does not matter where the process stands."""
        return type(self)(absolute(self, folder))


def absolute(name: str, folder: str) -> str:
    """A file's name, started at a folder where it is relative; nothing stays nothing."""
    return str(Path(folder, name)) if name else name


def read_file(name: str, most: int) -> bytes:
    """The bytes of a file. Raises OSError, whose `strerror` says why there are none.

    Only regular files of at most `most` bytes are read: a FIFO or a device may never end, or never
    begin.
    """

    def refused(number: int, why: str) -> OSError:
        return OSError(number, why, name)

    def open_at_once(path: str, flags: int) -> int:
        return os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)

    try:
        kind = stat.S_IFMT(Path(name).stat().st_mode)
        if kind != stat.S_IFREG:
            raise refused(errno.EINVAL, f"{_KINDS.get(kind, 'something else')}, not a file")
        with open(name, "rb", opener=open_at_once) as file:
            data = file.read(most + 1) or b""  # None of /proc/kmsg, which has nothing yet
    except ValueError:  # a NUL in the name
        raise refused(errno.EINVAL, "not the name of a file") from None
    if len(data) > most:
        raise refused(errno.EFBIG, f"larger than {most} bytes")
    return data
