"""Where log lines go: a file that can be moved away while it is written, or the system's log."""

from __future__ import annotations

import os
import select
import stat
import syslog
from contextlib import suppress
from pathlib import Path
from typing import Protocol, TextIO

_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
"""Not blocking: a FIFO that nobody reads is an error, and no reason to stand still."""
_PERMISSIONS = 0o777


class Sink(Protocol):
    """Where lines go: an open text file, or what is like one."""

    def write(self, text: str, /) -> object:
        """Take whole lines."""

    def flush(self) -> object:
        """Write what was taken."""


class Output:
    """A descriptor that is written to. What it has no characters for is escaped."""

    def __init__(self, descriptor: int, encoding: str = "utf-8") -> None:
        self._descriptor = descriptor
        self._encoding = encoding
        self._is_torn = False
        self._text = ""

    def write(self, text: str) -> None:
        """Take whole lines."""
        self._text += text

    def flush(self) -> None:
        """Write what was taken. Raises OSError, and then the rest of it is lost."""
        text, self._text = self._text, ""
        left = memoryview(text.encode(self._encoding, "backslashreplace"))
        if self._is_torn and left:
            left = memoryview(b"\n" + left)
        while left:
            try:
                written = os.write(self._descriptor, left)
            except BlockingIOError:  # somebody who shares it has it so
                writable = select.poll()
                writable.register(self._descriptor, select.POLLOUT)
                writable.poll()
                continue
            self._is_torn = left[written - 1] != ord("\n")
            left = left[written:]


def output(stream: TextIO) -> Sink:
    """What writes to the descriptor of a stream, past its buffer, which Python would write at its
    end; the stream itself where it has none."""
    try:
        return Output(stream.fileno(), stream.encoding)
    except (OSError, ValueError):
        return stream


class LogFile(Output):
    """A file that is appended to, and opened anew when it was moved away (logrotate does so)."""

    def __init__(self, path: str) -> None:
        """Open it. Raises OSError. A new one has the mode that the umask leaves."""
        self.path = Path(path).absolute()
        descriptor, _ = _open(self.path)
        os.set_blocking(descriptor, True)
        super().__init__(descriptor)

    def reopen(self) -> None:
        """Go on in the file that is at the path now. Raises OSError, and then goes on in the old.

        Where there is none, one is made, with the mode and the owner of the old one.
        """
        new, is_made = _open(self.path)
        try:
            if is_made:
                _make_alike(new, self._descriptor)
            os.set_blocking(new, True)
            os.dup2(new, self._descriptor, inheritable=False)
        finally:
            os.close(new)
        self._is_torn = False

    def close(self) -> None:
        """Let go of it."""
        os.close(self._descriptor)


def _open(path: Path) -> tuple[int, bool]:
    """A descriptor to append by, and whether the file was made for it."""
    try:
        return os.open(path, _FLAGS | os.O_CREAT | os.O_EXCL, 0o666), True
    except FileExistsError:
        return os.open(path, _FLAGS | os.O_CREAT, 0o666), False


def _make_alike(new: int, old: int) -> None:
    wanted, is_so = os.fstat(old), os.fstat(new)
    if (wanted.st_uid, wanted.st_gid) != (is_so.st_uid, is_so.st_gid):
        with suppress(PermissionError):  # only root can give a file away
            os.fchown(new, wanted.st_uid, wanted.st_gid)
    os.fchmod(new, stat.S_IMODE(wanted.st_mode) & _PERMISSIONS)


class SyslogFile:
    """The system's log as a file to write lines to."""

    def __init__(self, prefix: str) -> None:
        syslog.openlog(prefix, syslog.LOG_PID, syslog.LOG_DAEMON)

    def write(self, text: str) -> None:
        """Log each line."""
        for line in text.splitlines():
            syslog.syslog(line)

    def flush(self) -> None:
        """Nothing waits."""
