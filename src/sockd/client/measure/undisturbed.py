"""Nothing of ours comes between a probe and its answer while it is measured."""

from __future__ import annotations

import gc
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_SO_TIMESTAMPNS = getattr(socket, "SO_TIMESTAMPNS", 35)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Without Python's garbage collector: a walk through a heap takes tens of milliseconds.

    All that is there is taken out of its sight first, so that its first walk afterwards is short.
    The kernel is asked for stamps already: it begins with them a moment after the first socket
    asks, and what comes before bears the time at which it was read.
    """
    gc.collect()
    gc.freeze()
    gc.disable()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asks:
        with suppress(OSError):
            asks.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        try:
            yield
        finally:
            gc.enable()
            gc.unfreeze()
