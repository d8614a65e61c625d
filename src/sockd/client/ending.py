"""What this process is given and how it ends."""

from __future__ import annotations

import atexit
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

from sockd.formats.text import escape

UNKNOWN = 3
"""The exit code of a plugin of monitoring that has found nothing out."""
UNWRITTEN = 1
"""The exit code where what was found cannot be written."""
REPORT = "sock: this is a fault of sock itself: please report it, with the lines above"


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


_LAST: list[Callable[[], object]] = []
"""What is called before a signal ends this process: Python does nothing then."""


def at_end(call: Callable[[], object]) -> None:
    """Have it called however this process ends, but for SIGKILL."""
    atexit.register(call)
    _LAST.append(call)


def end(code: int, number: int | None = None) -> NoReturn:
    """End this process: with a code, or by a signal as if nobody had caught it.

    A closed pipe is no error: whoever read from it has had enough. What could not be written for
    another reason was told before, as far as it could be.
    """
    code = _flush(code)
    if number is not None:
        _do_last()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    sys.exit(code)


def end_now(code: int) -> NoReturn:
    """End it within a signal's handler: whoever runs meanwhile may catch SystemExit."""
    code = _flush(code)
    _do_last()
    os._exit(code)


def _do_last() -> None:
    for call in _LAST:
        call()


def _flush(code: int) -> int:
    """Write what waits. Returns the code, which is another one where that cannot be."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, RuntimeError) as error:
            # RuntimeError: a signal's handler, within a write
            if isinstance(error, OSError) and not isinstance(error, BrokenPipeError):
                code = code or unwritable(error)
            # Python would try again when it ends, and complain
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return code


def unwritable(error: OSError) -> int:
    """Tell that what was found cannot be written; the exit code."""
    with suppress(OSError, ValueError):
        sys.stderr.write(
            f"sock: cannot write the output: {(error.strerror or str(error)).lower()}\n"
        )
        sys.stderr.flush()
    return UNWRITTEN


def tell_fault(text: str) -> None:
    """Tell a fault of ours, as Python says it: text from the network may be in it."""
    lines = [*map(escape, text.rstrip().split("\n")), REPORT]
    with suppress(OSError, ValueError):
        sys.stderr.write("\n".join(lines) + "\n")
        sys.stderr.flush()
