"""Programs that run a reactor of their own, in a process of their own."""

from __future__ import annotations

import sys

from tests.processes import running

PRELUDE = """
import sys
from twisted.application.reactors import installReactor
reactor = installReactor(sys.argv[1])
"""
"""What each begins with: its reactor is named to it."""


def said(program: str, reactor: str) -> list[str]:
    """The lines that a program has written, once it has ended in order."""
    with running([sys.executable, "-c", PRELUDE + program, reactor]) as child:
        assert child.wait(60) == 0, child.text()
        return child.text().splitlines()
