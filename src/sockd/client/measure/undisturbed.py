"""Nothing of ours comes between a probe and its answer while it is measured."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def undisturbed() -> Iterator[None]:
    """Without Python's garbage collector: a walk through a heap takes tens of milliseconds.

    All that is there is taken out of its sight first, so that its first walk afterwards is short.
    """
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()
