"""Which outputs a run has, by the options. Each is imported where it is wanted."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from sockd.client.asking import Asking
from sockd.client.outputs.output import Output, Several


def choose(
    command: str, targets: Sequence[str], asking: Asking, *, has_rows: bool = False
) -> Output:
    """The outputs that the options ask for. Raises UsageError."""
    if not asking.prometheus:
        return _main(command, targets, asking, has_rows=has_rows)
    from sockd.client.outputs import prometheus

    if asking.prometheus == "-":
        return prometheus.printing(sys.stdout.buffer, sys.stderr)
    file = prometheus.into_file(asking.prometheus)
    # what is told to the user comes first, and says how the process ends
    return Several((_main(command, targets, asking, has_rows=has_rows), file))


def _main(command: str, targets: Sequence[str], asking: Asking, *, has_rows: bool) -> Output:
    """What is told on standard output."""
    if asking.is_check:
        from sockd.client.outputs.check import Check

        return Check.by_options(asking, sys.stdout.buffer)
    if asking.as_json:
        from sockd.client.outputs.jsonl import JsonLines

        return JsonLines(sys.stdout.buffer, command, asking.is_quiet)
    from sockd.client.outputs.human import Human

    return Human(
        command,
        asking,
        is_alone=len(targets) == 1 or has_rows,
        out=sys.stdout.buffer,
        err=sys.stderr,
        is_terminal=sys.stdout.isatty(),
    )
