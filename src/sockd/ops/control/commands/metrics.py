"""Tell all figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred

from sockd.ops.control.arguments import Arguments
from sockd.ops.control.command import Answer, Command

if TYPE_CHECKING:
    from sockd.ops.operations import Operations


def metrics(operations: Operations, arguments: Arguments) -> Deferred[Answer]:
    """The text of all metrics as they are now, in the format of OpenMetrics."""
    arguments.done()
    made = operations.metrics.fresh(is_open=True)
    return made.addCallback(lambda text: {"text": text.decode()})


COMMANDS = {"metrics": Command(metrics)}
