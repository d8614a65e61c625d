"""What this process is given and how it ends."""

from __future__ import annotations

import os
import signal
import sys
from typing import NoReturn

UNKNOWN = 3
"""The exit code of a plugin of monitoring that has found nothing out."""


def with_streams() -> None:
    """Have standard output and standard error, where whoever started this has closed them."""
    for number, name in ((1, "stdout"), (2, "stderr")):
        if getattr(sys, name) is None:
            # opened in order, so the descriptor is the one that was closed
            os.dup2(os.open(os.devnull, os.O_WRONLY), number)
            setattr(sys, name, os.fdopen(number, "w"))


def end(code: int, number: int | None = None) -> NoReturn:
    """End this process: with a code, or by a signal as if nobody had caught it.

    A closed pipe is no error: whoever read from it has had enough.
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (BrokenPipeError, ValueError):
            # Python would try again when it ends, and complain
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    if number is not None:
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    sys.exit(code)
