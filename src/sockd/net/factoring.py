"""The worker that factors large numbers: `python -m sockd.net.factoring`.

It says that it is ready, reads a number a line and answers its factors a line, until its input
ends. It is a process of its own, so that it can be killed.
"""

from __future__ import annotations

import os
import sys

from sockd.formats.factors import factors

READY = b"ready\n"
"""What it says first."""
SCRATCH = "/tmp/siqs"
"""How the file begins that the library keeps in the midst of a large number, and then removes."""


def work() -> None:
    """Answer numbers from standard input on standard output, a line each."""
    # what the library prints, should it give up, is no answer
    answers = os.dup(1)
    os.dup2(2, 1)
    factors(6)
    os.write(answers, READY)
    for line in sys.stdin.buffer:
        os.write(answers, factors(int(line)) + b"\n")


if __name__ == "__main__":
    work()
