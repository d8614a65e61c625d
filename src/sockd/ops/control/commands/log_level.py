"""How much the log tells."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.logger import LogLevel

from sockd.formats.nearest import near_miss
from sockd.ops.control.arguments import Arguments
from sockd.ops.control.command import Answer, Command
from sockd.ops.control.frames import ControlError
from sockd.ops.logs import LogWriter

if TYPE_CHECKING:
    from sockd.ops.operations import Operations

LEVELS = tuple(level.name for level in LogLevel.iterconstants())
"""From the least to the greatest: each has those after it told too."""


def log_level(operations: Operations, arguments: Arguments) -> Answer:
    """Tell the least level that is written."""
    arguments.done()
    return {"level": _writer(operations).level.name, "levels": list(LEVELS)}


def set_log_level(operations: Operations, arguments: Arguments) -> Answer:
    """Have another least level, until the daemon ends."""
    name = arguments.take("level", str)
    arguments.done()
    writer = _writer(operations)
    if name not in LEVELS:
        miss = near_miss(name, LEVELS, or_all=True)
        raise ControlError(f"there is no level {name!r:.100}{miss}", "usage")
    before = writer.level.name
    writer.level = LogLevel.levelWithName(name)
    return {"level": name, "before": before, "levels": list(LEVELS)}


def _writer(operations: Operations) -> LogWriter:
    if operations.writer is None:
        raise ControlError("the log is not sockd's: twistd was told of another", "refused")
    return operations.writer


COMMANDS = {
    "log-level": Command(log_level),
    "set-log-level": Command(set_log_level, changes=True),
}
