"""How this process ends."""

from __future__ import annotations

import os
import signal
import sys
from typing import NoReturn


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
