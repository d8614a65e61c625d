"""Signals that ask a running daemon for something: at any other time they do nothing.

Their default would end the process, so they are handled from the first moment to the last. A
handler, and not SIG_IGN, which programs that are started would inherit.
"""

from __future__ import annotations

import atexit
import signal

REQUESTS = (signal.SIGHUP, signal.SIGUSR1)
"""Look at certificates; open the log anew."""


def spare(*numbers: signal.Signals) -> None:
    """Have these do nothing until somebody handles them; of none: all of `REQUESTS`."""
    for number in numbers or REQUESTS:
        signal.signal(number, _nothing)
    atexit.register(ignore, *REQUESTS)


def ignore(*numbers: signal.Signals) -> None:
    """Have these do nothing any more: Python gives handlers up some time before it has ended."""
    for number in numbers:
        signal.signal(number, signal.SIG_IGN)


def _nothing(*_: object) -> None:
    return
