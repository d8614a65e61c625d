"""Which outputs a run has, by the options. Each is imported where it is wanted."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from sockd.client.asking import Asking
from sockd.client.outputs.output import Output


def choose(
    command: str, targets: Sequence[str], asking: Asking, *, has_rows: bool = False
) -> Output:
    """The output that the options ask for."""
    from sockd.client.outputs.human import Human

    return Human(
        command,
        asking,
        is_alone=len(targets) == 1 or has_rows,
        out=sys.stdout.buffer,
        err=sys.stderr,
        is_terminal=sys.stdout.isatty(),
    )
