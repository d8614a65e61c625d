"""What somebody else does between any two steps of ours: a race without chance."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from itertools import count

_MOST_STEPS = 2000
"""More than what is tried takes."""


def at_each_step(prepare: Callable[[], tuple[Callable[[], None], Callable[[], None]]]) -> int:
    """Try something again and again, and each time have somebody else act at a later step of it.

    `prepare` sets the scene and returns what is tried and what the other one does. A step is a call
    of what is not written in Python, as all system calls are. Returns how many steps there are.
    """
    for step in count():
        assert step < _MOST_STEPS
        try_it, intrude = prepare()
        if not _with_intruder(try_it, intrude, step):
            return step
    raise AssertionError


def _with_intruder(try_it: Callable[[], None], intrude: Callable[[], None], step: int) -> bool:
    """Try it, with the other one's act before this step; whether there was such a step."""
    steps = 0

    def at_call(_: object, event: str, __: object) -> None:
        nonlocal steps
        if event == "c_call":
            steps += 1
            if steps == step + 1:
                with suppress(OSError):
                    intrude()

    sys.setprofile(at_call)
    try:
        try_it()
    finally:
        sys.setprofile(None)
    return steps > step
