"""Threads that work for the loop, and hold up no end.

Twisted's stop waits for them, and Python's end once more; what waits for a disk that is dead, or
for a server behind it, waits for good.
"""

from __future__ import annotations

from threading import Thread
from time import monotonic
from typing import Any

from twisted.python.threadpool import ThreadPool

END_SECONDS = 1.0
"""How long a stop waits for all of them together. What must be whole, as the file of bans, has been
waited for by then; other files are replaced whole or not at all."""


def hold_up_no_end(pool: ThreadPool) -> None:
    """Have the stop of a pool wait for what goes on in it for a while, and not for good.

    To be called before the pool has threads.
    """
    until: float | None = None

    class Worker(Thread):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs, daemon=True)

        def join(self, timeout: float | None = None) -> None:
            nonlocal until
            if until is None:
                until = monotonic() + END_SECONDS
            super().join(max(0.0, until - monotonic()) if timeout is None else timeout)

    pool.threadFactory = Worker
