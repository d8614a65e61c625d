"""What this process is given and how it ends."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from typing import NoReturn

UNKNOWN = 3
"""The exit code of a plugin of monitoring that has found nothing out."""
UNWRITTEN = 1
"""The exit code where what was to be told could not be written, as of other programs."""


def with_streams() -> None:
    """Have the standard streams, where whoever started this has closed them.

    Else a connection would get such a number, and be read or written in the stream's place. What
    stands for standard input cannot be read, as one that is closed.
    """
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is None:
            opened = os.open(os.devnull, os.O_WRONLY)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            setattr(sys, name, os.fdopen(number, mode))


def end_unwritten(error: OSError, *, is_check: bool) -> NoReturn:
    """End it where what was to be told could not be written: the disk is full, or it has gone."""
    why = (error.strerror or str(error)).lower()
    with suppress(OSError):
        sys.stderr.write(f"sock: cannot write the output: {why}\n")
    end(UNKNOWN if is_check else UNWRITTEN)


def end(code: int, number: int | None = None) -> NoReturn:
    """End this process: with a code, or by a signal as if nobody had caught it.

    A closed pipe is no error: whoever read from it has had enough. What could not be written for
    another reason was told before, as far as it could be.
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            # Python would try again when it ends, and complain
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    if number is not None:
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    sys.exit(code)
