"""The daemon as the first process of a container: it is given all that have lost their parent."""

from __future__ import annotations

import os
from typing import Any

from twisted.application.internet import TimerService

from sockd.net.children import bury_strangers

FIRST = 1
LOOK_SECONDS = 2.0
"""How often: one that has ended takes a number, and nothing else, until it is reaped."""


def undertaker(reactor: Any) -> TimerService | None:
    """What reaps them; None where another process is the first, which does it."""
    if os.getpid() != FIRST:
        return None
    service = TimerService(LOOK_SECONDS, bury_strangers)
    service.clock = reactor
    return service
