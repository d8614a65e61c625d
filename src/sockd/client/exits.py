"""How `sock` ends: its exit codes."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum


class Exit(IntEnum):
    """Exit codes, from what is good to what is worst."""

    ANSWERED = 0
    """There was an answer."""
    UNREACHABLE = 1
    """Refused, or there is no way there."""
    USAGE = 2
    """The command line is wrong: nothing was asked."""
    TIMEOUT = 3
    """No answer in time."""
    BAD_ANSWER = 4
    """The answer breaks the protocol."""
    CERTIFICATE = 5
    """TLS could not be agreed on: a certificate that does not hold, or no TLS at all."""
    NAME = 6
    """The name was not found."""
    FAULT = 70
    """A fault of sock itself: sysexits.h has it as EX_SOFTWARE."""


def worst(exits: Iterable[Exit]) -> Exit:
    """The exit code of a run of several hosts: the greatest; of none, `ANSWERED`."""
    return max(exits, default=Exit.ANSWERED)
