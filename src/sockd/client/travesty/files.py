"""Files to be analyzed, read by a thread, piece by piece."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from attrs import frozen

from sockd.client.errors import UsageFault
from sockd.client.net.loop import Reactor
from sockd.client.net.system import words
from sockd.client.talk.input import Input


@frozen
class File:
    """A file that has been opened."""

    name: str
    descriptor: int
    size: int | None
    """None where it is none that has a size."""

    def source(self, reactor: Reactor) -> Input:
        """What reads it, and closes it."""
        return Input(reactor, self.descriptor, self.name, is_owned=True)


def open_file(name: str) -> File:
    """Open a file to read it; `~` is whose home it says. Raises UsageFault."""
    try:
        # a named pipe to which nobody writes yet would hold us up: its reader waits for that
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
        descriptor = os.open(Path(name).expanduser(), flags)
    except RuntimeError:
        raise UsageFault(f"cannot read {name}: no such home") from None
    except (OSError, ValueError) as error:  # a NUL in the name
        raise _fault(name, error) from None
    try:
        found = os.fstat(descriptor)
        if stat.S_ISDIR(found.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        os.set_blocking(descriptor, True)
    except OSError as error:
        os.close(descriptor)
        raise _fault(name, error) from None
    is_regular = stat.S_ISREG(found.st_mode)
    return File(name, descriptor, found.st_size if is_regular and found.st_size else None)


def _fault(name: str, error: Exception) -> UsageFault:
    why = words(error) if isinstance(error, OSError) else str(error)
    return UsageFault(f"cannot read {name}: {why}")
