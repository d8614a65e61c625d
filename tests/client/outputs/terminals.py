"""A program on a terminal of its own, and all that it has written there."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from collections.abc import Mapping, Sequence

from tests.processes import variables

PATIENCE = 60.0
STYLE = re.compile(r"\x1b\[[0-9;]*m")
ERASED = re.compile(r"[^\n]*\r\x1b\[K")
"""What stood on a line before it was erased, which nobody sees any more."""


def on_terminal(
    argv: Sequence[str], columns: int, environment: Mapping[str, str] | None = None
) -> str:
    """Run a program to its end on a terminal of so many columns; what it wrote, as it came."""
    ours, theirs = pty.openpty()
    try:
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
        mode = termios.tcgetattr(theirs)
        mode[1] &= ~termios.OPOST  # line ends come as they are written
        termios.tcsetattr(theirs, termios.TCSANOW, mode)
        with subprocess.Popen(
            argv,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=variables({"TERM": "xterm", "LC_ALL": "C.UTF-8", **(environment or {})}),
        ) as process:
            os.close(theirs)
            theirs = -1
            written = b"".join(iter(lambda: _read(ours), b""))
            assert process.wait(PATIENCE) == 0, written.decode()
    finally:
        os.close(ours)
        if theirs >= 0:
            os.close(theirs)
    return written.decode()


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65_536)
    except OSError:  # Linux says so when the last program has closed the terminal
        return b""


def seen(written: str) -> list[str]:
    """The lines that can be seen at the end, without their colours."""
    return STYLE.sub("", ERASED.sub("", written)).split("\n")
