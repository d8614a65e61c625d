"""What a process starts with: standard input, output and error, and a folder to be in."""

from __future__ import annotations

import os
import sys


def open_missing() -> None:
    """Open those of the descriptors 0 to 2 that are closed on /dev/null.

    What is opened next would have their numbers, and what is meant for a terminal would be written
    to a client. To be called before anything is opened.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest that is free
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            stream = os.fdopen(number, "w" if number else "r", closefd=False)
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)


def leave_lost_folder() -> None:
    """Go to `/` where the folder that this process is in is no more: who asks for it would fail."""
    try:
        os.getcwd()  # noqa: PTH109 - only whether it is there
    except FileNotFoundError:
        os.chdir("/")


def current_folder() -> str:
    """The folder that this process is in; `/` where that is no more."""
    try:
        return os.getcwd()  # noqa: PTH109 - as the kernel names it
    except FileNotFoundError:
        return "/"
