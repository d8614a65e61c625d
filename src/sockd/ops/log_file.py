"""Where log lines go: a file that can be moved away while it is written, or the system's log.

A file that is to have a size moves away by itself: `FILE` becomes `FILE.1`, that `FILE.2`, and so
on, as with logrotate; the last goes.
"""

from __future__ import annotations

import os
import re
import select
import stat
import syslog
from collections.abc import Callable
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


def _untold(_: OSError) -> None:
    """Nobody asked."""


class LogFile(Output):
    """A file that is appended to, and opened anew when it was moved away (logrotate does so).

    It has at most `most` bytes, 0: any number; it is moved away before a line that would be too
    much, and `keep` such files are kept. Where that cannot be done it goes on, is told once to
    `report`, and is tried again when as much has come again.
    """

    def __init__(self, path: str, most: int = 0, keep: int = 0) -> None:
        """Open it. Raises OSError. A new one has the mode that the umask leaves."""
        self.path = Path(path).absolute()
        self.report: Callable[[OSError], None] = _untold
        self._file, _ = _open(self.path)
        os.set_blocking(self._file, True)
        super().__init__(self._file)
        self._is_refused = False
        self.bound(most, keep)

    def bound(self, most: int, keep: int) -> None:
        """Have another size, and another number of files, from now on."""
        self._most, self._keep = most, keep
        self._room = most

    def flush(self) -> None:
        left, self._text = self._text, ""
        while left:
            self._text, left = self._cut(left)
            super().flush()

    def _cut(self, text: str) -> tuple[str, str]:
        """What of some lines goes into the file that there is now, and the rest."""
        found = os.fstat(self._file)
        if not self._most or not stat.S_ISREG(found.st_mode):
            return text, ""
        if len(data := text.encode("utf-8", "backslashreplace")) <= self._room - found.st_size:
            return text, ""
        end = data.rfind(b"\n", 0, max(0, self._room - found.st_size)) + 1
        if not end and found.st_size:
            self._rotate(found)
            return "", text
        end = end or data.index(b"\n") + 1 if b"\n" in data else len(data)
        return data[:end].decode(), data[end:].decode()

    def _rotate(self, found: os.stat_result) -> None:
        """Move the file away and go on in a new one; where that cannot be, leave it for a while."""
        try:
            path = self.path.resolve()  # a link stays where it is
            if not _is_at(path, found):
                self.reopen()  # somebody else has moved it
                return
            new = path.with_name(f".{path.name}.new")
            with suppress(FileNotFoundError):
                new.unlink()
            descriptor = os.open(new, _FLAGS | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                _make_alike(descriptor, self._file)
                _shift(path, self._keep)
                new.replace(path)
                self._use(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            self._room = found.st_size + self._most
            if not self._is_refused:
                self._is_refused = True
                self.report(error)
        else:
            self._room, self._is_refused = self._most, False

    def reopen(self) -> None:
        """Go on in the file that is at the path now. Raises OSError, and then goes on in the old.

        Where there is none, one is made, with the mode and the owner of the old one.
        """
        new, is_made = _open(self.path)
        try:
            if is_made:
                _make_alike(new, self._file)
            self._use(new)
        finally:
            os.close(new)
        self._room = self._most

    def _use(self, new: int) -> None:
        os.set_blocking(new, True)
        os.dup2(new, self._file, inheritable=False)
        self._is_torn = False

    def close(self) -> None:
        """Let go of it."""
        os.close(self._file)


def _is_at(path: Path, found: os.stat_result) -> bool:
    try:
        return os.path.samestat(path.stat(), found)
    except FileNotFoundError:
        return False


def _shift(path: Path, keep: int) -> None:
    """Give each older file the next number. Those beyond `keep` go. Raises OSError."""
    if not keep:
        return  # what comes replaces it

    def older(number: int) -> Path:
        return path.with_name(f"{path.name}.{number}")

    last = 0
    while older(last + 1).exists():
        last += 1
    for number in range(last, 0, -1):
        if number < keep:
            older(number).replace(older(number + 1))
        else:
            older(number).unlink()
    path.replace(older(1))


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


_PRIORITY = re.compile("<([0-7])>")


class SyslogFile:
    """The system's log as a file to write lines to, each with its priority in front, or of info."""

    def __init__(self, prefix: str) -> None:
        syslog.openlog(prefix, syslog.LOG_PID, syslog.LOG_DAEMON)

    def write(self, text: str) -> None:
        """Log each line."""
        for line in text.splitlines():
            found = _PRIORITY.match(line)
            if found:
                syslog.syslog(int(found[1]), line[found.end() :])
            else:
                syslog.syslog(line)

    def flush(self) -> None:
        """Nothing waits."""
